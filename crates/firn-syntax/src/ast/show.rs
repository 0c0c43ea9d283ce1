//! The printer behind `nix-instantiate --parse`, byte for byte as C++ Nix prints.

use super::{Ast, AttrName, AttrPathId, Attrs, BindingValue, Expr, ExprId};
use crate::symbol::Symbol;

/// Appends the fully parenthesised form of an expression to `out`.
pub fn show(ast: &Ast, expr: ExprId, out: &mut Vec<u8>) {
    crate::stack::with_depth(ast.depth(), || Printer { ast, out }.expr(expr));
}

struct Printer<'a> {
    ast: &'a Ast,
    out: &'a mut Vec<u8>,
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn expr(&mut self, id: ExprId) {
        match self.ast.expr(id) {
            Expr::Int(n) => self.put(&n.to_string()),
            Expr::Float(n) => self.put(&crate::number::float(n)),
            Expr::String(s) => literal_string(self.ast.bytes(s), self.out),
            Expr::Path(s) => self.out.extend_from_slice(self.ast.bytes(s)),
            Expr::Var(name) => identifier(name, self.out),
            Expr::CurPos => self.put("__curPos"),
            Expr::Select { subject, path, default } => {
                self.put("(");
                self.expr(subject);
                self.put(").");
                self.path(path);
                if let Some(default) = default.get() {
                    self.put(" or (");
                    self.expr(default);
                    self.put(")");
                }
            }
            Expr::HasAttr { subject, path } => {
                self.put("((");
                self.expr(subject);
                self.put(") ? ");
                self.path(path);
                self.put(")");
            }
            Expr::Attrs(id) => {
                let attrs = *self.ast.attrs(id);
                self.put(if attrs.recursive { "rec { " } else { "{ " });
                self.bindings(&attrs);
                self.put("}");
            }
            Expr::List(items) => {
                self.put("[ ");
                for item in self.ast.exprs(items) {
                    self.put("(");
                    self.expr(*item);
                    self.put(") ");
                }
                self.put("]");
            }
            Expr::Lambda(id) => self.lambda(id),
            Expr::Call { function, args } => {
                self.put("(");
                self.expr(function);
                for arg in self.ast.exprs(args) {
                    self.put(" ");
                    self.expr(*arg);
                }
                self.put(")");
            }
            Expr::Let { attrs, body } => {
                self.put("(let ");
                let attrs = *self.ast.attrs(attrs);
                self.bindings(&attrs);
                self.put("in ");
                self.expr(body);
                self.put(")");
            }
            Expr::With { attrs, body } => {
                self.put("(with ");
                self.expr(attrs);
                self.put("; ");
                self.expr(body);
                self.put(")");
            }
            Expr::If { cond, then_expr, else_expr } => {
                self.put("(if ");
                self.expr(cond);
                self.put(" then ");
                self.expr(then_expr);
                self.put(" else ");
                self.expr(else_expr);
                self.put(")");
            }
            Expr::Assert { cond, body } => {
                self.put("assert ");
                self.expr(cond);
                self.put("; ");
                self.expr(body);
            }
            Expr::Not(e) => {
                self.put("(! ");
                self.expr(e);
                self.put(")");
            }
            Expr::Binary { op, lhs, rhs } => {
                self.put("(");
                self.expr(lhs);
                self.put(" ");
                self.put(op.text());
                self.put(" ");
                self.expr(rhs);
                self.put(")");
            }
            Expr::ConcatStrings { parts, .. } => {
                self.put("(");
                for (i, part) in self.ast.parts(parts).iter().enumerate() {
                    if i > 0 {
                        self.put(" + ");
                    }
                    self.expr(part.expr);
                }
                self.put(")");
            }
        }
    }

    fn lambda(&mut self, id: super::LambdaId) {
        let lambda = *self.ast.lambda(id);
        self.put("(");
        if let Some(pattern) = &lambda.pattern {
            self.put("{ ");
            let mut formals = self.ast.formals(pattern).to_vec();
            formals.sort_by_key(|f| f.name.as_bytes());
            for (i, formal) in formals.iter().enumerate() {
                if i > 0 {
                    self.put(", ");
                }
                identifier(formal.name, self.out);
                if let Some(default) = formal.default.get() {
                    self.put(" ? ");
                    self.expr(default);
                }
            }
            if pattern.ellipsis {
                self.put(if formals.is_empty() { "..." } else { ", ..." });
            }
            self.put(" }");
            if lambda.arg.is_some() {
                self.put(" @ ");
            }
        }
        if let Some(arg) = lambda.arg {
            identifier(arg, self.out);
        }
        self.put(": ");
        self.expr(lambda.body);
        self.put(")");
    }

    /// Plain inherits first, then those from each source, then bindings, each group by name.
    fn bindings(&mut self, attrs: &Attrs) {
        let mut sorted = self.ast.bindings(attrs).to_vec();
        sorted.sort_by_key(|b| b.name.as_bytes());
        let mut any = false;
        for binding in sorted.iter().filter(|b| b.value == BindingValue::Inherit) {
            self.put(if any { " " } else { "inherit " });
            any = true;
            identifier(binding.name, self.out);
        }
        if any {
            self.put("; ");
        }
        for (i, source) in self.ast.inherit_sources(attrs).iter().enumerate() {
            let from_here = BindingValue::InheritFrom(i as u32);
            let mut any = false;
            for binding in sorted.iter().filter(|b| b.value == from_here) {
                if !any {
                    self.put("inherit (");
                    self.expr(source.expr);
                    self.put(")");
                    any = true;
                }
                self.put(" ");
                identifier(binding.name, self.out);
            }
            if any {
                self.put("; ");
            }
        }
        for binding in &sorted {
            if let BindingValue::Plain(value) = binding.value {
                identifier(binding.name, self.out);
                self.put(" = ");
                self.expr(value);
                self.put("; ");
            }
        }
        for binding in self.ast.dynamic_bindings(attrs) {
            self.put("\"${");
            self.expr(binding.name);
            self.put("}\" = ");
            self.expr(binding.value);
            self.put("; ");
        }
    }

    fn path(&mut self, path: AttrPathId) {
        for (i, name) in self.ast.attr_path(path).iter().enumerate() {
            if i > 0 {
                self.put(".");
            }
            match *name {
                AttrName::Static(name) => identifier(name, self.out),
                AttrName::Dynamic(e) => {
                    self.put("\"${");
                    self.expr(e);
                    self.put("}\"");
                }
            }
        }
    }
}

/// Appends a name as it may be written in source: quoted unless it is an identifier and no keyword.
pub fn identifier(name: Symbol, out: &mut Vec<u8>) {
    identifier_bytes(name.as_bytes(), out);
}

/// A name as messages show it: quoted where it is no identifier.
pub fn quoted(name: Symbol) -> String {
    let mut out = Vec::new();
    identifier(name, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// As [`identifier`], for a name that is not interned.
pub fn identifier_bytes(name: &[u8], out: &mut Vec<u8>) {
    let plain = !name.is_empty()
        && (name[0].is_ascii_alphabetic() || name[0] == b'_')
        && name.iter().all(|c| c.is_ascii_alphanumeric() || b"_'-".contains(c));
    if plain && !is_keyword(name) {
        out.extend_from_slice(name);
    } else {
        literal_string(name, out);
    }
}

/// Whether an identifier of this text would be read as a keyword. `or` is not among them.
pub fn is_keyword(name: &[u8]) -> bool {
    matches!(
        name,
        b"if" | b"then" | b"else" | b"assert" | b"with" | b"let" | b"in" | b"rec" | b"inherit"
    )
}

/// Appends a string literal in double quotes with its escapes.
pub fn literal_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(&c) = rest.first() {
        match c {
            b'"' | b'\\' => out.extend([b'\\', c]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            b'$' if rest.get(1) == Some(&b'{') => out.extend(b"\\$"),
            _ => out.push(c),
        }
        rest = &rest[1..];
    }
    out.push(b'"');
}
