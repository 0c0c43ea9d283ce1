//! Calling functions: matching arguments, filling environments, partial applications, functors.

use super::Vm;
use crate::builtins;
use crate::compile::{Call, Lambda, Match, Param, Pattern};
use crate::error::{Error, Kind, Result, best_matches};
use crate::position::PosId;
use crate::print;
use crate::value::{Applied, Env, Function, Partial, Set, Value, View};
use firn_syntax::ast::quoted;
use firn_syntax::{Symbol, sym};
use std::sync::atomic::Ordering;

/// More arguments than this in one call are handed over in several steps.
const MAX_ARGS: usize = 16;

/// How many ways of matching a pattern are remembered before giving up on remembering.
const MAX_MATCHES: u32 = 64;

impl Vm {
    pub(crate) fn call_node(&mut self, call: &'static Call, env: Env) -> Result<Value> {
        let f = self.eval(&call.function, env)?;
        if self.watch.is_some() {
            // There calls are seen as they are written.
            return self.call_general(f, call, env);
        }
        if let Some(function) = f.as_function() {
            let lambda = function.lambda();
            if lambda.params.len() == call.args.len() {
                return self.call_saturated(function, lambda, call, env);
            }
        } else if let Some(id) = f.as_builtin() {
            let builtin = builtins::get(id);
            if usize::from(builtin.arity) == call.args.len() {
                return self.call_builtin_node(builtin, call, env);
            }
        }
        self.call_general(f, call, env)
    }

    #[inline]
    fn call_saturated(
        &mut self,
        function: Function,
        lambda: &'static Lambda,
        call: &'static Call,
        env: Env,
    ) -> Result<Value> {
        self.enter(call.pos)?;
        let frame = Env::new(&mut self.heap, function.env(), lambda.slots);
        let mut result = Ok(());
        for (param, arg) in lambda.params.iter().zip(call.args) {
            match param.pattern {
                None => {
                    let v = self.lazy(arg, env);
                    if let Some(slot) = param.slot {
                        // SAFETY: the compiler gave the environment this slot.
                        unsafe { frame.set(slot, v) };
                    }
                }
                Some(pattern) => {
                    // A pattern forces its argument at once, so that it needs no thunk.
                    result = match self.eval(arg, env) {
                        Ok(v) => self.bind(param, pattern, v, frame, call.pos),
                        Err(e) => Err(call_site_trace(e, call.pos)),
                    };
                }
            }
        }
        let result = match result {
            Ok(()) => self.run_body(lambda, frame, call.pos),
            Err(e) => Err(e),
        };
        // SAFETY: made above; the call is over.
        unsafe { frame.release(&mut self.heap, lambda.slots) };
        self.leave();
        result
    }

    #[inline]
    fn run_body(&mut self, lambda: &'static Lambda, frame: Env, pos: PosId) -> Result<Value> {
        self.stats.calls += 1;
        if self.watch.is_some() {
            self.count_function(lambda.params[0].pos, lambda.name);
        }
        match self.eval(&lambda.body, frame) {
            Ok(v) => Ok(v),
            Err(e) if self.show_trace => Err(call_trace(e, lambda, pos)),
            Err(e) => Err(e),
        }
    }

    #[inline]
    fn call_builtin_node(
        &mut self,
        builtin: &'static builtins::Builtin,
        call: &'static Call,
        env: Env,
    ) -> Result<Value> {
        self.enter(call.pos)?;
        let mut args = [Value::NULL; 4];
        let mut result = Ok(());
        for (i, node) in call.args.iter().enumerate() {
            // An argument that the builtin forces first thing needs no thunk.
            if i == 0 && builtin.strict_first {
                match self.eval(node, env) {
                    Ok(v) => args[0] = v,
                    Err(e) => {
                        result = Err(match builtin.strict_context {
                            "" => e,
                            context => e.trace(PosId::NONE, context),
                        });
                        break;
                    }
                }
            } else {
                args[i] = self.lazy(node, env);
            }
        }
        self.stats.builtin_calls += 1;
        let result = match result {
            Ok(()) => (builtin.run)(self, &args[..call.args.len()], PosId::NONE),
            Err(e) => Err(e),
        };
        self.leave();
        result.map_err(|e| self.builtin_trace(e, builtin, call.pos))
    }

    #[inline(never)]
    fn call_general(&mut self, f: Value, call: &'static Call, env: Env) -> Result<Value> {
        let mut args = [Value::NULL; MAX_ARGS];
        let mut f = f;
        for chunk in call.args.chunks(MAX_ARGS) {
            for (at, node) in args.iter_mut().zip(chunk) {
                *at = self.lazy(node, env);
            }
            f = self.apply(f, &args[..chunk.len()], call.pos)?;
        }
        Ok(f)
    }

    /// The value of `f` with one argument.
    pub fn apply1(&mut self, f: Value, arg: Value, pos: PosId) -> Result<Value> {
        self.apply(f, &[arg], pos)
    }

    /// The value of `f args…`.
    pub fn apply(&mut self, f: Value, args: &[Value], pos: PosId) -> Result<Value> {
        self.enter(pos)?;
        let result = match self.watch {
            None => self.apply_entered(f, args, pos),
            Some(_) => self.apply_watched(f, args, pos),
        };
        self.leave();
        result
    }

    #[cold]
    fn apply_watched(&mut self, f: Value, args: &[Value], pos: PosId) -> Result<Value> {
        self.watch_call(super::looked_at(f), args, pos);
        let result = self.apply_entered(f, args, pos);
        self.unwatch(pos);
        result
    }

    fn apply_entered(&mut self, f: Value, mut args: &[Value], pos: PosId) -> Result<Value> {
        let mut f = self.force(f, pos)?;
        while !args.is_empty() {
            match f.view() {
                View::Function(function) => {
                    let arity = function.lambda().params.len();
                    if args.len() < arity {
                        return Ok(Partial::make(&mut self.heap, function, &[], args));
                    }
                    f = self.apply_function(function, &[], &args[..arity], pos)?;
                    args = &args[arity..];
                }
                View::Partial(partial) => {
                    let function = partial.function();
                    let missing = function.lambda().params.len() - partial.args().len();
                    if args.len() < missing {
                        return Ok(Partial::make(&mut self.heap, function, partial.args(), args));
                    }
                    f = self.apply_function(function, partial.args(), &args[..missing], pos)?;
                    args = &args[missing..];
                }
                View::Builtin(id) => {
                    let builtin = builtins::get(id);
                    let arity = usize::from(builtin.arity);
                    if args.len() < arity {
                        return Ok(Applied::make(&mut self.heap, id, &[], args));
                    }
                    f = self.run_builtin(builtin, &args[..arity], pos)?;
                    args = &args[arity..];
                }
                View::Applied(applied) => {
                    let builtin = builtins::get(applied.builtin());
                    let arity = usize::from(builtin.arity);
                    let have = applied.args().len();
                    if args.len() + have < arity {
                        return Ok(Applied::make(
                            &mut self.heap,
                            applied.builtin(),
                            applied.args(),
                            args,
                        ));
                    }
                    let mut all = [Value::NULL; 4];
                    all[..have].copy_from_slice(applied.args());
                    all[have..arity].copy_from_slice(&args[..arity - have]);
                    f = self.run_builtin(builtin, &all[..arity], pos)?;
                    args = &args[arity - have..];
                }
                View::Set(set) if set.has(sym::FUNCTOR) => {
                    let functor = set.get(sym::FUNCTOR).unwrap_or(Value::NULL);
                    f = self
                        .apply(functor, &[f, args[0]], set.position(sym::FUNCTOR))
                        .map_err(|e| {
                            e.trace(
                                pos,
                                "while calling a functor (an attribute set with a '__functor' attribute)",
                            )
                        })?;
                    args = &args[1..];
                }
                _ => {
                    let shown = print::for_error(self, f);
                    return Err(Error::type_error(format!(
                        "attempt to call something which is not a function but {}: {shown}",
                        f.describe()
                    ))
                    .at(pos));
                }
            }
        }
        Ok(f)
    }

    fn run_builtin(
        &mut self,
        builtin: &'static builtins::Builtin,
        args: &[Value],
        pos: PosId,
    ) -> Result<Value> {
        self.stats.builtin_calls += 1;
        if self.watch.is_some() {
            self.count_builtin(builtin.short_name());
        }
        let result = (builtin.run)(self, args, PosId::NONE);
        result.map_err(|e| self.builtin_trace(e, builtin, pos))
    }

    /// Calls a function with all its arguments.
    fn apply_function(
        &mut self,
        function: Function,
        first: &[Value],
        more: &[Value],
        pos: PosId,
    ) -> Result<Value> {
        let lambda = function.lambda();
        let frame = Env::new(&mut self.heap, function.env(), lambda.slots);
        for (param, arg) in lambda.params.iter().zip(first.iter().chain(more)) {
            match param.pattern {
                None => {
                    if let Some(slot) = param.slot {
                        // SAFETY: the compiler gave the environment this slot.
                        unsafe { frame.set(slot, *arg) };
                    }
                }
                Some(pattern) => {
                    let v = self.force(*arg, param.pos).map_err(|e| call_site_trace(e, pos))?;
                    self.bind(param, pattern, v, frame, pos)?;
                }
            }
        }
        let result = self.run_body(lambda, frame, pos);
        // SAFETY: made above; the call is over.
        unsafe { frame.release(&mut self.heap, lambda.slots) };
        result
    }

    /// Matches a set against a pattern and fills the slots.
    #[inline]
    fn bind(
        &mut self,
        param: &'static Param,
        pattern: &'static Pattern,
        value: Value,
        frame: Env,
        pos: PosId,
    ) -> Result<()> {
        let Some(set) = value.as_set() else {
            let e = self
                .expected("a set", value)
                .trace(param.pos, "while evaluating the value passed for the lambda argument");
            return Err(call_site_trace(e, pos));
        };
        if let Some(slot) = param.slot {
            // SAFETY: the compiler gave the environment this slot.
            unsafe { frame.set(slot, value) };
        }
        // SAFETY: null, or the address of a match that `match_slow` leaked.
        let known: Option<&'static Match> =
            unsafe { pattern.cache.load(Ordering::Acquire).as_ref() };
        match known {
            Some(known) if std::ptr::from_ref(known.shape) as u64 == set.shape_word() => {
                self.bind_slots(pattern, &known.slots, set, frame);
                Ok(())
            }
            _ => self.bind_slow(param, pattern, set, frame, pos),
        }
    }

    #[inline]
    fn bind_slots(&mut self, pattern: &'static Pattern, slots: &[u32], set: Set, frame: Env) {
        let mut defaults = false;
        for (formal, slot) in pattern.formals.iter().zip(slots) {
            if *slot == u32::MAX {
                defaults = true;
            } else {
                // SAFETY: the compiler gave the environment this slot.
                unsafe { frame.set(formal.slot, set.slot(*slot as usize)) };
            }
        }
        if defaults {
            for (formal, slot) in pattern.formals.iter().zip(slots) {
                if *slot == u32::MAX
                    && let Some(default) = &formal.default
                {
                    let v = self.lazy(default, frame);
                    // SAFETY: as above.
                    unsafe { frame.set(formal.slot, v) };
                }
            }
        }
    }

    #[inline(never)]
    fn bind_slow(
        &mut self,
        param: &'static Param,
        pattern: &'static Pattern,
        set: Set,
        frame: Env,
        pos: PosId,
    ) -> Result<()> {
        let mut used = 0;
        let mut missing: Option<Symbol> = None;
        for formal in pattern.formals {
            if set.has(formal.name) {
                used += 1;
            } else if formal.default.is_none() {
                // C++ Nix goes through them in the order in which their names were first met
                missing = Some(missing.map_or(formal.name, |other| other.min(formal.name)));
            }
        }
        if let Some(name) = missing {
            return Err(Error::new(
                Kind::Missing,
                format!(
                    "function '{}' called without required argument '{}'",
                    function_name(param),
                    quoted(name),
                ),
            )
            .at(param.pos)
            .trace(pos, "from call site"));
        }
        if !pattern.ellipsis && used != set.len() {
            return Err(self.unexpected_argument(param, pattern, set, pos));
        }
        if let Some(shape) = set.shape() {
            let slots: Box<[u32]> = pattern
                .formals
                .iter()
                .map(|f| shape.find(f.name).map_or(u32::MAX, |i| i as u32))
                .collect();
            if pattern.misses.fetch_add(1, Ordering::Relaxed) < MAX_MATCHES {
                let leaked = Box::leak(Box::new(Match { shape, slots }));
                pattern.cache.store(leaked, Ordering::Release);
                let slots: &'static [u32] = &leaked.slots;
                self.bind_slots(pattern, slots, set, frame);
            } else {
                self.bind_slots(pattern, &slots, set, frame);
            }
            return Ok(());
        }
        for formal in pattern.formals {
            if let Some(v) = set.get(formal.name) {
                // SAFETY: the compiler gave the environment this slot.
                unsafe { frame.set(formal.slot, v) };
            }
        }
        for formal in pattern.formals {
            if let Some(default) = &formal.default
                && !set.has(formal.name)
            {
                let v = self.lazy(default, frame);
                // SAFETY: as above.
                unsafe { frame.set(formal.slot, v) };
            }
        }
        Ok(())
    }

    #[cold]
    fn unexpected_argument(
        &mut self,
        param: &'static Param,
        pattern: &'static Pattern,
        set: Set,
        pos: PosId,
    ) -> Error {
        let unexpected = set
            .iter(&mut self.heap)
            .map(|(name, _)| name)
            .find(|name| pattern.shape.find(*name).is_none())
            .unwrap_or(sym::EMPTY);
        let near =
            best_matches(pattern.formals.iter().map(|f| f.name.as_bytes()), unexpected.as_bytes());
        Error::type_error(format!(
            "function '{}' called with unexpected argument '{}'",
            function_name(param),
            quoted(unexpected)
        ))
        .at(param.pos)
        .trace(pos, "from call site")
        .suggest(near)
    }

    /// Calls a function that takes a set with those of `args` that it asks for, as the command line does
    /// with what it evaluates.
    ///
    /// # Errors
    /// An argument without default that is not among `args`, and what the call raises.
    pub fn auto_call(&mut self, args: Set, f: Value) -> Result<Value> {
        let f = self.force(f, PosId::NONE)?;
        let function = match f.view() {
            View::Set(set) => match set.get(sym::FUNCTOR) {
                Some(functor) => {
                    let g = self.apply(functor, &[f], PosId::NONE)?;
                    return self.auto_call(args, g);
                }
                None => return Ok(f),
            },
            View::Function(function) => function,
            _ => return Ok(f),
        };
        let [Param { pattern: Some(pattern), .. }] = function.lambda().params else { return Ok(f) };
        let set = if pattern.ellipsis {
            args.value()
        } else {
            let mut attrs: Vec<(Symbol, Value)> = Vec::new();
            for formal in pattern.formals {
                match args.get(formal.name) {
                    Some(v) => attrs.push((formal.name, v)),
                    None if formal.default.is_none() => {
                        return Err(Error::new(
                            Kind::Missing,
                            format!(
                                "cannot evaluate a function that has an argument without a value ('{}')\n\
                                 Nix attempted to evaluate a function as a top level expression; in\n\
                                 this case it must have its arguments supplied either by default\n\
                                 values, or passed explicitly with '--arg' or '--argstr'. See\n\
                                 https://nix.dev/manual/nix/stable/language/syntax.html#functions.",
                                formal.name
                            ),
                        )
                        .at(formal.pos));
                    }
                    None => {}
                }
            }
            self.set_of(&attrs)
        };
        self.apply(f, &[set], function.lambda().params[0].pos)
    }
}

fn function_name(param: &Param) -> String {
    param.name.map_or_else(|| "anonymous lambda".into(), |n| n.to_string())
}

#[cold]
fn call_site_trace(e: Error, pos: PosId) -> Error {
    if pos.is_some() { e.trace(pos, "from call site") } else { e }
}

#[cold]
fn call_trace(e: Error, lambda: &Lambda, pos: PosId) -> Error {
    // The body is that of the innermost function.
    let param = &lambda.params[lambda.params.len() - 1];
    let what = match param.name {
        Some(name) => format!("while calling '{name}'"),
        None => "while calling anonymous lambda".into(),
    };
    let e = e.trace(param.pos, what);
    if pos.is_some() { e.trace(pos, "from call site") } else { e }
}

impl Vm {
    #[cold]
    fn builtin_trace(&mut self, e: Error, builtin: &builtins::Builtin, pos: PosId) -> Error {
        let e = self.builtin_raised(e);
        if builtin.traced {
            e.trace(pos, format!("while calling the '{}' builtin", builtin.short_name()))
        } else {
            e
        }
    }
}
