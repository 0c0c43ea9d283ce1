//! What the differential fuzzer (`cargo xtask conformance --fuzz`) found, made small: each text with the
//! value or final error of C++ Nix 2.34.8.

mod common;

type Expected = Result<&'static str, &'static str>;

#[rustfmt::skip]
const CASES: &[(&str, Expected)] = &[
    (r#""${derivation { name = "n"; system = "a\nb"; builder = "b"; }}""#, Ok(r#""/nix/store/gzjd9wx435gj71bzwsbhqzag6pvkv250-n""#)),
    (r#"''  x${"a"}'' + ''y''${${"b"}}''"#, Ok(r#""xay\${b}""#)),
    (r#"builtins.length builtins.attrNames"#, Err(r#"expected a list but found the built-in function 'attrNames': «primop attrNames»"#)),
    (r#"builtins.toJSON builtins.tryEval"#, Err(r#"cannot convert the built-in function 'tryEval' to JSON"#)),
    (r#"1 + builtins.concatStringsSep "x""#, Err(r#"cannot add the partially applied built-in function 'concatStringsSep' to an integer"#)),
    (r#""${builtins.fetchGit}""#, Err(r#"cannot coerce the built-in function 'fetchGit' to a string: «primop fetchGit»"#)),
    (r#"(x: x) < builtins.map"#, Err(r#"cannot compare a function with the built-in function 'map'; values of that type are incomparable (values are «lambda @ «string»:1:2» and «primop map»)"#)),
    (r#"assert (x: x) == builtins.map; 1"#, Err(r#"distinct functions and immediate comparisons of identical functions compare as unequal"#)),
    (r#"builtins.genericClosure { startSet = [ { key = 1; } { key = "a"; } ]; operator = _: [ ]; }"#, Err(r#"cannot compare a string with an integer; values are "a" and 1"#)),
    (r#"builtins.genericClosure { startSet = map (key: { inherit key; }) [ "${derivation { name = "n"; system = "s"; builder = "b"; }}" 1 ]; operator = _: [ ]; }"#, Err(r#"cannot compare an integer with a string with context; values are 1 and "/nix/store/8qwygm88qsiwpdycf5hhk51zjbh3kgaa-n""#)),
    (r#"builtins.readDir (/etc/passwd + "/x")"#, Err(r#"path '/etc/passwd/x' does not exist"#)),
    (r#"builtins.readDir /etc/passwd"#, Err(r#"cannot read directory "/etc/passwd": Not a directory"#)),
    (r#"builtins.filterSource (_: _: false) "/nix/store""#, Err(r#"path '/nix/store/' is not in the Nix store"#)),
    (r#"builtins.hashFile "sha256" (/etc/passwd + "/x")"#, Err(r#"path '/etc/passwd/x' does not exist"#)),
    (r#"builtins.deepSeq { a = throw "a"; x = throw "x"; } 1"#, Err(r#"x"#)),
    (r#"builtins.elemAt 1 """#, Err(r#"expected an integer but found a string: """#)),
    (r#"builtins.elemAt (abort "name") (1 / 0)"#, Err(r#"division by zero"#)),
    (r#"builtins.appendContext "é" { "b.txt" = "regular"; }"#, Err(r#"context key '"b.txt"' is not a store path"#)),
    (r#"builtins.fromJSON "[1\n,01\n]""#, Err("[json.exception.parse_error.101] parse error at line 2, column 0: syntax error while parsing array - unexpected number literal; expected ']'")),
    (r#"builtins.filterSource (_: _: false) /."#, Ok(r#""/nix/store/0ccnxa25whszw7mgbgyzdm4nqc0zwnm8-source""#)),
    (r#"({ }: 1) { "x y" = 1; }"#, Err(r#"function 'anonymous lambda' called with unexpected argument '"x y"'"#)),
    (r#"({ }: 1) { "if" = 1; }"#, Err(r#"function 'anonymous lambda' called with unexpected argument '"if"'"#)),
    (r#"assert { "" = 1; } == { k = 1; }; 1"#, Err(r#"attribute name '""' is contained in '{ "" = 1; }', but not in '{ k = 1; }'"#)),
];

#[test]
fn found_cases_hold() {
    for (text, expected) in CASES {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(common::eval(text), expected, "{text}");
    }
}

/// A folder is read as a file of its size would be, at most 64 KiB at once.
#[test]
fn reading_a_folder_says_how_much_was_to_be_read() {
    let size = std::fs::metadata("/etc").unwrap().len().min(1 << 16);
    let expected = Err(format!("read of {size} bytes: Is a directory"));
    assert_eq!(common::eval("builtins.readFile /etc"), expected);
}
