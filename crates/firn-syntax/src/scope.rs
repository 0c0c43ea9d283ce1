//! Finds variables that nothing defines.
//!
//! A variable is defined by the `let`, `rec`, function or builtin around it, or may come from any `with`
//! around it. C++ Nix reports others when it has parsed a file, before it evaluates anything.

use crate::ast::{Ast, AttrName, AttrPathId, Attrs, BindingValue, Expr, ExprId};
use crate::parse::ParseError;
use crate::source::Pos;
use crate::symbol::Symbol;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Fails with the first variable that is defined neither in the tree nor, as `is_global` says, around it.
pub fn check(ast: &Ast, is_global: &(dyn Fn(Symbol) -> bool + Sync)) -> Result<(), ParseError> {
    let mut checker = Checker { ast, is_global, bound: FxHashMap::default(), withs: 0 };
    crate::stack::with_depth(ast.depth(), || checker.expr(ast.root())).map_err(|(name, pos)| {
        ParseError {
            message: format!("undefined variable '{}'", crate::ast::quoted(name)),
            pos,
            source: Arc::clone(ast.source()),
            warnings: ast.warnings().to_vec(),
        }
    })
}

struct Checker<'a> {
    ast: &'a Ast,
    is_global: &'a (dyn Fn(Symbol) -> bool + Sync),
    /// How many scopes around define a name.
    bound: FxHashMap<Symbol, u32>,
    withs: u32,
}

type Checked = Result<(), (Symbol, Pos)>;

impl Checker<'_> {
    fn variable(&self, name: Symbol, pos: Pos, ignored: u32) -> Checked {
        let found = self.withs > 0
            || self.bound.get(&name).is_some_and(|n| *n > ignored)
            || (self.is_global)(name);
        if found { Ok(()) } else { Err((name, pos)) }
    }

    fn bind(&mut self, name: Symbol) {
        *self.bound.entry(name).or_default() += 1;
    }

    fn unbind(&mut self, name: Symbol) {
        if let Some(n) = self.bound.get_mut(&name) {
            *n -= 1;
        }
    }

    fn all(&mut self, exprs: impl IntoIterator<Item = ExprId>) -> Checked {
        exprs.into_iter().try_for_each(|e| self.expr(e))
    }

    fn path(&mut self, path: AttrPathId) -> Checked {
        let ast = self.ast;
        self.all(ast.attr_path(path).iter().filter_map(|name| match name {
            AttrName::Dynamic(e) => Some(*e),
            AttrName::Static(_) => None,
        }))
    }

    fn expr(&mut self, id: ExprId) -> Checked {
        let ast = self.ast;
        match ast.expr(id) {
            Expr::Int(_) | Expr::Float(_) | Expr::String(_) | Expr::Path(_) | Expr::CurPos => {
                Ok(())
            }
            Expr::Var(name) => self.variable(name, ast.pos(id), 0),
            Expr::Select { subject, path, default } => {
                self.expr(subject)?;
                self.all(default.get())?;
                self.path(path)
            }
            Expr::HasAttr { subject, path } => {
                self.expr(subject)?;
                self.path(path)
            }
            Expr::Attrs(attrs) => {
                let attrs = *ast.attrs(attrs);
                self.bindings(&attrs, attrs.recursive, None)
            }
            Expr::Let { attrs, body } => self.bindings(ast.attrs(attrs), true, Some(body)),
            Expr::List(items) => self.all(ast.exprs(items).iter().copied()),
            Expr::Lambda(id) => {
                let lambda = *ast.lambda(id);
                let formals = lambda.pattern.as_ref().map_or(&[][..], |p| ast.formals(p));
                let names = || formals.iter().map(|f| f.name).chain(lambda.arg);
                names().for_each(|n| self.bind(n));
                self.all(formals.iter().filter_map(|f| f.default.get()))?;
                self.expr(lambda.body)?;
                names().for_each(|n| self.unbind(n));
                Ok(())
            }
            Expr::Call { function, args } => {
                self.expr(function)?;
                self.all(ast.exprs(args).iter().copied())
            }
            Expr::With { attrs, body } => {
                self.expr(attrs)?;
                self.withs += 1;
                self.expr(body)?;
                self.withs -= 1;
                Ok(())
            }
            Expr::If { cond, then_expr, else_expr } => self.all([cond, then_expr, else_expr]),
            Expr::Assert { cond, body } => self.all([cond, body]),
            Expr::Not(e) => self.expr(e),
            Expr::Binary { lhs, rhs, .. } => self.all([lhs, rhs]),
            Expr::ConcatStrings { parts, .. } => self.all(ast.parts(parts).iter().map(|p| p.expr)),
        }
    }

    fn bindings(&mut self, attrs: &Attrs, recursive: bool, body: Option<ExprId>) -> Checked {
        let ast = self.ast;
        let bindings = ast.bindings(attrs);
        if recursive {
            bindings.iter().for_each(|b| self.bind(b.name));
        }
        self.all(ast.inherit_sources(attrs).iter().map(|s| s.expr))?;
        // Of several undefined variables C++ Nix reports that in the binding whose name it met first.
        let mut ordered = bindings.to_vec();
        ordered.sort_by_key(|b| b.name);
        for binding in ordered {
            match binding.value {
                BindingValue::Plain(value) => self.expr(value)?,
                // Inherited from the scope around: the binding itself does not count.
                BindingValue::Inherit => {
                    self.variable(binding.name, binding.pos, u32::from(recursive))?;
                }
                BindingValue::InheritFrom(_) => {}
            }
        }
        for binding in ast.dynamic_bindings(attrs) {
            self.all([binding.name, binding.value])?;
        }
        self.all(body)?;
        if recursive {
            bindings.iter().for_each(|b| self.unbind(b.name));
        }
        Ok(())
    }
}
