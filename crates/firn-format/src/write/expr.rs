//! Expressions.

use super::Writer;
use super::judge::can_be_flat;
use crate::doc::Kind;
use crate::tree::{Expr, Headed, If, Item, Lambda, Let, Parameter, Term};

impl<'t> Writer<'t> {
    pub(super) fn expr(&mut self, expr: &mut Expr<'t>) {
        match expr {
            Expr::Term(term) => self.term(term),
            Expr::With(with) => self.with(with),
            Expr::Assert(assert) => self.assert(assert),
            Expr::Let(let_in) => self.let_in(let_in),
            Expr::If(choice) => {
                choice.if_keyword.around.move_after_up();
                self.group(|w| w.if_chain(choice));
            }
            Expr::Lambda(lambda) => {
                let absorbable = lambda.absorbable_bodies();
                self.lambda(lambda, &absorbable);
            }
            Expr::Apply(_) => self.call(expr, super::call::Place::default()),
            Expr::Binary(binary) => {
                if matches!(&*binary.op.value, "<" | ">" | "<=" | ">=" | "==" | "!=") {
                    self.expr(&mut binary.left);
                    self.soft_line();
                    self.token(&binary.op);
                    self.space();
                    self.expr(&mut binary.right);
                } else {
                    self.chain(expr, false);
                }
            }
            Expr::HasAttr(question) => {
                self.expr(&mut question.subject);
                self.soft_line();
                self.token(&question.mark);
                self.space();
                self.selectors(&mut question.path);
            }
            Expr::Prefix(prefix) => {
                self.token(&prefix.op);
                self.expr(&mut prefix.operand);
            }
        }
    }

    fn with(&mut self, with: &mut Headed<'t>) {
        self.group(|w| w.with_head(with));
        self.line();
        self.expr(&mut with.body);
    }

    fn with_head(&mut self, with: &mut Headed<'t>) {
        self.token(&with.keyword);
        self.space();
        self.nest(|w| w.group(|w| w.expr(&mut with.head)));
        self.token(&with.semicolon);
    }

    /// An expression that can be absorbed as such; `wide` breaks sets in any case.
    pub(super) fn absorbed(&mut self, expr: &mut Expr<'t>, wide: bool) {
        match expr {
            Expr::Term(term) if term.is_absorbable() => {
                if wide {
                    self.term_wide(term);
                } else {
                    self.term_plain(term);
                }
            }
            Expr::With(with) => match &mut **with {
                Headed { body: Expr::Term(body), .. } if body.is_absorbable() => self.group(|w| {
                    w.break_here();
                    w.with_head(with);
                    w.space();
                    if let Expr::Term(body) = &mut with.body {
                        w.group_of(Kind::First, |w| w.term_wide(body));
                    }
                }),
                _ => self.with(with),
            },
            _ => self.expr(expr),
        }
    }

    /// `assert` is laid out as a function that is called with the condition.
    fn assert(&mut self, assert: &mut Headed<'t>) {
        let keyword = std::mem::replace(&mut assert.keyword, super::call::no_token());
        let condition = std::mem::replace(&mut assert.head, super::call::no_expr());
        let mut call = super::call::put_first(Expr::Term(Term::Word(keyword)), condition);
        self.call(&mut call, super::call::Place::default());
        self.token(&assert.semicolon);
        self.hard_line();
        self.expr(&mut assert.body);
    }

    /// The bindings are never in the line of `let`. Comments around `in` go to the body, where the next run
    /// will find them.
    fn let_in(&mut self, let_in: &mut Let<'t>) {
        let in_keyword = &mut let_in.in_keyword.around;
        let mut moved = std::mem::take(&mut in_keyword.before);
        moved.extend(in_keyword.take_after());
        let_in.body.first_mut().prepend(moved);
        self.group(|w| {
            w.token(&let_in.keyword);
            w.hard_line();
            w.nest(|w| w.bindings(&mut let_in.bindings));
        });
        self.hard_line();
        self.group(|w| {
            w.text("in");
            w.hard_line();
            w.expr(&mut let_in.body);
        });
    }

    pub(super) fn bindings(&mut self, bindings: &mut [Item<'t, crate::tree::Binding<'t>>]) {
        self.items(crate::doc::Spacing::HardLine, bindings, Self::binding);
    }

    fn if_chain(&mut self, first: &mut If<'t>) {
        let mut choice = first;
        let mut nested = false;
        loop {
            self.group(|w| {
                w.token(&choice.if_keyword);
                w.line();
                w.nest(|w| w.expr(&mut choice.condition));
                w.line();
                w.token(&choice.then_keyword);
            });
            let separator =
                if nested { crate::doc::Spacing::HardLine } else { crate::doc::Spacing::Space };
            self.doc.space(separator);
            self.nest(|w| w.group(|w| w.expr(&mut choice.then_expr)));
            self.doc.space(separator);
            self.token_comment_first(&mut choice.else_keyword);
            self.space();
            nested = true;
            match &mut choice.else_expr {
                Expr::If(next) => choice = next,
                other => {
                    self.line();
                    self.nest(|w| w.group(|w| w.expr(other)));
                    return;
                }
            }
        }
    }

    /// A function; `absorbable` as [`Lambda::absorbable_bodies`] tells it.
    fn lambda(&mut self, lambda: &mut Lambda<'t>, absorbable: &[bool]) {
        let body_line = lambda.body.first().line;
        let (flat, below) = match &lambda.parameter {
            Parameter::Id(_) => {
                self.group(|w| {
                    w.break_here();
                    w.names(lambda, absorbable);
                });
                return;
            }
            Parameter::Set { open, formals, close } => {
                let same_line = lambda.colon.line() == body_line;
                (same_line && can_be_flat(open, formals, close), !same_line)
            }
            Parameter::Both { .. } => (false, false),
        };
        self.parameter(&mut lambda.parameter);
        self.token(&lambda.colon);
        let (own, inner) = split(absorbable);
        if flat && own {
            self.space();
            self.group_of(Kind::First, |w| w.body(&mut lambda.body, inner));
        } else if below {
            self.hard_line();
            self.body(&mut lambda.body, inner);
        } else {
            self.line();
            match &mut lambda.body {
                Expr::Term(body) if body.is_absorbable() => self.group(|w| w.term_wide(body)),
                body => self.body(body, inner),
            }
        }
    }

    /// The body of a function; of one that is a function itself, what is known already.
    fn body(&mut self, body: &mut Expr<'t>, absorbable: &[bool]) {
        match body {
            Expr::Lambda(lambda) => self.lambda(lambda, absorbable),
            other => self.expr(other),
        }
    }

    /// Functions with plain names as parameters, one in the other, and the body of the last.
    fn names(&mut self, first: &mut Lambda<'t>, mut absorbable: &[bool]) {
        let mut lambda = first;
        let mut count = 0;
        loop {
            if let Parameter::Id(name) = &lambda.parameter {
                self.token(name);
            }
            self.token(&lambda.colon);
            count += 1;
            let more = matches!(&lambda.body, Expr::Lambda(next) if matches!(next.parameter, Parameter::Id(_)));
            let (own, inner) = split(absorbable);
            if !more {
                return self.body_of_names(&mut lambda.body, count, own, inner);
            }
            absorbable = inner;
            self.space();
            let Expr::Lambda(next) = &mut lambda.body else { return };
            lambda = next;
        }
    }

    fn body_of_names(
        &mut self,
        body: &mut Expr<'t>,
        count: usize,
        absorbable: bool,
        inner: &[bool],
    ) {
        if absorbable {
            self.space();
            self.group_of(Kind::First, |w| match body {
                Expr::Lambda(lambda) => w.lambda(lambda, inner),
                other => w.absorbed(other, false),
            });
            return;
        }
        if count <= 2 {
            self.line();
        } else {
            self.hard_line();
        }
        self.body(body, inner);
    }
}

/// The first answer, and the others.
fn split(absorbable: &[bool]) -> (bool, &[bool]) {
    absorbable.split_first().map_or((false, absorbable), |(first, rest)| (*first, rest))
}
