//! What interactive sessions need of the machine: texts that see the session's names, forgetting files that
//! may have changed, and being interrupted.

use super::Vm;
use super::files::Files;
use crate::compile::Surroundings;
use crate::error::Result;
use crate::position::{self, PosId};
use crate::value::{Env, Value};
use firn_syntax::ast::{Expr, ExprId};
use firn_syntax::source::{Origin, Source};
use firn_syntax::{Ast, Symbol};
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The names that a session has bound.
pub type SessionNames = FxHashMap<Symbol, Value>;

/// Makes an evaluator stop with an error, from a signal's handler or another thread.
#[derive(Clone)]
pub struct Interrupter {
    limit: Arc<AtomicUsize>,
    normal: usize,
    flag: Arc<AtomicBool>,
}

impl Interrupter {
    /// Makes the evaluator stop as soon as it can. Only stores numbers, as a signal's handler may.
    pub fn interrupt(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.limit.store(usize::MAX, Ordering::Relaxed);
    }

    /// Lets evaluation go on.
    pub fn reset(&self) {
        self.flag.store(false, Ordering::Relaxed);
        self.limit.store(self.normal, Ordering::Relaxed);
    }
}

impl Vm {
    /// What interrupts this evaluator.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter {
            limit: Arc::clone(&self.stack_limit),
            normal: self.stack_limit.load(Ordering::Relaxed),
            flag: Arc::clone(&self.interrupted),
        }
    }

    /// Runs something that the debugger does not look at.
    pub fn quietly<T>(&mut self, work: impl FnOnce(&mut Vm) -> T) -> T {
        let debug = self.debug.take();
        let result = work(self);
        self.debug = debug;
        result
    }

    /// Runs one level of a recursion that counts as a call.
    ///
    /// # Errors
    /// If there are too many levels, and what `level` raises.
    pub fn deeper<T>(&mut self, level: impl FnOnce(&mut Vm) -> Result<T>) -> Result<T> {
        self.nested(PosId::NONE, level)
    }

    /// Whether errors get the steps of all calls from now on.
    pub fn set_show_trace(&mut self, show: bool) {
        self.show_trace = show;
    }

    /// Forgets what files hold, so that they are read again.
    pub fn forget_files(&self) {
        self.shared.files.forget();
    }

    /// Parses an expression that was typed in.
    ///
    /// # Errors
    /// Where it is not in the language.
    pub fn parse_typed(&self, text: &[u8], base: &Path) -> Result<Arc<Ast>> {
        self.parse(Source::new(Origin::String, text), base)
    }

    /// Evaluates a part of an expression, perhaps all of it, that sees a session's names.
    ///
    /// # Errors
    /// A variable that nothing binds, and what evaluation raises.
    pub fn eval_typed(&mut self, ast: &Ast, part: ExprId, names: &SessionNames) -> Result<Value> {
        let id = position::register(ast.source());
        let around =
            Surroundings { session: Some(names), part: Some(part), ..Surroundings::default() };
        let node = self.compile_at(ast, id, &around)?;
        self.eval(node, Env::NONE)
    }

    /// Parses bindings, as they stand between the braces of a set. `None` if the text is something else.
    pub fn parse_bindings(&self, text: &[u8], base: &Path) -> Option<Arc<Ast>> {
        [&b""[..], b";"].iter().find_map(|end| {
            // The line feed ends a comment.
            let whole = [b"{", text, end, b"\n}"].concat();
            let options = firn_syntax::Options {
                pipe_operators: self.shared.settings.has_feature("pipe-operators"),
                home: None,
                pure: self.shared.settings.pure,
                lints: firn_syntax::Lints::default(),
            };
            let ast =
                firn_syntax::parse(Source::new(Origin::String, whole), base, &options).ok()?;
            let Expr::Attrs(id) = ast.expr(ast.root()) else { return None };
            let attrs = ast.attrs(id);
            let whole = ast.pos(ast.root()).0 == 0 && !attrs.recursive && attrs.dynamic.len == 0;
            (whole && attrs.bindings.len > 0).then(|| Arc::new(ast))
        })
    }

    /// Whether a text, which is no expression, is the beginning of bindings.
    pub fn begins_bindings(&self, text: &[u8], base: &Path) -> bool {
        let options = firn_syntax::Options {
            pipe_operators: self.shared.settings.has_feature("pipe-operators"),
            ..firn_syntax::Options::default()
        };
        let whole = [b"{", text].concat();
        let parsed = firn_syntax::parse(Source::new(Origin::String, whole), base, &options);
        parsed.is_err_and(|e| e.message.contains("unexpected end of file"))
    }

    /// The values of bindings that [`Vm::parse_bindings`] parsed out of `text`. They see a session's names and
    /// not each other, and are not evaluated.
    ///
    /// # Errors
    /// A variable that nothing binds.
    pub fn typed_bindings(
        &mut self,
        ast: &Ast,
        text: &[u8],
        names: &SessionNames,
    ) -> Result<Vec<(Symbol, Value)>> {
        let source = Arc::new(Source::new(Origin::String, text));
        let id = position::register(&source).after(1);
        let around = Surroundings { session: Some(names), ..Surroundings::default() };
        let node = self.compile_at(ast, id, &around)?;
        // Its own values are what is wanted, not the set: making it evaluates none of them.
        let made = self.eval(node, Env::NONE)?;
        let Some(set) = made.as_set() else { return Ok(Vec::new()) };
        Ok(set.iter(&mut self.heap).collect())
    }
}

impl Files {
    /// Forgets everything but what is in the store for good.
    fn forget(&self) {
        self.values.write().clear();
        self.kinds.write().clear();
        self.resolved.write().clear();
        self.sources.write().clear();
        self.lookups.lock().clear();
        self.fetched.lock().clear();
    }
}
