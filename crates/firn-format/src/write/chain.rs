//! Operators: a chain of one operator has its operands on one level.

use super::Writer;
use super::call::Place;
use crate::tree::{Expr, Token};

impl<'t> Writer<'t> {
    /// A chain of the operator on top of `expr`; `wide` breaks a first operand that is a set in any case.
    pub(super) fn chain(&mut self, expr: &mut Expr<'t>, wide: bool) {
        let Expr::Binary(top) = &*expr else { return self.expr(expr) };
        let op = top.op.value.clone();
        let mut operands = Vec::new();
        flatten(&op, None, expr, &mut operands);
        let piped = matches!(&*op, "|>" | "<|") && operands.len() > 3;
        self.group(|w| {
            for (op, operand) in operands {
                match op {
                    None => match operand {
                        Expr::Term(term) if wide && term.is_absorbable() => w.term_wide(term),
                        other => w.expr(other),
                    },
                    Some(op) => {
                        if piped {
                            w.hard_line();
                        } else {
                            w.line();
                        }
                        w.token_comment_first(op);
                        w.nest(|w| w.operand(operand));
                    }
                }
            }
        });
    }

    fn operand(&mut self, operand: &mut Expr<'t>) {
        match operand {
            Expr::Binary(_) => self.group(|w| {
                w.line();
                w.expr(operand);
            }),
            Expr::Apply(_) => self.group(|w| {
                w.space();
                w.call(operand, Place { line_before: true, ..Place::default() });
            }),
            other => {
                self.space();
                self.expr(other);
            }
        }
    }
}

/// An operand with the operator before it.
type Operand<'a, 't> = (Option<&'a mut Token<'t>>, &'a mut Expr<'t>);

fn flatten<'a, 't>(
    op: &str,
    before: Option<&'a mut Token<'t>>,
    expr: &'a mut Expr<'t>,
    out: &mut Vec<Operand<'a, 't>>,
) {
    let chained = matches!(expr, Expr::Binary(binary) if binary.op.value == op);
    if !chained {
        return out.push((before, expr));
    }
    if let Expr::Binary(binary) = expr {
        let binary = &mut **binary;
        flatten(op, before, &mut binary.left, out);
        flatten(op, Some(&mut binary.op), &mut binary.right, out);
    }
}
