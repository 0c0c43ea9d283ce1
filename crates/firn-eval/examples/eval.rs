//! Evaluates an expression or a file without a store and prints the value.
//!
//! ```text
//! cargo run --example eval -- '1 + 1'
//! cargo run --example eval -- --file default.nix --attr hello.drvPath
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use firn_eval::error::render;
use firn_eval::io::DryIo;
use firn_eval::value::Set;
use firn_eval::{Evaluator, Settings, packages, print};
use firn_syntax::Origin;
use std::path::PathBuf;
use std::sync::Arc;

fn main() {
    let mut settings = Settings { system: "x86_64-linux".into(), ..Settings::default() };
    let (mut text, mut file, mut attr, mut strict, mut stats) =
        (None, None, String::new(), false, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        match &*arg {
            "--file" => file = Some(PathBuf::from(value())),
            "--attr" => attr = value(),
            "--strict" => strict = true,
            "--stats" => stats = true,
            "--show-trace" => settings.show_trace = true,
            "--exact" => settings.exact_laziness = true,
            "-I" => {
                let entry = value();
                settings.search_path.push(match entry.split_once('=') {
                    Some((prefix, path)) => (prefix.into(), path.into()),
                    None => (String::new(), entry),
                });
            }
            _ => text = Some(arg),
        }
    }
    let show_trace = settings.show_trace;
    let evaluator = Evaluator::new(Arc::new(DryIo::default()), settings);
    let result = evaluator.run(|vm| {
        let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let root = match &file {
            Some(file) => vm.eval_file(&cwd.join(file)),
            None => {
                vm.eval_text(Origin::String, text.as_deref().unwrap_or("null").as_bytes(), &cwd)
            }
        }?;
        let (v, _) = packages::select(vm, &attr, Set::empty(), root)?;
        if strict {
            vm.force_deep(v)?;
        }
        let text = print::ambiguous(vm, v);
        if stats {
            eprintln!(
                "{:?}, {} MiB, {} derivations",
                vm.stats,
                vm.heap.used() >> 20,
                vm.derivation_count()
            );
        }
        text
    });
    // Everything is gone in a moment anyway.
    std::mem::forget(evaluator);
    match result {
        Ok(text) => println!("{}", String::from_utf8_lossy(&text)),
        Err(e) => {
            let options = render::Options { show_trace, ..render::Options::default() };
            eprintln!("{}", render::render(&e, &options));
            std::process::exit(1);
        }
    }
}
