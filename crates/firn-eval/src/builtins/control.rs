//! Types, errors, tracing, forcing, importing.

use super::Builtin;
use crate::context::ContextBuilder;
use crate::error::{Error, Kind, Result, render};
use crate::machine::Vm;
use crate::position::PosId;
use crate::print;
use crate::value::{Value, View};
use firn_syntax::sym;
use std::os::unix::ffi::OsStrExt;

fn type_of(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = match vm.force(args[0], pos)?.view() {
        View::Int(_) => "int",
        View::Bool(_) => "bool",
        View::Str(_) => "string",
        View::Path(_) => "path",
        View::Null => "null",
        View::Set(_) => "set",
        View::List(_) => "list",
        View::Float(_) => "float",
        _ => "lambda",
    };
    let name = firn_syntax::Symbol::intern(name.as_bytes());
    Ok(vm.symbol_string(name))
}

fn message(vm: &mut Vm, v: Value, pos: PosId, context: &str) -> Result<String> {
    let mut unused = ContextBuilder::new();
    let text = vm.coerce(pos, v, &mut unused, context, false, true, true)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn abort(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let text =
        message(vm, args[0], pos, "while evaluating the error message passed to builtins.abort")?;
    Err(Error::new(
        Kind::Abort,
        format!("evaluation aborted with the following error message: '{text}'"),
    ))
}

fn throw(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let text =
        message(vm, args[0], pos, "while evaluating the error message passed to builtin.throw")?;
    Err(Error::new(Kind::Throw, text))
}

fn add_error_context(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    match vm.force(args[1], pos) {
        Ok(v) => Ok(v),
        Err(e) => {
            let mut unused = ContextBuilder::new();
            let text = vm.coerce(
                pos,
                args[0],
                &mut unused,
                "while evaluating the error message passed to builtins.addErrorContext",
                false,
                false,
                true,
            )?;
            Err(e.context(String::from_utf8_lossy(&text)))
        }
    }
}

fn try_eval(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    vm.catching += 1;
    let failed = vm.failed.len();
    let result = vm.force(args[0], pos);
    vm.catching -= 1;
    match &result {
        Err(e) if e.is_catchable() => vm.remember_failure(failed, e.clone()),
        _ => vm.failed.truncate(failed),
    }
    match result {
        Ok(v) => Ok(vm.set_of(&[(sym::SUCCESS, Value::TRUE), (sym::VALUE, v)])),
        Err(e) if e.is_catchable() => {
            Ok(vm.set_of(&[(sym::SUCCESS, Value::FALSE), (sym::VALUE, Value::FALSE)]))
        }
        Err(e) => Err(e),
    }
}

fn trace(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let v = vm.force(args[0], pos)?;
    let mut text = b"trace: ".to_vec();
    match v.as_str() {
        Some(s) => text.extend_from_slice(s.bytes()),
        None => text.extend(print::pretty(vm, v, print::Style::PLAIN)?),
    }
    vm.shared.io.message(&text);
    vm.said(false)?;
    vm.force(args[1], pos)
}

fn warn(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let text = vm.force_string(
        args[0],
        pos,
        "while evaluating the first argument; the message passed to builtins.warn",
    )?;
    let warning = Error::other(String::from_utf8_lossy(text.bytes())).at(pos);
    let shown = render::render_as("evaluation warning", &warning, &render::Options::default());
    vm.shared.io.message(shown.as_bytes());
    if vm.shared.settings.abort_on_warn {
        return Err(Error::other(
            "aborting to reveal stack trace of warning, as abort-on-warn is set",
        ));
    }
    vm.said(true)?;
    vm.force(args[1], pos)
}

fn get_env(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let name = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.getEnv",
    )?;
    let settings = &vm.shared.settings;
    let value = if settings.restrict || settings.pure {
        None
    } else {
        vm.shared.io.env(&String::from_utf8_lossy(name.bytes()))
    };
    Ok(vm.string(value.unwrap_or_default().as_bytes()))
}

/// Tests that look at nothing but the kind of value.
macro_rules! is_kind {
    ($name:literal, $pattern:pat) => {
        Builtin::new($name, 1, |vm, args, pos| {
            Ok(Value::bool(matches!(vm.force(args[0], pos)?.view(), $pattern)))
        })
        .strict("")
    };
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__typeOf", 1, type_of).strict(""),
        is_kind!("isNull", View::Null),
        is_kind!(
            "__isFunction",
            View::Function(_) | View::Partial(_) | View::Builtin(_) | View::Applied(_)
        ),
        is_kind!("__isInt", View::Int(_)),
        is_kind!("__isFloat", View::Float(_)),
        is_kind!("__isString", View::Str(_)),
        is_kind!("__isBool", View::Bool(_)),
        is_kind!("__isPath", View::Path(_)),
        is_kind!("__isAttrs", View::Set(_)),
        Builtin::new("abort", 1, abort),
        Builtin::new("throw", 1, throw),
        Builtin::new("__addErrorContext", 2, add_error_context).untraced(),
        Builtin::new("__tryEval", 1, try_eval),
        Builtin::new("__seq", 2, |vm, args, pos| {
            vm.force(args[0], pos)?;
            vm.force(args[1], pos)
        })
        .strict(""),
        Builtin::new("__deepSeq", 2, |vm, args, pos| {
            vm.force_deep(args[0])?;
            vm.force(args[1], pos)
        }),
        Builtin::new("__trace", 2, trace).strict(""),
        Builtin::new("__traceVerbose", 2, |vm, args, pos| {
            if vm.shared.settings.trace_verbose {
                trace(vm, args, pos)
            } else {
                vm.force(args[1], pos)
            }
        }),
        Builtin::new("__warn", 2, warn),
        Builtin::new("break", 1, |vm, args, pos| {
            vm.breakpoint()?;
            vm.force(args[0], pos)
        })
        .untraced(),
        Builtin::new("__getEnv", 1, get_env)
            .strict("while evaluating the first argument passed to builtins.getEnv"),
    ]
}
