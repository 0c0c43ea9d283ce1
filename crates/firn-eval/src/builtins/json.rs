//! JSON, TOML and XML.

use super::Builtin;
use crate::context::ContextBuilder;
use crate::error::{Error, Result};
use crate::machine::Vm;
use crate::position::PosId;
use crate::print;
use crate::text::json::{self, JsonError, Visitor};
use crate::text::toml::{self, Toml};
use crate::value::{List, SetBuilder, Value};
use firn_syntax::Symbol;

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
    let mut reader = Reader { vm, open: Vec::new(), result: Value::NULL };
    json::parse(s.bytes(), &mut reader).map_err(|e| match e {
        JsonFailure(JsonError::Syntax(message)) => {
            Error::other(message).trace(pos, "while decoding a JSON string")
        }
        JsonFailure(JsonError::Unsupported(message)) => Error::other(message),
    })?;
    Ok(reader.result)
}

fn from_toml(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let s = vm.force_string_no_context(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.fromTOML",
    )?;
    let parsed = toml::parse(s.bytes()).map_err(|e| toml_error(&e.to_string(), pos))?;
    toml_value(vm, &parsed, pos)
}

fn toml_error(message: &str, pos: PosId) -> Error {
    Error::other(format!("while parsing TOML: {message}")).at(pos)
}

/// The depth is bounded by the reader.
fn toml_value(vm: &mut Vm, toml: &Toml, pos: PosId) -> Result<Value> {
    Ok(match toml {
        Toml::Table(table) => {
            let mut set = SetBuilder::with_capacity(table.len());
            for (key, value) in table {
                let value = toml_value(vm, value, pos)?;
                set.push(Symbol::intern(toml_text(key, pos)?), value);
            }
            set.finish(&mut vm.heap).value()
        }
        Toml::List(items) => {
            let items: Vec<Value> =
                items.iter().map(|item| toml_value(vm, item, pos)).collect::<Result<_>>()?;
            List::new(&mut vm.heap, &items).value()
        }
        Toml::String(text) => vm.string(toml_text(text, pos)?),
        Toml::Integer(n) => vm.int(*n),
        Toml::Float(n) => Value::float(&mut vm.heap, *n),
        Toml::Boolean(b) => Value::bool(*b),
        Toml::Timestamp(text) => {
            if !vm.shared.settings.has_feature("parse-toml-timestamps") {
                return Err(toml_error("Dates and times are not supported", pos));
            }
            let kind = vm.string("timestamp");
            let value = vm.string(text);
            vm.set_of(&[(Symbol::intern(b"_type"), kind), (Symbol::intern(b"value"), value)])
        }
    })
}

fn toml_text(text: &str, pos: PosId) -> Result<&[u8]> {
    if !text.contains('\0') {
        return Ok(text.as_bytes());
    }
    let text = text.replace('\0', "␀");
    // The reference shows an error within an error here.
    let message = format!(
        "error: input string '{text}' cannot be represented as Nix string because it contains null bytes"
    );
    Err(toml_error(&message, pos))
}

struct JsonFailure(JsonError);

impl From<JsonError> for JsonFailure {
    fn from(error: JsonError) -> JsonFailure {
        JsonFailure(error)
    }
}

/// A list or object that is being read.
enum Open {
    List(Vec<Value>),
    Object(Vec<(Symbol, Value)>),
}

/// Makes values of what a JSON text holds.
struct Reader<'a> {
    vm: &'a mut Vm,
    open: Vec<Open>,
    result: Value,
}

impl Reader<'_> {
    fn add(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.result = value,
            Some(Open::List(items)) => items.push(value),
            Some(Open::Object(attrs)) => {
                if let Some((_, slot)) = attrs.last_mut() {
                    *slot = value;
                }
            }
        }
    }
}

impl Visitor for Reader<'_> {
    type Error = JsonFailure;

    fn null(&mut self) -> std::result::Result<(), JsonFailure> {
        self.add(Value::NULL);
        Ok(())
    }

    fn boolean(&mut self, value: bool) -> std::result::Result<(), JsonFailure> {
        self.add(Value::bool(value));
        Ok(())
    }

    fn integer(&mut self, value: i64) -> std::result::Result<(), JsonFailure> {
        let value = self.vm.int(value);
        self.add(value);
        Ok(())
    }

    fn float(&mut self, value: f64) -> std::result::Result<(), JsonFailure> {
        let value = Value::float(&mut self.vm.heap, value);
        self.add(value);
        Ok(())
    }

    fn string(&mut self, value: &[u8]) -> std::result::Result<(), JsonFailure> {
        let value = self.vm.string(value);
        self.add(value);
        Ok(())
    }

    fn begin_list(&mut self) -> std::result::Result<(), JsonFailure> {
        self.open.push(Open::List(Vec::new()));
        Ok(())
    }

    fn begin_object(&mut self) -> std::result::Result<(), JsonFailure> {
        self.open.push(Open::Object(Vec::new()));
        Ok(())
    }

    fn key(&mut self, key: &[u8]) -> std::result::Result<(), JsonFailure> {
        if let Some(Open::Object(attrs)) = self.open.last_mut() {
            attrs.push((Symbol::intern(key), Value::NULL));
        }
        Ok(())
    }

    fn end_list(&mut self) -> std::result::Result<(), JsonFailure> {
        if let Some(Open::List(items)) = self.open.pop() {
            let list = List::new(&mut self.vm.heap, &items).value();
            self.add(list);
        }
        Ok(())
    }

    fn end_object(&mut self) -> std::result::Result<(), JsonFailure> {
        if let Some(Open::Object(attrs)) = self.open.pop() {
            let mut set = SetBuilder::with_capacity(attrs.len());
            // The last of several values for a key counts.
            attrs.into_iter().rev().for_each(|(name, value)| set.push(name, value));
            let set = set.finish(&mut self.vm.heap).value();
            self.add(set);
        }
        Ok(())
    }
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
