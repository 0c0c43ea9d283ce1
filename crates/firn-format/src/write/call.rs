//! Functions with their arguments.
//!
//! Each call is a group of its own in the one around it, so that as many arguments as possible stay in the
//! first line and the others get a line each. An argument may be broken before the calls are, the last one
//! first: `f a { … }` keeps `f a {` together.

use std::borrow::Cow;

use super::Writer;
use super::judge::is_name;
use crate::doc::{Kind, Spacing, flat};
use crate::tree::{Apply, Around, Expr, Leaf, List, Parameter, Paren, Term, Token, Trivium};

/// Where a call stands.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// In parentheses or an interpolation: the function may go to a line of its own, indented, and the closing
    /// bracket follows below.
    pub bracketed: bool,
    /// May go to the next line as a whole if more than the last argument does not fit.
    pub line_before: bool,
}

/// A token in the place of one that was taken away.
pub(super) fn no_token<'t>() -> Token<'t> {
    Leaf { around: Around::default(), value: Cow::Borrowed("") }
}

/// An expression in the place of one that was taken away.
pub(super) fn no_expr<'t>() -> Expr<'t> {
    Expr::Term(Term::Word(no_token()))
}

/// A call of `function` with the function and the arguments that an expression consists of.
pub(super) fn put_first<'t>(function: Expr<'t>, mut expr: Expr<'t>) -> Expr<'t> {
    let mut innermost = &mut expr;
    while let Expr::Apply(call) = innermost {
        innermost = &mut call.function;
    }
    let argument = std::mem::replace(innermost, no_expr());
    *innermost = Expr::Apply(Box::new(Apply { function, argument }));
    expr
}

impl<'t> Writer<'t> {
    /// A call, which `expr` must be.
    pub(super) fn call(&mut self, expr: &mut Expr<'t>, place: Place) {
        let simple = expr.is_simple();
        let Expr::Apply(call) = expr else { return self.expr(expr) };
        // A comment before the function would break the call.
        let first = call.function.first_mut();
        first.move_after_up();
        let (names, moved): (Vec<_>, Vec<_>) = std::mem::take(&mut first.before)
            .into_iter()
            .partition(|t| matches!(t, Trivium::Language(_)));
        first.before = names;
        self.trivia(&moved);
        let indented = place.bracketed && moved.is_empty();
        let Apply { function, argument } = &mut **call;
        if let (Expr::Apply(inner), Expr::Term(Term::List(last))) = (&mut *function, &mut *argument)
            && let Expr::Term(Term::List(list)) = &mut inner.argument
        {
            let function = &mut inner.function;
            self.group(|w| {
                w.before_call(place);
                w.group_of(Kind::Through, |w| w.called(function, indented));
                w.lists(list, last);
                w.after_call(place);
            });
        } else {
            let called = self.apart(|w| {
                w.before_call(place);
                w.group_of(Kind::Through, |w| w.called(function, indented));
            });
            let short = if simple { flat(&called, None) } else { None };
            self.group(|w| match short {
                Some(called) => {
                    w.doc.extend(called);
                    w.space();
                    w.last_argument(argument);
                }
                None => {
                    w.doc.extend(called);
                    w.line();
                    w.last_argument(argument);
                    w.after_call(place);
                }
            });
        }
        if place.bracketed && !moved.is_empty() {
            self.hard_line();
        }
    }

    fn before_call(&mut self, place: Place) {
        if place.line_before {
            self.line();
        }
    }

    fn after_call(&mut self, place: Place) {
        if place.bracketed {
            self.break_here();
        }
    }

    /// Two lists in a row, both broken or none.
    fn lists(&mut self, first: &mut List<'t>, second: &mut List<'t>) {
        for list in [first, second] {
            self.line();
            self.nest(|w| w.group(|w| w.list_argument(list)));
        }
    }

    /// A function with the arguments before the last.
    fn called(&mut self, expr: &mut Expr<'t>, indented: bool) {
        let Expr::Apply(call) = expr else {
            if indented {
                self.nest(|w| {
                    w.group(|w| {
                        w.break_here();
                        w.expr(expr);
                    });
                });
            } else {
                self.expr(expr);
            }
            return;
        };
        let Apply { function, argument } = &mut **call;
        if let (Expr::Apply(inner), Expr::Term(Term::List(second))) =
            (&mut *function, &mut *argument)
            && let Expr::Term(Term::List(first)) = &mut inner.argument
        {
            let function = &mut inner.function;
            self.group_of(Kind::Through, |w| {
                w.group_of(Kind::Through, |w| w.called(function, indented));
                w.nest(|w| {
                    w.group(|w| {
                        for list in [first, second] {
                            w.line();
                            w.group(|w| w.list_argument(list));
                        }
                    });
                });
            });
            return;
        }
        // Broken first, a selection would only move what is behind its dot to the next line.
        let is_selection = matches!(argument, Expr::Term(Term::Select(_)));
        let kind = if is_selection { Kind::Plain } else { Kind::First };
        self.group_of(Kind::Through, |w| w.called(function, indented));
        self.line();
        self.nest(|w| w.group_of(kind, |w| w.argument(argument)));
    }

    fn argument(&mut self, argument: &mut Expr<'t>) {
        match argument {
            Expr::Term(Term::List(list)) if is_short(list) => self.list(list, Spacing::Space),
            other => self.expr(other),
        }
    }

    fn list_argument(&mut self, list: &mut List<'t>) {
        if is_short(list) {
            self.list(list, Spacing::Space);
        } else {
            self.group(|w| w.list_plain(list));
        }
    }

    fn last_argument(&mut self, argument: &mut Expr<'t>) {
        match argument {
            Expr::Term(term) if term.is_absorbable() => {
                self.group_of(Kind::First, |w| w.nest(|w| w.term_plain(term)));
            }
            Expr::Term(Term::Paren(paren)) => {
                if !self.absorbed_content(paren) {
                    self.absorbed_paren(paren);
                }
            }
            other => self.group(|w| w.nest(|w| w.expr(other))),
        }
    }

    /// `(name: { … })` and `(name { … })`, which begin in one line.
    fn absorbed_content(&mut self, paren: &mut Paren<'t>) -> bool {
        let Paren { open, inner, close } = paren;
        let body = match &mut *inner {
            Expr::Lambda(lambda) => match (&lambda.parameter, &mut lambda.body) {
                (Parameter::Id(name), Expr::Term(body))
                    if open.is_bare() && name.is_bare() && lambda.colon.is_bare() =>
                {
                    Some((name.value.clone(), ":", body))
                }
                _ => None,
            },
            Expr::Apply(call) => match (&call.function, &mut call.argument) {
                (Expr::Term(Term::Word(name)), Expr::Term(body))
                    if is_name(name) && open.is_bare() && name.is_bare() && close.is_bare() =>
                {
                    Some((name.value.clone(), "", body))
                }
                _ => None,
            },
            _ => None,
        };
        let Some((name, colon, body)) = body else { return false };
        if !body.is_absorbable() {
            return false;
        }
        self.group_of(Kind::First, |w| {
            w.nest(|w| {
                w.token(open);
                w.text(name);
                w.text(colon);
                w.space();
                w.term_wide(body);
                w.token(close);
            });
        });
        true
    }

    /// Parentheses whose content is indented below them if it does not fit in their line.
    pub(super) fn absorbed_paren(&mut self, paren: &mut Paren<'t>) {
        let Paren { open, inner, close } = paren;
        let moved = open.around.take_after();
        inner.first_mut().prepend(moved.into_iter().collect());
        let before_close = std::mem::take(&mut close.around.before);
        self.group_of(Kind::First, |w| {
            w.nest(|w| {
                w.token(open);
                w.break_here();
                w.group(|w| {
                    w.nest(|w| {
                        w.expr(inner);
                        w.trivia(&before_close);
                    });
                });
                w.break_here();
                w.token(close);
            });
        });
    }
}

/// Whether a list may stand in one line as an argument although it has several elements.
fn is_short(list: &List<'_>) -> bool {
    list.items.len() <= 6
        && list.items.iter().all(|item| match item {
            crate::tree::Item::Item(term) => term.is_simple(),
            crate::tree::Item::Comments(_) => true,
        })
}
