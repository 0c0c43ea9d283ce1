//! Whether two texts mean the same: their trees are compared, without positions and comments.
//!
//! How a string's text is split into parts is not compared either: it depends on the escapes in it, which
//! differ between `''…''` and `"…"`.

use firn_syntax::ast::{AttrName, Attrs, BindingValue};
use firn_syntax::{Ast, Expr, ExprId};

/// Whether two trees are the same.
pub(crate) fn same(a: &Ast, b: &Ast) -> bool {
    let mut pairs = Pairs { a, b, todo: vec![(a.root(), b.root())] };
    while let Some((x, y)) = pairs.todo.pop() {
        if !pairs.expr(x, y) {
            return false;
        }
    }
    true
}

struct Pairs<'a> {
    a: &'a Ast,
    b: &'a Ast,
    /// Expressions that still have to be compared.
    todo: Vec<(ExprId, ExprId)>,
}

impl Pairs<'_> {
    fn push(&mut self, x: ExprId, y: ExprId) -> bool {
        self.todo.push((x, y));
        true
    }

    fn option(&mut self, x: Option<ExprId>, y: Option<ExprId>) -> bool {
        match (x, y) {
            (Some(x), Some(y)) => self.push(x, y),
            (None, None) => true,
            _ => false,
        }
    }

    fn all(&mut self, x: &[ExprId], y: &[ExprId]) -> bool {
        x.len() == y.len() && x.iter().zip(y).all(|(x, y)| self.push(*x, *y))
    }

    /// Compares two expressions, but for those in them, which are noted.
    fn expr(&mut self, x: ExprId, y: ExprId) -> bool {
        let (a, b) = (self.a, self.b);
        match (a.expr(x), b.expr(y)) {
            (Expr::Int(x), Expr::Int(y)) => x == y,
            (Expr::Float(x), Expr::Float(y)) => x.to_bits() == y.to_bits(),
            (Expr::Path(x), Expr::Path(y)) => a.bytes(x) == b.bytes(y),
            (Expr::Var(x), Expr::Var(y)) => x == y,
            (Expr::CurPos, Expr::CurPos) => true,
            (
                Expr::Select { subject: x, path: p, default: d },
                Expr::Select { subject: y, path: q, default: e },
            ) => {
                self.names(a.attr_path(p), b.attr_path(q))
                    && self.option(d.get(), e.get())
                    && self.push(x, y)
            }
            (Expr::HasAttr { subject: x, path: p }, Expr::HasAttr { subject: y, path: q }) => {
                self.names(a.attr_path(p), b.attr_path(q)) && self.push(x, y)
            }
            (Expr::Attrs(x), Expr::Attrs(y)) => self.attrs(a.attrs(x), b.attrs(y)),
            (Expr::List(x), Expr::List(y)) => self.all(a.exprs(x), b.exprs(y)),
            (Expr::Lambda(x), Expr::Lambda(y)) => {
                let (x, y) = (a.lambda(x), b.lambda(y));
                let formals = match (&x.pattern, &y.pattern) {
                    (Some(p), Some(q)) => {
                        let (x, y) = (a.formals(p), b.formals(q));
                        p.ellipsis == q.ellipsis
                            && x.len() == y.len()
                            && x.iter().zip(y).all(|(x, y)| {
                                x.name == y.name && self.option(x.default.get(), y.default.get())
                            })
                    }
                    (None, None) => true,
                    _ => false,
                };
                formals && x.arg == y.arg && self.push(x.body, y.body)
            }
            (Expr::Call { function: x, args: p }, Expr::Call { function: y, args: q }) => {
                self.all(a.exprs(p), b.exprs(q)) && self.push(x, y)
            }
            (Expr::Let { attrs: p, body: x }, Expr::Let { attrs: q, body: y }) => {
                self.attrs(a.attrs(p), b.attrs(q)) && self.push(x, y)
            }
            (Expr::With { attrs: p, body: x }, Expr::With { attrs: q, body: y })
            | (Expr::Assert { cond: p, body: x }, Expr::Assert { cond: q, body: y }) => {
                self.push(p, q) && self.push(x, y)
            }
            (
                Expr::If { cond: c, then_expr: t, else_expr: e },
                Expr::If { cond: d, then_expr: u, else_expr: f },
            ) => self.push(c, d) && self.push(t, u) && self.push(e, f),
            (Expr::Not(x), Expr::Not(y)) => self.push(x, y),
            (Expr::Binary { op: o, lhs: l, rhs: r }, Expr::Binary { op: p, lhs: m, rhs: s }) => {
                o == p && self.push(l, m) && self.push(r, s)
            }
            (
                Expr::ConcatStrings { force_string: false, parts: x },
                Expr::ConcatStrings { force_string: false, parts: y },
            ) => {
                let (x, y) = (a.parts(x), b.parts(y));
                x.len() == y.len() && x.iter().zip(y).all(|(x, y)| self.push(x.expr, y.expr))
            }
            _ => match (pieces(a, x), pieces(b, y)) {
                (Some(x), Some(y)) => {
                    x.len() == y.len()
                        && x.iter().zip(&y).all(|(x, y)| match (x, y) {
                            (Piece::Text(x), Piece::Text(y)) => x == y,
                            (Piece::Expr(x), Piece::Expr(y)) => self.push(*x, *y),
                            _ => false,
                        })
                }
                _ => false,
            },
        }
    }

    fn names(&mut self, x: &[AttrName], y: &[AttrName]) -> bool {
        x.len() == y.len()
            && x.iter().zip(y).all(|(x, y)| match (x, y) {
                (AttrName::Static(x), AttrName::Static(y)) => x == y,
                (AttrName::Dynamic(x), AttrName::Dynamic(y)) => self.push(*x, *y),
                _ => false,
            })
    }

    fn attrs(&mut self, x: &Attrs, y: &Attrs) -> bool {
        let (a, b) = (self.a, self.b);
        let (bindings, others) = (a.bindings(x), b.bindings(y));
        let (dynamic, others_dynamic) = (a.dynamic_bindings(x), b.dynamic_bindings(y));
        let (sources, others_sources) = (a.inherit_sources(x), b.inherit_sources(y));
        x.recursive == y.recursive
            && bindings.len() == others.len()
            && dynamic.len() == others_dynamic.len()
            && sources.len() == others_sources.len()
            && bindings.iter().zip(others).all(|(x, y)| {
                x.name == y.name
                    && match (x.value, y.value) {
                        (BindingValue::Plain(x), BindingValue::Plain(y)) => self.push(x, y),
                        (x, y) => x == y,
                    }
            })
            && dynamic
                .iter()
                .zip(others_dynamic)
                .all(|(x, y)| self.push(x.name, y.name) && self.push(x.value, y.value))
            && sources.iter().zip(others_sources).all(|(x, y)| self.push(x.expr, y.expr))
    }
}

/// A part of a string.
enum Piece {
    Text(Vec<u8>),
    Expr(ExprId),
}

/// The parts of a string and of the strings in it, with adjacent texts as one and without empty ones; `None` for
/// what is no string.
fn pieces(ast: &Ast, id: ExprId) -> Option<Vec<Piece>> {
    if !matches!(ast.expr(id), Expr::String(_) | Expr::ConcatStrings { force_string: true, .. }) {
        return None;
    }
    let mut pieces = Vec::new();
    let mut todo = vec![id];
    while let Some(id) = todo.pop() {
        match ast.expr(id) {
            Expr::String(text) => add_text(&mut pieces, ast.bytes(text)),
            Expr::ConcatStrings { force_string: true, parts } => {
                todo.extend(ast.parts(parts).iter().rev().map(|part| part.expr));
            }
            _ => pieces.push(Piece::Expr(id)),
        }
    }
    Some(pieces)
}

fn add_text(pieces: &mut Vec<Piece>, text: &[u8]) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.extend_from_slice(text),
        _ => pieces.push(Piece::Text(text.to_vec())),
    }
}
