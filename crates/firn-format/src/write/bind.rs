//! Bindings, and what stands right of `=` and `?`.

use super::Writer;
use super::call::Place;
use crate::doc::{Kind, Spacing};
use crate::tree::{Binary, Binding, Expr, Item, Name, Selector, Term, Token};

impl<'t> Writer<'t> {
    pub(super) fn binding(&mut self, binding: &mut Binding<'t>) {
        match binding {
            Binding::Inherit { keyword, source, names, semicolon } => {
                // Up to three names may stand in one line if they do.
                let short = keyword.line() == semicolon.line() && names.len() < 4;
                let (between, after) = if short {
                    (Spacing::Space, Spacing::Break)
                } else {
                    (Spacing::HardLine, Spacing::HardLine)
                };
                self.group(|w| {
                    w.token(keyword);
                    w.nest(|w| {
                        if let Some(source) = source {
                            w.group(|w| {
                                w.line();
                                w.term(source);
                            });
                        }
                        w.doc.space(between);
                        w.names_between(names, between);
                        w.doc.space(after);
                        w.token(semicolon);
                    });
                });
            }
            Binding::Assign { path, assign, value, semicolon } => {
                let short = path.len() <= 4 && path.iter().all(Selector::is_plain);
                self.group(|w| {
                    w.selectors(path);
                    w.nest(|w| {
                        w.space();
                        w.token(assign);
                        if short {
                            w.value(value);
                        } else {
                            // A long left side leaves too little room.
                            w.break_here();
                            w.group_of(Kind::First, |w| w.value(value));
                        }
                    });
                    w.token(semicolon);
                });
            }
        }
    }

    fn names_between(&mut self, names: &mut [Name<'t>], between: Spacing) {
        for (i, name) in names.iter_mut().enumerate() {
            if i > 0 {
                self.doc.space(between);
            }
            self.name(name);
        }
    }

    /// What stands right of `=` or `?`.
    pub(super) fn value(&mut self, value: &mut Expr<'t>) {
        if only_inherits(value) {
            return self.beside(|w| w.absorbed(value, false));
        }
        if value.is_absorbable() {
            return self.beside(|w| w.absorbed(value, true));
        }
        match value {
            Expr::Term(Term::Paren(paren)) => self.nest(|w| {
                w.space();
                w.absorbed_paren(paren);
            }),
            Expr::Term(Term::String(_) | Term::Indented(_) | Term::Path(_)) => {
                self.beside(|w| w.expr(value));
            }
            Expr::Term(_) | Expr::With(_) => self.nest(|w| {
                w.group(|w| {
                    w.line();
                    w.expr(value);
                });
            }),
            Expr::Apply(_) => {
                self.nest(|w| w.call(value, Place { line_before: true, ..Place::default() }));
            }
            Expr::Binary(binary) if joins(&binary.op) => {
                let Binary { left, op, right } = &mut **binary;
                match (left, right) {
                    (Expr::Term(left), _)
                        if left.is_absorbable() && left.first().before.is_empty() =>
                    {
                        self.space();
                        self.chain(value, true);
                    }
                    (left, Expr::Term(right)) if op.is_bare() && right.is_absorbable() => {
                        self.nest(|w| {
                            w.group(|w| {
                                w.line();
                                w.expr(left);
                                w.line();
                                w.group_of(Kind::Through, |w| {
                                    w.token(op);
                                    w.space();
                                    w.group_of(Kind::First, |w| w.term_wide(right));
                                });
                            });
                        });
                    }
                    _ => self.below(value),
                }
            }
            _ => self.below(value),
        }
    }

    /// In the same line, whatever comes.
    fn beside(&mut self, write: impl FnOnce(&mut Self)) {
        self.nest(|w| {
            w.space();
            w.group(write);
        });
    }

    /// In the next line if it does not fit.
    fn below(&mut self, value: &mut Expr<'t>) {
        self.nest(|w| {
            w.line();
            w.group(|w| w.expr(value));
        });
    }
}

/// Whether an expression is a set of one `inherit` and nothing else.
fn only_inherits(value: &Expr<'_>) -> bool {
    match value {
        Expr::Term(Term::Set(set)) => {
            matches!(&set.items[..], [Item::Item(Binding::Inherit { .. })])
        }
        _ => false,
    }
}

/// Whether an operator puts two things of a kind together.
fn joins(op: &Token<'_>) -> bool {
    matches!(&*op.value, "//" | "++" | "+")
}
