//! Evaluates each line of standard input by itself, in the present folder and without a store, and
//! writes a line of JSON for each: `{"value": TEXT}` as `nix-instantiate --eval --strict` would print it,
//! or `{"error": MESSAGE}`. A line is written before the next is begun, so that whoever reads knows which
//! one a crash belongs to. The differential fuzzer (`cargo xtask conformance --fuzz`) is that reader.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use firn_eval::io::DryIo;
use firn_eval::{Evaluator, Settings, Vm, print};
use firn_syntax::Origin;

fn evaluate(vm: &mut Vm, line: &str, base: &std::path::Path) -> serde_json::Value {
    let result = vm
        .eval_text(Origin::String, line.as_bytes(), base)
        .and_then(|v| vm.force_deep(v))
        .and_then(|v| print::ambiguous(vm, v));
    match result {
        Ok(text) => serde_json::json!({ "value": String::from_utf8_lossy(&text) }),
        Err(e) => serde_json::json!({ "error": e.message() }),
    }
}

fn main() -> std::io::Result<()> {
    let base = std::env::current_dir()?;
    let settings = Settings {
        system: "x86_64-linux".into(),
        // messages show values as unevaluated as C++ Nix has them
        exact_laziness: true,
        ..Settings::default()
    };
    let evaluator = Evaluator::new(Arc::new(DryIo::default()), settings);
    evaluator.run(|vm| {
        let mut out = std::io::stdout().lock();
        for line in std::io::stdin().lock().lines() {
            let result = evaluate(vm, &line?, &base);
            writeln!(out, "{result}")?;
            out.flush()?;
        }
        Ok(())
    })
}
