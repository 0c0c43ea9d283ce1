//! No text makes the parser, the printer or the scope check panic.
#![no_main]

use firn_syntax::{Options, Origin, Source, ast, parse, scope};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &[u8]| {
    let options = Options { pipe_operators: true, ..Options::default() };
    match parse(Source::new(Origin::String, text), Path::new("/"), &options) {
        Ok(tree) => {
            ast::show(&tree, tree.root(), &mut Vec::new());
            if let Err(error) = scope::check(&tree, &|_| false) {
                let _ = error.to_string();
            }
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
});
