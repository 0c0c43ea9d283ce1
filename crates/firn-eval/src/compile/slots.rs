//! How many slots an expression needs in the environment that it is evaluated in.
//!
//! This walks just those parts that [`super::Compiler::strict`] compiles for the same environment. It only
//! decides whether a lazy expression gets an environment of its own, so that a wrong count would cost time or
//! memory, never correctness.

use firn_syntax::ast::{Ast, AttrName, AttrPathId, AttrsId, BindingValue, Expr, ExprId};

/// The number of slots; counting stops early once it is clear that there are some.
pub(super) fn count(ast: &Ast, id: ExprId) -> u32 {
    match ast.expr(id) {
        Expr::Int(_)
        | Expr::Float(_)
        | Expr::String(_)
        | Expr::Path(_)
        | Expr::Var(_)
        | Expr::CurPos
        | Expr::List(_)
        | Expr::Lambda(_) => 0,
        Expr::Select { subject, path, default } => {
            any(&[count(ast, subject), path_slots(ast, path)])
                .max(default.get().map_or(0, |d| count(ast, d)))
        }
        Expr::HasAttr { subject, path } => any(&[count(ast, subject), path_slots(ast, path)]),
        Expr::Attrs(attrs) => attrs_slots(ast, attrs),
        Expr::Call { function, .. } if !matches!(ast.expr(function), Expr::Var(_)) => {
            count(ast, function)
        }
        Expr::Call { args, .. } => {
            // Operands of operators that are calls of builtins are strict.
            match ast.exprs(args) {
                [a, b] => any(&[count(ast, *a), count(ast, *b)]),
                _ => 0,
            }
        }
        Expr::Let { .. } | Expr::With { .. } => 1,
        Expr::If { cond, then_expr, else_expr } => {
            any(&[count(ast, cond), count(ast, then_expr), count(ast, else_expr)])
        }
        Expr::Assert { cond, body } => any(&[count(ast, cond), count(ast, body)]),
        Expr::Not(e) => count(ast, e),
        Expr::Binary { lhs, rhs, .. } => any(&[count(ast, lhs), count(ast, rhs)]),
        Expr::ConcatStrings { parts, .. } => {
            ast.parts(parts).iter().map(|p| count(ast, p.expr)).max().unwrap_or(0)
        }
    }
}

fn any(counts: &[u32]) -> u32 {
    counts.iter().copied().max().unwrap_or(0)
}

fn path_slots(ast: &Ast, path: AttrPathId) -> u32 {
    ast.attr_path(path)
        .iter()
        .map(|name| match name {
            AttrName::Static(_) => 0,
            AttrName::Dynamic(e) => count(ast, *e),
        })
        .max()
        .unwrap_or(0)
}

fn attrs_slots(ast: &Ast, id: AttrsId) -> u32 {
    let attrs = ast.attrs(id);
    if attrs.recursive && attrs.bindings.len > 0 {
        return 1;
    }
    if ast.inherit_sources(attrs).iter().any(|s| !matches!(ast.expr(s.expr), Expr::Var(_)))
        && ast.bindings(attrs).iter().any(|b| matches!(b.value, BindingValue::InheritFrom(_)))
    {
        return 1;
    }
    ast.dynamic_bindings(attrs).iter().map(|d| count(ast, d.name)).max().unwrap_or(0)
}
