//! What the differential fuzzer (`cargo xtask conformance --fuzz`) found, made small: each text with the
//! value or final error of C++ Nix 2.34.8.

mod common;

type Expected = Result<&'static str, &'static str>;

#[rustfmt::skip]
const CASES: &[(&str, Expected)] = &[
    (r#""${derivation { name = "n"; system = "a\nb"; builder = "b"; }}""#, Ok(r#""/nix/store/gzjd9wx435gj71bzwsbhqzag6pvkv250-n""#)),
    (r#"''  x${"a"}'' + ''y''${${"b"}}''"#, Ok(r#""xay\${b}""#)),
];

#[test]
fn found_cases_hold() {
    for (text, expected) in CASES {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(common::eval(text), expected, "{text}");
    }
}
