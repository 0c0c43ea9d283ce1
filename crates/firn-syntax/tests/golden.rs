//! Texts and what C++ Nix 2.34 answers to `nix-instantiate --parse -` for each, run in `/` with `HOME=/root`.
//!
//! `golden.txt` holds them as `>>>`, the text, `<<<`, the answer (warnings and errors included).

use firn_syntax::{Options, Origin, Source, Symbol, ast, parse, scope};
use std::path::Path;

/// The names that the inputs take from the global scope.
const GLOBALS: &[&[u8]] =
    &[b"true", b"false", b"null", b"__sub", b"__mul", b"__div", b"__lessThan"];
const MORE_GLOBALS: &[&[u8]] = &[b"__findFile", b"__nixPath"];

fn answer(text: &[u8]) -> String {
    let options = Options { home: Some("/root".into()), ..Options::default() };
    let source = Source::new(Origin::Stdin, text);
    let is_global =
        |name: Symbol| GLOBALS.iter().chain(MORE_GLOBALS).any(|global| *global == name.as_bytes());
    let result = parse(source, Path::new("/"), &options)
        .and_then(|tree| scope::check(&tree, &is_global).map(|()| tree));
    let mut out = Vec::new();
    let (warnings, answer) = match &result {
        Ok(tree) => {
            ast::show(tree, tree.root(), &mut out);
            (tree.warnings().to_vec(), String::from_utf8_lossy(&out).into_owned())
        }
        Err(error) => (error.warnings.clone(), format!("error: {error}")),
    };
    let mut lines = String::new();
    for warning in warnings {
        lines.push_str(&format!("warning: {}\n", warning.message));
    }
    lines + &answer + "\n"
}

/// Without tabs and carriage returns, which C++ Nix's log output filters.
#[test]
fn answers_are_those_of_cpp_nix() {
    let golden = include_bytes!("golden.txt");
    let golden = String::from_utf8_lossy(golden);
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in golden.split(">>>\n").skip(1) {
        let (text, expected) = case.split_once("\n<<<\n").expect("a case has both parts");
        count += 1;
        let answer = answer(text.as_bytes());
        if answer != expected {
            wrong.push(format!("{text}\n-- expected\n{expected}-- but got\n{answer}"));
        }
    }
    assert!(count > 250, "only {count} cases were read");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
