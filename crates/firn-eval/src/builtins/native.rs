//! `exec` and `importNative`: running code outside of the language. They exist only where
//! `allow-unsafe-native-code-during-evaluation` is set.

use super::Builtin;
use crate::context::ContextBuilder;
use crate::error::{Error, Result};
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::Value;
use firn_syntax::Origin;
use std::path::Path;

/// Stands for the setting in the table of builtins.
pub(super) const FEATURE: &str = "allow-unsafe-native-code-during-evaluation";

fn exec(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let list =
        vm.force_list(args[0], pos, "while evaluating the first argument passed to builtins.exec")?;
    let mut context = ContextBuilder::new();
    let mut words = Vec::with_capacity(list.len());
    for (i, v) in list.iter().enumerate() {
        let what = if i == 0 {
            "while evaluating the first element of the argument passed to builtins.exec"
        } else {
            "while evaluating an element of the argument passed to builtins.exec"
        };
        let text = vm.coerce(pos, v, &mut context, what, false, false, true)?;
        words.push(String::from_utf8_lossy(&text).into_owned());
    }
    let Some((program, rest)) = words.split_first() else {
        return Err(Error::other("at least one argument to 'exec' required").at(pos));
    };
    vm.realise_context(context.finish())?;
    let output = vm.shared.io.run_program(program, rest)?;
    let source = firn_syntax::Source::new(Origin::String, output);
    let ast = vm
        .parse(source, Path::new("/"))
        .map_err(|e| e.trace(pos, format!("while parsing the output from '{program}'")))?;
    vm.eval_ast(&ast)
        .map_err(|e| e.trace(pos, format!("while evaluating the output from '{program}'")))
}

fn import_native(vm: &mut Vm, args: &[Value], pos: PosId) -> Result<Value> {
    let path = vm.realise_path(args[0], pos, None)?;
    vm.force_string_no_context(
        args[1],
        pos,
        "while evaluating the second argument passed to builtins.importNative",
    )?;
    Err(Error::other(format!(
        "could not open '{}': plugins are written for C++ Nix's own data structures and cannot be loaded here",
        path.display()
    ))
    .at(pos))
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__exec", 1, exec).feature(FEATURE),
        Builtin::new("__importNative", 2, import_native).feature(FEATURE),
    ]
}
