//! JSON, TOML and XML.

use super::Builtin;
use crate::context::ContextBuilder;
use crate::error::Result;
use crate::machine::Vm;
use crate::position::PosId;
use crate::print;
use crate::text;
use crate::value::Value;

fn to_json(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let mut out = Vec::new();
    print::json::to_json(vm, args[0], pos, &mut context, true, true, &mut out)?;
    Ok(vm.string_with(&out, context.finish()))
}

fn to_xml(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let mut context = ContextBuilder::new();
    let out = print::to_xml(vm, args[0], true, false, &mut context, pos)?;
    Ok(vm.string_with(&out, context.finish()))
}

fn from_json(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.fromJSON",
    )?;
    text::parse_json(vm, s.bytes(), pos)
}

fn from_toml(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.fromTOML",
    )?;
    text::parse_toml(vm, s.bytes(), pos)
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__toJSON", 1, to_json),
        Builtin::new("__toXML", 1, to_xml),
        Builtin::new("__fromJSON", 1, from_json)
            .strict("while evaluating the first argument passed to builtins.fromJSON"),
        Builtin::new("fromTOML", 1, from_toml)
            .strict("while evaluating the argument passed to builtins.fromTOML"),
    ]
}
