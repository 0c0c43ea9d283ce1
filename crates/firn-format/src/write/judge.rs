//! Questions about expressions on which their layout depends.

use crate::tree::{Expr, Formal, Lambda, Leaf, Parameter, Part, Selector, Term, Token, Trivium};

impl Term<'_> {
    /// Whether it can begin in the line of what it is a part of and go on over several lines.
    pub(super) fn is_absorbable(&self) -> bool {
        match self {
            Term::Indented(string) => string.value.len() > 1,
            Term::Set(set) => {
                !set.items.is_empty() || !set.open.is_bare() || set.open.line() != set.close.line()
            }
            Term::List(list) => {
                !list.items.is_empty()
                    || !list.open.is_bare()
                    || list.open.line() != list.close.line()
            }
            Term::Paren(paren) => match &paren.inner {
                Expr::Term(term) => {
                    paren.open.is_bare()
                        && term.first().before.iter().all(|t| matches!(t, Trivium::Language(_)))
                        && term.is_absorbable()
                }
                _ => false,
            },
            Term::Word(_) | Term::String(_) | Term::Path(_) | Term::Select(_) => false,
        }
    }

    /// Whether it is short in any case: nothing that contains other things, and no comment.
    pub(super) fn is_simple(&self) -> bool {
        match self {
            Term::Word(token) => token.is_bare(),
            Term::String(string) | Term::Indented(string) => string.is_bare(),
            Term::Path(path) => path.is_bare(),
            Term::Select(select) => {
                select.subject.is_simple()
                    && select.path.iter().all(Selector::is_plain)
                    && select.default.is_none()
            }
            Term::Paren(paren) => {
                paren.open.is_bare() && paren.close.is_bare() && paren.inner.is_simple()
            }
            Term::List(_) | Term::Set(_) => false,
        }
    }
}

impl Expr<'_> {
    /// As [`Term::is_absorbable`], for more kinds of expressions.
    pub(super) fn is_absorbable(&self) -> bool {
        match self {
            Expr::Term(term) => term.is_absorbable(),
            Expr::With(with) => matches!(&with.body, Expr::Term(body) if body.is_absorbable()),
            Expr::Lambda(lambda) => lambda.is_absorbable(|| lambda.body.is_absorbable()),
            _ => false,
        }
    }

    /// As [`Term::is_simple`]; a call of simple terms with up to two arguments is simple as well.
    pub(super) fn is_simple(&self) -> bool {
        match self {
            Expr::Term(term) => term.is_simple(),
            Expr::Apply(call) => {
                let arguments = 1 + match &call.function {
                    Expr::Apply(inner) => 1 + usize::from(matches!(inner.function, Expr::Apply(_))),
                    _ => 0,
                };
                arguments <= 2 && call.function.is_simple() && call.argument.is_simple()
            }
            _ => false,
        }
    }
}

impl Lambda<'_> {
    /// As [`Expr::is_absorbable`], by whether the body is.
    fn is_absorbable(&self, body: impl FnOnce() -> bool) -> bool {
        match &self.parameter {
            Parameter::Id(_) => matches!(self.body, Expr::Term(_) | Expr::Lambda(_)) && body(),
            Parameter::Set { open, formals, close } => {
                can_be_flat(open, formals, close)
                    && open.is_bare()
                    && self.colon.line() == self.body.first().line
                    && body()
            }
            Parameter::Both { .. } => false,
        }
    }

    /// Whether the body is absorbable: of this function, then of that which is its body, and so on. Each is looked
    /// at once, however many there are.
    pub(super) fn absorbable_bodies(&self) -> Vec<bool> {
        let mut functions = vec![self];
        while let Some(Expr::Lambda(next)) = functions.last().map(|f| &f.body) {
            functions.push(next);
        }
        let mut found = Vec::with_capacity(functions.len());
        let mut inner = None;
        for function in functions.iter().rev() {
            let body = inner.unwrap_or_else(|| function.body.is_absorbable());
            found.push(body);
            inner = Some(function.is_absorbable(|| body));
        }
        found.reverse();
        found
    }
}

/// Whether the pattern of a function may stand in one line: it does so in the text, has no comments and no
/// more than two names without defaults.
pub(super) fn can_be_flat(open: &Token<'_>, formals: &[Formal<'_>], close: &Token<'_>) -> bool {
    if open.line() != close.line() || !close.is_bare() {
        return false;
    }
    let bare = formals.iter().all(|formal| match formal {
        Formal::Named { name, comma, .. } => {
            name.is_bare() && comma.as_ref().is_none_or(Leaf::is_bare)
        }
        Formal::Ellipsis(token) => token.is_bare(),
    });
    let names = match formals {
        [names @ .., Formal::Ellipsis(_)] => names,
        names => names,
    };
    bare && names.len() <= 2
        && names.iter().all(|f| matches!(f, Formal::Named { default: None, .. }))
}

/// Whether a word is a name, and not a number or a path.
pub(super) fn is_name(word: &Token<'_>) -> bool {
    word.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Whether a word is a number.
pub(super) fn is_number(word: &Token<'_>) -> bool {
    word.value.starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

/// Whether a part of a string is nothing but spaces.
pub(super) fn only_spaces(part: &Part<'_>) -> bool {
    matches!(part, Part::Text(text) if text.bytes().all(|c| c == b' '))
}
