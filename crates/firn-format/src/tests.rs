//! What formatting gives, rule by rule, and what holds of all texts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{FormatError, format};
use firn_syntax::Origin;
use proptest::prelude::*;

fn formatted(text: &str) -> String {
    let new = format(text.as_bytes(), &Origin::String).unwrap_or_else(|e| panic!("{text}: {e}"));
    let again = format(new.as_bytes(), &Origin::String).unwrap_or_else(|e| panic!("{new}: {e}"));
    assert_eq!(new, again, "formatting again changes the text");
    new
}

#[track_caller]
fn gives(text: &str, expected: &str) {
    assert_eq!(formatted(text), expected);
}

#[track_caller]
fn stays(text: &str) {
    gives(text, text);
}

#[test]
fn sets_of_one_binding_may_stay_in_a_line() {
    gives("{a=1;}", "{ a = 1; }\n");
    gives("{a=1;b=2;}", "{\n  a = 1;\n  b = 2;\n}\n");
    gives("{a={b=1;};}", "{\n  a = {\n    b = 1;\n  };\n}\n");
    gives("{\na=1;}", "{\n  a = 1;\n}\n");
    gives("rec{}", "rec { }\n");
    gives("{\n}", "{\n}\n");
    gives("{inherit a b c;}", "{ inherit a b c; }\n");
    gives("{inherit a b c d;}", "{\n  inherit\n    a\n    b\n    c\n    d\n    ;\n}\n");
    gives("{inherit(x)a;}", "{ inherit (x) a; }\n");
    gives("let{body=1;}", "let { body = 1; }\n");
}

#[test]
fn lists_have_a_line_for_each_element() {
    gives("[]", "[ ]\n");
    gives("[1]", "[ 1 ]\n");
    gives("[1 2]", "[\n  1\n  2\n]\n");
    gives("[(f x) a.b]", "[\n  (f x)\n  a.b\n]\n");
    gives("f [1 2 3] x", "f [ 1 2 3 ] x\n");
}

#[test]
fn the_patterns_of_functions_have_a_line_for_each_name() {
    gives("{a,b}:a", "{ a, b }: a\n");
    gives("{a,b,c}:a", "{\n  a,\n  b,\n  c,\n}:\na\n");
    gives("{a?1}:a", "{\n  a ? 1,\n}:\na\n");
    gives("{a,...}@x: a", "{ a, ... }@x: a\n");
    gives("x@{...}:x", "x@{ ... }: x\n");
    gives("{ a # first\n, b # second\n}: a", "{\n  a, # first\n  b, # second\n}:\na\n");
    gives("a: b: c", "a: b: c\n");
    gives("a: b: c: f a", "a: b: c:\nf a\n");
    gives("a: b: { x = a; }", "a: b: { x = a; }\n");
}

#[test]
fn keywords_have_lines_of_their_own() {
    gives("let a=1;in a", "let\n  a = 1;\nin\na\n");
    gives("with a;b", "with a; b\n");
    gives("assert a;b", "assert a;\nb\n");
    gives("if a then b else c", "if a then b else c\n");
    gives(
        "if a then b else if c then d else e",
        "if a then\n  b\nelse if c then\n  d\nelse\n  e\n",
    );
}

#[test]
fn long_lines_are_broken() {
    let long = "x".repeat(60);
    gives(&format!("f a.b {long} ({long})"), &format!("f a.b {long} (\n  {long}\n)\n"));
    gives(
        &format!("{{ a = {long} + {long}; }}"),
        &format!("{{\n  a =\n    {long}\n    + {long};\n}}\n"),
    );
    gives(
        &format!("{{ a = f {{ b = {long}; c = 1; }}; }}"),
        &format!("{{\n  a = f {{\n    b = {long};\n    c = 1;\n  }};\n}}\n"),
    );
    gives(
        &format!("{{ a = {long} // {{ b = {long}; }}; }}"),
        &format!("{{\n  a = {long} // {{\n    b = {long};\n  }};\n}}\n"),
    );
    gives(&format!("a.{long} or {long}"), &format!("a.{long}\n  or {long}\n"));
}

#[test]
fn comments_are_kept_and_normalised() {
    gives("#a\n\n\n#b\n1\n#c", "#a\n\n#b\n1\n#c\n");
    gives("/* a */ 1", "# a\n1\n");
    gives("1 /* a */", "1 # a\n");
    gives("{ # a\n  b = 1; # c\n}", "{\n  # a\n  b = 1; # c\n}\n");
    gives("/*\n * a\n *  b\n */\n1", "/*\n  a\n   b\n*/\n1\n");
    gives("/** Does. */ x: x", "/**\n  Does.\n*/\nx: x\n");
    gives("let a=1;\n# why\nin # so\na", "let\n  a = 1;\n  # why\nin\n# so\na\n");
    gives("f /* lua */ ''\n  a\n''", "f /* lua */ ''\n  a\n''\n");
    gives("[\n  # nothing\n]", "[\n  # nothing\n]\n");
}

#[test]
fn strings_keep_their_value() {
    gives("''a''", "\"a\"\n");
    gives("''a\"b''", "''a\"b''\n");
    gives("''a''${b''", "\"a\\${b\"\n");
    gives("''a'''b''", "\"a''b\"\n");
    gives("{ a = ''\n      x\n        y\n    ''; }", "{\n  a = ''\n    x\n      y\n  '';\n}\n");
    gives("http://example.org/a", "\"http://example.org/a\"\n");
    gives("\"a\n  b\"", "\"a\n  b\"\n");
    gives("\"${ a  b }\"", "\"${a b}\"\n");
    // what follows an escaped line break is no indentation
    stays("''\n      a''\\\n      b\n  ''\n");
    // a carriage return is no line break between such quotes
    stays("''a\rb''\n");
    // with other quotes this name would not be known before evaluation
    stays("let\n  ${''${\"a\"}''} = 1;\nin\na\n");
}

#[test]
fn numbers_stay_apart_from_dots() {
    gives("1 .a", "1 .a\n");
    gives("/i .cc", "/i .cc\n");
    gives("f ./${a}/b .c.d or e", "f ./${a}/b .c.d or e\n");
    gives("(1).a", "(1).a\n");
    gives("a.b.c or d", "a.b.c or d\n");
    gives("!a&&-b==c", "!a && -b == c\n");
    gives("a?b.c", "a ? b.c\n");
    gives("[ f or ]", "[\n  f\n  or\n]\n");
}

#[test]
fn what_cannot_be_formatted_is_told() {
    let told = |text: &[u8]| format(text, &Origin::Stdin).unwrap_err().to_string();
    assert!(told(b"{ a = ; }").contains("at «stdin»:1:7"), "{}", told(b"{ a = ; }"));
    assert_eq!(told(b"# \xff\n1"), "«stdin» is not in UTF-8 (byte 2), and so is not formatted");
    assert!(told(b"1 \0 2").contains("NUL byte (byte 2)"));
    let deep = "(".repeat(6000) + "1" + &")".repeat(6000);
    assert!(matches!(format(deep.as_bytes(), &Origin::Stdin), Err(FormatError::TooDeep { .. })));
}

#[test]
fn deep_nesting_has_room() {
    for (open, close) in [("(", ")"), ("{ a = ", "; }"), ("f (x: y ", ")"), ("x: ", ""), ("!", "")]
    {
        let deep = open.repeat(400) + "1" + &close.repeat(400);
        formatted(&deep);
    }
    formatted(&("a + ".repeat(4000) + "1"));
    // what is in a function is looked at once, and not once for each function around it
    for functions in ["{ a, b }: ", "{ a }: b: ", "a: { b, ... }: "] {
        for body in ["1", "[\n1 ]", "{\na = 1; }"] {
            formatted(&(functions.repeat(2000) + body));
        }
    }
    formatted(&("if a then b else ".repeat(1000) + "c"));
}

/// Pieces that texts of the language are made of, so that many random sequences of them parse.
fn expression() -> impl Strategy<Value = String> {
    let gap = prop_oneof![
        8 => Just(" ".to_owned()),
        2 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just(" # c\n".to_owned()),
        1 => Just("\n  # c\n# d\n".to_owned()),
        1 => Just(" /* e */ ".to_owned()),
        1 => Just("\n/*\n * f\n * g\n */\n".to_owned()),
        1 => Just(" /** h */ ".to_owned()),
    ];
    let leaf = prop_oneof![
        "[a-e]{1,12}",
        "[a-e]{20,40}",
        Just("1".to_owned()),
        Just("./a/b.nix".to_owned()),
        Just("<nixpkgs>".to_owned()),
        Just("\"a${b}\nc\"".to_owned()),
        Just("''\n    a\n      ${b c}\n  ''".to_owned()),
        Just("''a''$b''".to_owned()),
        Just("[ ]".to_owned()),
        Just("{ }".to_owned()),
    ];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        let (g, e) = (gap.clone(), inner);
        prop_oneof![
            (g.clone(), e.clone()).prop_map(|(g, e)| format!("({g}{e}{g})")),
            (g.clone(), g.clone(), e.clone(), e.clone(), e.clone())
                .prop_map(|(g, h, a, b, c)| format!("(({a}){g}({b}){h}({c}))")),
            (g.clone(), g.clone(), e.clone(), e.clone())
                .prop_map(|(g, h, a, b)| format!("[{g}({a}){h}({b}){g}]")),
            (g.clone(), g.clone(), e.clone(), e.clone()).prop_map(|(g, h, a, b)| format!(
                "{{{g}a{g}={h}{a};{h}b.c =\n{b};{g}inherit (a) d{g}e; }}"
            )),
            (g.clone(), g.clone(), e.clone(), e.clone())
                .prop_map(|(g, h, a, b)| format!("(let{g}a = {a};{h}in{g}{b})")),
            (g.clone(), g.clone(), e.clone(), e.clone(), e.clone())
                .prop_map(|(g, h, a, b, c)| format!("(if {a}{g}then{h}{b}{g}else{h}{c})")),
            (g.clone(), g.clone(), e.clone(), e.clone())
                .prop_map(|(g, h, a, b)| format!("({{ a{g},{h}b ?{g}{a}{g}, ... }}{g}:{h}{b})")),
            (g.clone(), e.clone()).prop_map(|(g, e)| format!("(a: b:{g}{e})")),
            (g.clone(), g.clone(), e.clone(), e.clone(), 0..6_usize).prop_map(
                |(g, h, a, b, op)| {
                    let op = ["//", "+", "++", "&&", "==", "->"][op];
                    format!("(({a}){g}{op}{h}({b}){g}&& c)")
                }
            ),
            (g.clone(), e.clone(), e.clone()).prop_map(|(g, a, b)| format!("(with {a};{g}{b})")),
            (g.clone(), e.clone(), e.clone()).prop_map(|(g, a, b)| format!("(assert {a};{g}{b})")),
            (g.clone(), e.clone()).prop_map(|(g, e)| format!("({e}){g}.a.b")),
            (g, e).prop_map(|(g, e)| format!("\"a ${{{g}{e}}} b\"")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Formatting checks itself that the meaning stays.
    #[test]
    fn formatting_again_changes_nothing(text in expression()) {
        let words = |text: &str| text.matches(['c', 'd', 'e', 'f', 'g', 'h']).count();
        let new = formatted(&text);
        prop_assert_eq!(words(&text), words(&new), "a comment is lost");
    }

    #[test]
    fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = format(&text, &Origin::String);
    }
}

#[test]
fn text_between_directives_stays() {
    stays(
        "{\n  a = 1;\n/*nixfmt:disable*/\n  b   =  [ 1  2 ];\n\n\n  /*nixfmt:enable*/  \n  c = 2;\n}\n",
    );
    gives(
        "{a=1;b=[1\n/*nixfmt:disable*/\n2   3\n/*nixfmt:enable*/\n4];}",
        "{\n  a = 1;\n  b = [\n    1\n/*nixfmt:disable*/\n2   3\n/*nixfmt:enable*/\n    4\n  ];\n}\n",
    );
    gives(
        "a  +\n/*nixfmt:disable*/\n  b   (c)\n/*nixfmt:enable*/\n+  d",
        "a\n+\n/*nixfmt:disable*/\n  b   (c)\n/*nixfmt:enable*/\n+ d\n",
    );
    // to the end of the file if nothing ends it
    gives(
        "{a=1;}\n/*nixfmt:disable*/   \n\n #  x",
        "{\n  a = 1;\n}\n/*nixfmt:disable*/   \n\n #  x",
    );
    stays("/*nixfmt:disable*/\n{a=1;}\n");
    // one that ends nothing is a comment, and so is one with others in its line
    stays("{\n  /*nixfmt:enable*/\n  a = 1;\n}\n");
    gives("{ /*nixfmt:disable*/\na=1;}", "{\n  # nixfmt:disable\n  a = 1;\n}\n");
    stays("''\n  /*nixfmt:disable*/\n  text\n''\n");
}

#[test]
fn strings_that_directives_cut_are_left_or_refused() {
    let text = "{\n  a = ''\n      x ${\n/*nixfmt:disable*/\n  1\n  }\n    y\n  '';\n}\n";
    match format(text.as_bytes(), &Origin::String) {
        Ok(new) => assert!(new.contains("  1\n  }\n    y\n")),
        Err(e) => assert!(e.to_string().contains("cannot be formatted"), "{e}"),
    }
}
