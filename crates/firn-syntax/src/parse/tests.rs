use super::automaton::{Verdict, judge};
use super::{Options, parse};
use crate::ast::{Ast, AttrName, BindingValue, Expr};
use crate::source::{LineColumn, Origin, Pos, Source};
use proptest::prelude::*;
use std::path::Path;

fn tree(text: &str) -> Ast {
    parse(Source::new(Origin::String, text.as_bytes()), Path::new("/base"), &Options::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shown(text: &[u8], options: &Options) -> Result<String, String> {
    let source = Source::new(Origin::String, text);
    let tree = parse(source, Path::new("/base"), options).map_err(|e| e.message)?;
    let mut out = Vec::new();
    crate::ast::show(&tree, tree.root(), &mut out);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn positions_are_those_of_the_text() {
    let text = "{\n  a.b = x: y;\n  inherit (z) c\n    d;\n}";
    let tree = tree(text);
    let Expr::Attrs(id) = tree.expr(tree.root()) else { panic!("a set") };
    let attrs = *tree.attrs(id);
    let place = |pos| tree.source().line_column(pos);
    let at = |line, column| Some(LineColumn { line, column });
    assert_eq!(place(tree.pos(tree.root())), at(1, 1));
    let [a, c, d] = tree.bindings(&attrs) else { panic!("three bindings") };
    assert_eq!((place(a.pos), place(c.pos), place(d.pos)), (at(2, 3), at(3, 15), at(4, 5)));
    assert_eq!(c.value, BindingValue::InheritFrom(0));
    assert_eq!(place(tree.inherit_sources(&attrs)[0].pos), at(3, 12));
    assert_eq!(tree.source().line_column(Pos::NONE), None);
    assert_eq!(tree.source().line(4), Some(&b"    d;"[..]));
    assert_eq!(tree.source().line(6), None);
}

#[test]
fn all_kinds_of_line_ends_count_once() {
    let source = Source::new(Origin::String, &b"a\r\nb\rc\nd"[..]);
    let lines: Vec<_> = (0..8).map(|p| source.line_column(Pos(p)).unwrap().line).collect();
    assert_eq!(lines, [1, 1, 1, 2, 2, 3, 3, 4]);
}

#[test]
fn functions_know_their_names_and_comments() {
    let tree = tree("{ /** Adds. */ add = a: b: /** Inner. */ c: a; other = x: x; }");
    let Expr::Attrs(id) = tree.expr(tree.root()) else { panic!("a set") };
    let function = |i: usize| match tree.bindings(tree.attrs(id))[i].value {
        BindingValue::Plain(e) => match tree.expr(e) {
            Expr::Lambda(id) => *tree.lambda(id),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let comment = |lambda: &crate::ast::Lambda| {
        let doc = lambda.doc.expect("a comment");
        let range = doc.begin.0 as usize..doc.end.0 as usize;
        String::from_utf8_lossy(&tree.source().text()[range]).into_owned()
    };
    let add = function(0);
    assert_eq!(add.name.unwrap().as_bytes(), b"add");
    assert_eq!(comment(&add), "/** Adds. */");
    let Expr::Lambda(b) = tree.expr(add.body) else { panic!("a function") };
    assert_eq!(comment(tree.lambda(b)), "/** Adds. */");
    let Expr::Lambda(c) = tree.expr(tree.lambda(b).body) else { panic!("a function") };
    assert_eq!(comment(tree.lambda(c)), "/** Inner. */");
    assert_eq!(tree.lambda(c).name.unwrap().as_bytes(), b"add");
    assert_eq!(function(1).doc, None);
}

#[test]
fn pipes_are_calls() {
    let on = Options { pipe_operators: true, ..Options::default() };
    let shown = |text: &str| shown(text.as_bytes(), &on).unwrap();
    assert_eq!(shown("1 |> f |> g x"), "(g x (f 1))");
    assert_eq!(shown("f <| g <| 1"), "(f (g 1))");
    assert_eq!(shown("f x <| 1 + 2"), "(f x (1 + 2))");
    assert_eq!(shown("x: x |> f"), "(x: (f x))");
}

#[test]
fn pure_mode_has_no_home() {
    let options = Options { pure: true, ..Options::default() };
    let error = shown(b"~/x", &options).unwrap_err();
    assert_eq!(error, "the path '~/x' can not be resolved in pure mode");
}

#[test]
fn nul_bytes() {
    assert_eq!(
        shown(b"\"a\0b\"", &Options::default()).unwrap_err(),
        "input string 'a␀b' cannot be represented as Nix string because it contains null bytes"
    );
    // Outside of strings one ends the text.
    assert_eq!(shown(b"1 \0 2", &Options::default()).unwrap(), "1");
    assert_eq!(
        shown(b"(1 \0 2", &Options::default()).unwrap_err(),
        "syntax error, unexpected end of file, expecting ')'"
    );
}

#[test]
fn deep_nesting_neither_overflows_nor_costs_much() {
    let n = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    let deep = |open: &str, inner: &str, close: &str| {
        let text = open.repeat(n) + inner + &close.repeat(n);
        shown(text.as_bytes(), &Options::default()).map(|s| s.len())
    };
    assert_eq!(deep("(", "1", ")"), Ok(1));
    for (open, inner, close) in [
        ("[", "", "]"),
        ("{a=", "1", ";}"),
        ("\"${", "1", "}\""),
        ("x:", "1", ""),
        ("!", "true", ""),
        ("- ", "1", ""),
        ("1 + ", "1", ""),
        ("", "1", " + 1"),
        ("1 ++ ", "1", ""),
        ("if a then b else ", "1", ""),
        ("a.b or ", "1", ""),
        ("let a = ", "1", "; in a"),
        ("let { body = ", "1", "; }"),
        ("with a; ", "1", ""),
        ("{ a ? ", "1", " }: a"),
        ("f ", "", "f"),
    ] {
        assert!(deep(open, inner, close).is_ok(), "{open}");
    }
    let path = format!("{{ {}a = 1; }}", "a.".repeat(n));
    assert!(shown(path.as_bytes(), &Options::default()).is_ok());
    assert!(deep("{ x = ", "(", "; }").unwrap_err().starts_with("syntax error, unexpected ';'"));
    let too_deep = "(".repeat(300_000);
    let error = shown(too_deep.as_bytes(), &Options::default()).unwrap_err();
    assert_eq!(error, "the expression is nested too deeply: the limit is 200000");
}

#[test]
fn computed_names_are_kept() {
    let tree = tree("a.${b}.\"c\"");
    let Expr::Select { path, .. } = tree.expr(tree.root()) else { panic!("a selection") };
    let [AttrName::Dynamic(_), AttrName::Static(c)] = tree.attr_path(path) else {
        panic!("two names")
    };
    assert_eq!(c.as_bytes(), b"c");
}

const TOKENS: &[&str] = &[
    "if",
    "then",
    "else",
    "assert",
    "with",
    "let",
    "in",
    "rec",
    "inherit",
    "or",
    "...",
    "==",
    "!=",
    "<=",
    ">=",
    "<",
    ">",
    "&&",
    "||",
    "->",
    "//",
    "++",
    "+",
    "-",
    "*",
    "/",
    "!",
    "?",
    ".",
    ",",
    ";",
    ":",
    "@",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "=",
    "\"",
    "''",
    "${",
    "x",
    "y",
    "1",
    "1.5",
    "./a",
    "./a/",
    "/b",
    "~/x",
    "<x>",
    "a:b",
    "$",
    "'",
    "\\",
    "#",
    "/*",
    "*/",
    "\n",
    "\r",
    "\0",
    "|>",
    "<|",
    "%",
    "é",
    " ",
    "a = 1;",
    "{ }",
    "x:",
    "\"s\"",
    "''i''",
    "a.b",
    "inherit x;",
];

fn tokens() -> impl Strategy<Value = String> {
    let token = (proptest::sample::select(TOKENS), any::<bool>())
        .prop_map(|(token, space)| format!("{token}{}", if space { " " } else { "" }));
    proptest::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat())
}

/// Texts in the language, made of productions.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(
        &["x", "1", "\"s\"", "./a", "{ }", "[ ]", "''a''", "<n>", "2.5", "a.b"][..],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let i = || inner.clone();
        prop_oneof![
            (
                i(),
                proptest::sample::select(&["+", "-", "//", "==", "&&", "->", "++", "<", ""][..]),
                i()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            i().prop_map(|a| format!("(x: {a})")),
            i().prop_map(|a| format!("({{ a, b ? {a}, ... }}@y: {a})")),
            (i(), i()).prop_map(|(a, b)| format!("{{ a = {a}; b.c = {b}; }}")),
            (i(), i()).prop_map(|(a, b)| format!("(let a = {a}; in {b})")),
            (i(), i()).prop_map(|(a, b)| format!("(if {a} then {b} else {a})")),
            (i(), i()).prop_map(|(a, b)| format!("[ ({a}) ({b}) ]")),
            i().prop_map(|a| format!("\"a${{{a}}}b\"")),
            i().prop_map(|a| format!("''\n  a\n    ${{{a}}}\n''")),
            i().prop_map(|a| format!("(!{a})")),
            i().prop_map(|a| format!("(x.y or ({a}))")),
        ]
    })
}

/// What holds for any text: no panic, and the parser and the automaton agree on what the language is.
fn check(text: &[u8]) -> Result<(), TestCaseError> {
    let options = Options { pipe_operators: true, ..Options::default() };
    let result = shown(text, &options);
    match (judge(text, true), &result) {
        (Verdict::Syntax { message, .. }, Err(error)) => {
            // Duplicates and their like are found before a syntax error that comes later.
            if error.starts_with("syntax error") {
                prop_assert_eq!(&message, error);
            }
        }
        (Verdict::Syntax { message, .. }, Ok(tree)) => {
            return Err(TestCaseError::fail(format!("accepted as {tree}, but: {message}")));
        }
        (Verdict::Accepted, Err(error)) => {
            prop_assert!(!error.starts_with("syntax error"), "rejected: {}", error);
        }
        (Verdict::Lexical(_), Ok(tree)) => {
            return Err(TestCaseError::fail(format!("accepted as {tree}")));
        }
        (Verdict::Lexical(_), Err(_)) | (Verdict::Accepted, Ok(_)) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..80)) {
        check(&text)?;
    }

    #[test]
    fn any_tokens(text in tokens()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn damaged_expressions(text in expressions(), token in tokens(), at in any::<prop::sample::Index>(), cut in 0usize..6) {
        let mut text = text.into_bytes();
        check(&text)?;
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, token.bytes());
        check(&text)?;
    }

    #[test]
    fn expressions_parse(text in expressions()) {
        let shown = shown(text.as_bytes(), &Options::default());
        prop_assert!(shown.is_ok(), "{} in {}", shown.unwrap_err(), text);
    }
}
