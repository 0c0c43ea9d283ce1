//! `nix eval`.

use std::path::Path;

use firn_eval::context::ContextBuilder;
use firn_eval::position::PosId;
use firn_eval::print::{self, Style};
use firn_eval::value::Set;
use firn_eval::{Value, Vm};
use firn_syntax::Origin;
use firn_syntax::source::Source;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::call::{Call, Stop};
use super::flags::{Flag, flag, option};
use super::installables::Installable;
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome, fail, usage};

/// Flags of `nix eval`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag("raw", None, "print strings without quotes and escapes"),
    option("apply", None, &["expr"], "apply this function to the value"),
    option("write-to", None, &["path"], "write a string, or the strings of nested sets, to files"),
    flag("read-only", None, "do not add derivations and sources to the store"),
];

/// `nix eval`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    if call.given.has("raw") && call.given.has("json") {
        return usage("--raw and --json are mutually exclusive");
    }
    let items = call.installables()?;
    let [item] = &items[..] else { return usage("only one installable can be evaluated") };
    if matches!(
        item,
        Installable::Store(_)
            | Installable::Attr { outputs: Some(_), .. }
            | Installable::Flake { outputs: Some(_), .. }
    ) {
        return fail("only attributes can be evaluated, not store paths or outputs");
    }
    let session = call.session()?;
    let source = call.root(&session)?;
    let (raw, json) = (call.given.has("raw"), call.given.has("json"));
    let apply = call.given.value("apply").map(str::to_owned);
    let target = call.given.value("write-to").map(str::to_owned);
    let read_only = call.given.has("read-only");
    let base = call.given.base();
    let work = |vm: &mut Vm, args: Set| -> Result<Text, Stop> {
        let found = source.values(args).get(vm, item)?;
        let (mut value, pos) = (found.value, found.pos);
        if value.as_set().is_none() && !args.is_empty() {
            value = vm.auto_call(args, value)?;
        }
        if let Some(function) = &apply {
            let ast = vm.parse(Source::new(Origin::String, function.as_bytes()), &base)?;
            let function = vm.eval_ast(&ast)?;
            value = vm.apply1(function, value, PosId::NONE)?;
        }
        let value = vm.force(value, pos)?;
        if let Some(target) = &target {
            let target = current_dir().join(target);
            if target.symlink_metadata().is_ok() {
                return Err(Failure::Message(format!(
                    "path '{}' already exists",
                    target.display()
                ))
                .into());
            }
            write_to(vm, value, &target)?;
            return Ok(Text(Vec::new()));
        }
        let mut context = ContextBuilder::new();
        if raw {
            return Ok(Text(print::raw(vm, value)?));
        }
        if json {
            let mut text = Vec::new();
            print::json::to_json(vm, value, pos, &mut context, true, true, &mut text)?;
            text.push(b'\n');
            return Ok(Text(text));
        }
        let style = Style { force: true, derivation_paths: true, ..Style::PLAIN };
        let mut text = print::pretty(vm, value, style)?;
        text.push(b'\n');
        Ok(Text(text))
    };
    let Text(text) = if target.is_some() {
        call.evaluate(&session, read_only, work)?
    } else {
        let question = format!("eval {item:?} {:?} {raw} {json} {apply:?}", call.targets);
        call.evaluate_cached(&session, read_only, &question, work)?
    };
    if json && (call.given.has("pretty") || rustix::termios::isatty(std::io::stdout())) {
        let value = serde_json::from_slice(&text)
            .map_err(|e| Failure::Message(format!("reading the JSON again: {e}")))?;
        return call.print_json(&value);
    }
    Ok(call.out.write_all(&text)?)
}

/// What is printed. Only what is UTF-8 can be kept for the next time.
struct Text(Vec<u8>);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into_bytes()))
    }
}

/// Writes strings to files; sets are folders.
fn write_to(vm: &mut Vm, value: Value, target: &Path) -> Result<(), Stop> {
    let failed = |e: std::io::Error| {
        Stop::Other(Failure::Message(format!(
            "writing '{}': {}",
            target.display(),
            firn_store::error::errno_text(&e)
        )))
    };
    let value = vm.force(value, PosId::NONE)?;
    if let Some(text) = value.as_str() {
        return std::fs::write(target, text.bytes()).map_err(failed);
    }
    let Some(set) = value.as_set() else {
        return Err(Failure::Message(format!(
            "value at '{}' is not a string or an attribute set",
            target.display()
        ))
        .into());
    };
    std::fs::create_dir(target).map_err(failed)?;
    let entries: Vec<(Vec<u8>, Value)> =
        set.sorted(&mut vm.heap).map(|(name, v)| (name.as_bytes().to_vec(), v)).collect();
    for (name, v) in entries {
        let name = String::from_utf8_lossy(&name).into_owned();
        if name == "." || name == ".." || name.contains('/') {
            return Err(Failure::Message(format!("invalid file name '{name}'")).into());
        }
        write_to(vm, v, &target.join(name))?;
    }
    Ok(())
}
