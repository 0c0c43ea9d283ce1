//! Recursion without end, in each walk that recurses, ends in an error and not in a crash.

mod common;

use common::eval;

fn overflows(text: &str) {
    let error = eval(text).expect_err(text);
    assert!(
        error == "stack overflow; max-call-depth exceeded"
            || error == "infinite recursion encountered",
        "{text}: {error}"
    );
}

#[test]
fn calls() {
    overflows("let f = x: 1 + f x; in f 1");
    overflows("let f = x: f (x + 1); in f 1");
    overflows("let s = { __functor = self: x: self x; }; in s 1");
}

#[test]
fn chains_of_thunks() {
    overflows(
        "builtins.head (builtins.foldl' (l: i: [ (builtins.head l + i) ]) [ 0 ] (builtins.genList (x: x) 9000000))",
    );
}

#[test]
fn walks_over_values() {
    let endless = "let f = n: { inner = f (n + 1); }; in ";
    overflows(&format!("{endless} builtins.deepSeq (f 0) 1"));
    overflows(&format!("{endless} builtins.toJSON (f 0)"));
    overflows(&format!("{endless} builtins.toXML (f 0)"));
    overflows(&format!("{endless} f 0 == f 0"));
    overflows("let f = n: [ (f (n + 1)) ]; in f 0 < f 0");
    overflows("let f = n: [ (f (n + 1)) ]; in toString (f 0)");
    overflows("let f = n: { __toString = _: f n; }; in \"${f 0}\"");
    overflows("let f = n: { outPath = f n; }; in \"${f 0}\"");
}

#[test]
fn long_is_not_deep() {
    assert_eq!(
        eval("builtins.length (builtins.foldl' (l: i: [ i ] ++ l) [ ] (builtins.genList (x: x) 5000))")
            .as_deref(),
        Ok("5000")
    );
    assert_eq!(
        eval("builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 1000000)").as_deref(),
        Ok("499999500000")
    );
    assert_eq!(
        eval("let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 9000").as_deref(),
        Ok("9000")
    );
}

#[test]
fn cycles_print_as_repeated() {
    assert_eq!(eval("let x = { y = x; }; in x").as_deref(), Ok("{ y = «repeated»; }"));
}
