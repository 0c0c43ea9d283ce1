//! Evaluating texts without a store.

#![allow(dead_code, reason = "each test file uses a part")]

use firn_eval::error::render;
use firn_eval::io::DryIo;
use firn_eval::{Evaluator, Settings, print};
use firn_syntax::Origin;
use std::path::Path;
use std::sync::Arc;

/// An evaluator for x86_64-linux.
pub fn evaluator() -> Evaluator {
    let settings = Settings {
        system: "x86_64-linux".into(),
        features: vec!["flakes".into(), "fetch-tree".into()],
        ..Settings::default()
    };
    Evaluator::new(Arc::new(DryIo::default()), settings)
}

/// The value, evaluated completely, as `nix-instantiate --eval --strict` prints it; or the final error.
pub fn eval(text: &str) -> Result<String, String> {
    evaluator().run(|vm| {
        let result = vm
            .eval_text(Origin::String, text.as_bytes(), Path::new("/"))
            .and_then(|v| vm.force_deep(v))
            .and_then(|v| print::ambiguous(vm, v));
        match result {
            Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Err(e) => Err(e.message().to_owned()),
        }
    })
}

/// The whole error.
pub fn rendered_error(text: &str) -> String {
    evaluator().run(|vm| {
        let result = vm
            .eval_text(Origin::String, text.as_bytes(), Path::new("/"))
            .and_then(|v| vm.force_deep(v));
        match result {
            Ok(_) => "no error".into(),
            Err(e) => render::render(&e, &render::Options::default()),
        }
    })
}
