//! A session: the names that are bound, and evaluating texts that see them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_eval::machine::SessionNames;
use firn_eval::position::PosId;
use firn_eval::print;
use firn_eval::value::Set;
use firn_eval::{Error, Kind, Result, Value, Vm};
use firn_syntax::Ast;
use firn_syntax::Symbol;
use firn_syntax::ast::identifier;

/// More names than this are not listed when they are bound.
const LISTED: usize = 20;

/// What has been bound so far.
pub struct Session {
    /// What paths are relative to.
    base: PathBuf,
    names: SessionNames,
    /// Names for completion: global ones and the session's.
    known: BTreeSet<String>,
    last_loaded: Option<Set>,
}

/// What a text came to.
pub enum Entered {
    /// Bindings, which are there now.
    Bound,
    /// An expression's value.
    Value(Value),
    /// The text is not complete: more is to be typed.
    Incomplete,
}

/// What binding the attributes of a set came to.
pub struct Added {
    /// How many there are.
    pub count: usize,
    /// The first names, in their order, quoted where they must be.
    pub first: Vec<String>,
}

impl Session {
    /// A session in a folder, with nothing bound.
    pub fn new(vm: &Vm, base: &Path) -> Session {
        let mut session = Session {
            base: base.to_owned(),
            names: SessionNames::default(),
            known: BTreeSet::new(),
            last_loaded: None,
        };
        session.reset(vm);
        session
    }

    /// Forgets all that was bound.
    pub fn reset(&mut self, vm: &Vm) {
        self.names.clear();
        let names = &vm.shared.globals.names;
        self.known = names.keys().map(ToString::to_string).collect();
    }

    /// The names that a word may become.
    pub fn known(&self) -> &BTreeSet<String> {
        &self.known
    }

    /// Binds a name.
    pub fn bind(&mut self, name: Symbol, value: Value) {
        self.names.insert(name, value);
        self.known.insert(name.to_string());
    }

    /// Binds the attributes of a set.
    ///
    /// # Errors
    /// If the value is no set, and what evaluating it raises.
    pub fn add(&mut self, vm: &mut Vm, value: Value) -> Result<Added> {
        let set = self.attributes(
            vm,
            value,
            "while evaluating an attribute set to be merged in the global scope",
        )?;
        let attrs: Vec<(Symbol, Value)> = set.sorted(&mut vm.heap).collect();
        for (name, value) in &attrs {
            self.bind(*name, *value);
        }
        self.last_loaded = Some(set);
        let first = attrs.iter().take(LISTED).map(|(name, _)| {
            let mut text = Vec::new();
            identifier(*name, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Added { count: attrs.len(), first: first.collect() })
    }

    /// The value as a set.
    ///
    /// # Errors
    /// If it is none, and what evaluating it raises.
    pub(crate) fn attributes(&self, vm: &mut Vm, value: Value, why: &str) -> Result<Set> {
        let traced = |e: Error| e.trace(PosId::NONE, why);
        let value = vm.force(value, PosId::NONE).map_err(traced)?;
        match value.as_set() {
            Some(set) => Ok(set),
            None => {
                let shown = print::for_error(vm, value);
                Err(traced(Error::type_error(format!(
                    "expected a set but found {}: {shown}",
                    value.describe()
                ))))
            }
        }
    }

    /// The names of the set that was loaded last.
    ///
    /// # Errors
    /// If none was.
    pub fn last_loaded(&self, vm: &mut Vm) -> Result<Vec<String>> {
        match self.last_loaded {
            Some(set) => Ok(set.sorted(&mut vm.heap).map(|(name, _)| name.to_string()).collect()),
            None => Err(Error::other("nothing has been loaded yet")),
        }
    }

    /// Takes a text that is bindings or an expression.
    ///
    /// # Errors
    /// Where the text is not in the language, a variable that nothing binds, and what evaluation raises.
    pub fn enter(&mut self, vm: &mut Vm, text: &str) -> Result<Entered> {
        if let Some(ast) = vm.parse_bindings(text.as_bytes(), &self.base) {
            for (name, value) in vm.typed_bindings(&ast, text.as_bytes(), &self.names)? {
                self.bind(name, value);
            }
            return Ok(Entered::Bound);
        }
        let parsed = self.parse(vm, text);
        if parsed.is_err() && vm.begins_bindings(text.as_bytes(), &self.base) {
            return Ok(Entered::Incomplete);
        }
        match parsed? {
            None => Ok(Entered::Incomplete),
            Some(ast) => Ok(Entered::Value(vm.eval_typed(&ast, ast.root(), &self.names)?)),
        }
    }

    /// The tree of an expression; `None` if the text is not complete.
    ///
    /// # Errors
    /// Where it is not in the language.
    pub(crate) fn parse(&self, vm: &Vm, text: &str) -> Result<Option<Arc<Ast>>> {
        match vm.parse_typed(text.as_bytes(), &self.base) {
            Ok(ast) => Ok(Some(ast)),
            Err(e) if is_incomplete(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn names(&self) -> &SessionNames {
        &self.names
    }

    /// The value of an expression; `None` if the text is not complete.
    ///
    /// # Errors
    /// As for [`Session::enter`].
    pub fn evaluate(&self, vm: &mut Vm, text: &str) -> Result<Option<Value>> {
        match self.parse(vm, text)? {
            None => Ok(None),
            Some(ast) => Ok(Some(vm.eval_typed(&ast, ast.root(), &self.names)?)),
        }
    }
}

/// Whether a text's end was reached too early.
fn is_incomplete(e: &Error) -> bool {
    e.kind() == Kind::Syntax && e.message().contains("unexpected end of file")
}
