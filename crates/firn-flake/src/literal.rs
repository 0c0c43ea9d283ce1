//! Whether a `flake.nix` states what is read without calling its outputs: sets, lists and literals, nothing
//! that would have to be computed. Defined in the Nix manual, "nix flake", "Flake format".

use std::path::Path;

use firn_eval::position::{self, SourceId};
use firn_eval::{Error, Result};
use firn_syntax::ast::{Attrs, AttrsId, BindingValue, Expr, ExprId};
use firn_syntax::source::Pos;
use firn_syntax::{Ast, Symbol};

/// What can be told of an expression without evaluation.
enum Known {
    Set(AttrsId),
    /// A value that is no set.
    Value,
    /// It would have to be computed.
    Computed,
}

/// Checks a `flake.nix`.
///
/// # Errors
/// If it is no set, or its description, inputs or settings are computed.
pub(crate) fn check(ast: &std::sync::Arc<Ast>, file: &Path) -> Result<()> {
    let Expr::Attrs(root) = ast.expr(ast.root()) else {
        return Err(Error::type_error(format!(
            "file '{}' must be an attribute set",
            file.display()
        )));
    };
    let checker = Checker { ast, source: position::register(ast.source()) };
    let mut scopes = Vec::new();
    checker.members(root, &mut scopes, |name, pos, known, scopes| match name {
        b"description" => checker.expect("a string", known, pos),
        b"outputs" => checker.expect("a function", known, pos),
        b"inputs" => checker.inputs(known, pos, scopes),
        b"nixConfig" => {
            let Known::Set(set) = known else { return checker.expect("a set", known, pos) };
            checker.members(*set, scopes, |name, pos, known, _| {
                let name = String::from_utf8_lossy(name);
                let text = format!("flake configuration setting '{name}' is a thunk");
                checker.refuse(known, pos, text)
            })
        }
        _ => Ok(()),
    })
}

struct Checker<'a> {
    ast: &'a Ast,
    source: SourceId,
}

impl Checker<'_> {
    fn refuse(&self, known: &Known, pos: Pos, text: String) -> Result<()> {
        match known {
            Known::Computed => Err(Error::type_error(text).at(self.source.at(pos))),
            _ => Ok(()),
        }
    }

    fn expect(&self, what: &str, known: &Known, pos: Pos) -> Result<()> {
        self.refuse(known, pos, format!("expected {what} but got a thunk"))
    }

    /// Does something with each member of a set.
    fn members(
        &self,
        set: AttrsId,
        scopes: &mut Vec<Attrs>,
        mut work: impl FnMut(&[u8], Pos, &Known, &mut Vec<Attrs>) -> Result<()>,
    ) -> Result<()> {
        let attrs = *self.ast.attrs(set);
        if attrs.recursive {
            scopes.push(attrs);
        }
        for binding in self.ast.bindings(&attrs) {
            let known = self.binding(binding.value, binding.name, attrs.recursive, scopes, 0);
            work(binding.name.as_bytes(), binding.pos, &known, scopes)?;
        }
        if attrs.recursive {
            scopes.pop();
        }
        Ok(())
    }

    fn inputs(&self, known: &Known, pos: Pos, scopes: &mut Vec<Attrs>) -> Result<()> {
        let Known::Set(set) = known else { return self.expect("a set", known, pos) };
        self.members(*set, scopes, |_, pos, known, scopes| {
            let Known::Set(set) = known else { return self.expect("a set", known, pos) };
            self.members(*set, scopes, |name, pos, known, scopes| match name {
                b"url" => self.expect("a string or a path", known, pos),
                b"flake" => self.expect("a Boolean", known, pos),
                b"follows" => self.expect("a string", known, pos),
                b"inputs" => self.inputs(known, pos, scopes),
                name => {
                    let name = String::from_utf8_lossy(name);
                    let text = format!(
                        "flake input attribute '{name}' is a thunk while a string, Boolean, or integer is expected"
                    );
                    self.refuse(known, pos, text)
                }
            })
        })
    }

    fn binding(
        &self,
        value: BindingValue,
        name: Symbol,
        recursive: bool,
        scopes: &[Attrs],
        depth: u32,
    ) -> Known {
        match value {
            BindingValue::Plain(expr) => self.look(expr, scopes, depth),
            BindingValue::InheritFrom(_) => Known::Computed,
            BindingValue::Inherit => {
                let around = scopes.len() - usize::from(recursive);
                self.variable(name, &scopes[..around], depth)
            }
        }
    }

    fn look(&self, expr: ExprId, scopes: &[Attrs], depth: u32) -> Known {
        match self.ast.expr(expr) {
            Expr::Attrs(id) if self.ast.dynamic_bindings(self.ast.attrs(id)).is_empty() => {
                Known::Set(id)
            }
            Expr::Int(_)
            | Expr::Float(_)
            | Expr::String(_)
            | Expr::Path(_)
            | Expr::List(_)
            | Expr::Lambda(_) => Known::Value,
            Expr::Var(name) => self.variable(name, scopes, depth),
            _ => Known::Computed,
        }
    }

    fn variable(&self, name: Symbol, scopes: &[Attrs], depth: u32) -> Known {
        /// More variables in a row are a circle.
        const LONGEST: u32 = 100;
        if depth > LONGEST {
            return Known::Computed;
        }
        for (n, attrs) in scopes.iter().enumerate().rev() {
            if let Some(found) = self.ast.bindings(attrs).iter().find(|b| b.name == name) {
                return self.binding(found.value, name, true, &scopes[..=n], depth + 1);
            }
        }
        match name.as_bytes() {
            b"true" | b"false" | b"null" => Known::Value,
            _ => Known::Computed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_syntax::{Options, Origin, Source};

    fn message(text: &str) -> String {
        let source = Source::new(Origin::String, text.as_bytes());
        let ast = firn_syntax::parse(source, Path::new("/"), &Options::default()).unwrap();
        match check(&std::sync::Arc::new(ast), Path::new("flake.nix")) {
            Ok(()) => String::new(),
            Err(e) => e.message().to_owned(),
        }
    }

    #[test]
    fn what_is_computed_is_refused() {
        for (text, expected) in [
            ("{ inputs.a.url = \"x\"; outputs = _: { }; }", ""),
            (
                "rec { d = \"x\"; inputs.a.url = d; inputs.b.flake = false; outputs = { self }: 1; }",
                "",
            ),
            ("let x = 1; in { }", "file 'flake.nix' must be an attribute set"),
            ("{ description = \"a\" + \"b\"; }", "expected a string but got a thunk"),
            ("{ inputs.a = f { }; }", "expected a set but got a thunk"),
            ("{ inputs.a.url = \"${x}\"; }", "expected a string or a path but got a thunk"),
            ("{ outputs = import ./x.nix; }", "expected a function but got a thunk"),
            ("rec { a = b; b = a; description = a; }", "expected a string but got a thunk"),
            ("{ nixConfig.cores = 1 + 1; }", "flake configuration setting 'cores' is a thunk"),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
    }
}
