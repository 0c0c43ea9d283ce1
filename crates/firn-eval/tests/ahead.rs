//! Helpers that evaluate ahead change neither results nor errors.

use firn_eval::io::DryIo;
use firn_eval::{Evaluator, Settings, print};
use firn_syntax::Origin;
use std::path::Path;
use std::sync::Arc;

/// The value as JSON, or the whole error without its excerpts, evaluated by this many threads.
fn eval(text: &str, eval_cores: usize) -> Result<String, String> {
    let settings = Settings { system: "x86_64-linux".into(), eval_cores, ..Settings::default() };
    Evaluator::new(Arc::new(DryIo::default()), settings).run(|vm| {
        let result = vm
            .eval_text(Origin::String, text.as_bytes(), Path::new("/"))
            .and_then(|v| vm.force_deep(v))
            .and_then(|v| print::ambiguous(vm, v));
        match result {
            Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Err(e) => Err(firn_eval::error::render::render(&e, &Default::default())),
        }
    })
}

fn same_at_any_count(text: &str) -> Result<String, String> {
    let alone = eval(text, 1);
    for cores in [2, 3, 8] {
        for _ in 0..4 {
            assert_eq!(eval(text, cores), alone, "{cores} threads: {text}");
        }
    }
    alone
}

/// Work that takes a while, and depends on what others do too.
const FIB: &str = "fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2);
    table = builtins.genList (n: if n < 2 then n else
      builtins.elemAt table (n - 1) + builtins.elemAt table (n - 2)) 80;";

#[test]
fn results_are_the_same() {
    let wide = format!(
        "let {FIB} in {{
           deep = builtins.genList (i: {{ a = fib (10 + i - i / 8 * 8); b = builtins.elemAt table i; }}) 60;
           mapped = builtins.concatMap (i: [ (fib (i - i / 9 * 9)) i ]) (builtins.genList (i: i) 80);
           kept = builtins.filter (i: fib (i - i / 7 * 7) > 2) (builtins.genList (i: i) 80);
           json = builtins.toJSON (builtins.mapAttrs (n: v: fib v) {{ a = 9; b = 10; c = 11; d = 12; }});
         }}"
    );
    same_at_any_count(&wide).expect("evaluates");
}

#[test]
fn derivations_are_the_same() {
    let chain = "let
        make = n: derivation {
          name = \"d${toString n}\"; system = \"x86_64-linux\"; builder = \"/bin/sh\";
          args = [ \"-c\" (toString n) ];
          inputs = if n == 0 then [ ] else [ (at (n - 1)) (at (n / 2)) (at (n / 3)) ];
          one = if n == 0 then null else at (n - 1);
          other = if n == 0 then null else at (n / 2);
        };
        all = builtins.genList make 60;
        at = builtins.elemAt all;
      in (at 59).drvPath";
    same_at_any_count(chain).expect("evaluates");
}

#[test]
fn errors_are_the_first_ones() {
    for text in [
        // The last would be met first by a helper.
        "builtins.genList (i: if i == 13 then throw \"thirteen\" else if i > 20 then throw \"late\" else i) 40",
        "builtins.concatMap (i: if i > 5 then throw \"at ${toString i}\" else [ i ]) (builtins.genList (i: i) 40)",
        "builtins.filter (i: assert i < 30; true) (builtins.genList (i: i) 40)",
        // Infinite recursion across elements, and one that only helpers would run into.
        "let x = { a = x.b + 1; b = x.c + 1; c = x.a + 1; d = 1; }; in x",
        "let l = builtins.genList (i: if i == 0 then throw \"zero\" else builtins.elemAt l i) 40; in l",
        "derivation { name = \"x\"; system = \"s\"; builder = \"b\"; a = throw \"a\"; z = throw \"z\"; }",
    ] {
        let text = format!("[ ({text}) ]");
        same_at_any_count(&text).expect_err("fails");
    }
}

#[test]
fn what_no_one_needs_does_not_keep_helpers() {
    // The third element never ends; the second one's error ends all.
    let text = "[ (builtins.foldl' (a: b: a + b) 0 (builtins.genList (i: i) 20000))
          (throw \"first\") (builtins.genericClosure { startSet = [ { key = 0; } ];
            operator = x: [ { key = x.key + 1; } ]; }) ]";
    assert_eq!(eval(text, 4), eval(text, 1));
}

#[test]
fn caught_errors_are_caught() {
    let text = "builtins.concatMap (i:
        let r = builtins.tryEval (if i / 2 * 2 == i then throw \"even\" else i);
        in [ r.success r.value ]) (builtins.genList (i: i) 100)";
    same_at_any_count(text).expect("evaluates");
}

#[test]
fn too_much_memory_is_an_error() {
    for eval_cores in [1, 4] {
        let settings = Settings { eval_cores, memory_limit: 200 << 20, ..Settings::default() };
        let error = Evaluator::new(Arc::new(DryIo::default()), settings).run(|vm| {
            // A list of 1,000 elements in each step.
            let text =
                "(builtins.tryEval (builtins.foldl' (a: i: builtins.genList (n: n + i) 1000) 0
                (builtins.genList (i: i) 100000))).value";
            vm.eval_text(Origin::String, text.as_bytes(), Path::new("/"))
                .expect_err("ends")
                .to_string()
        });
        assert_eq!(error, "evaluation needs more than the 200 MiB that 'eval-memory-limit' allows");
    }
}

/// Files that a long list names are parsed by another thread before they are imported.
#[test]
fn what_is_wrong_with_a_listed_file_is_met_in_its_turn() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a file");
    };
    let names: Vec<String> = (0..200).map(|n| format!("m{n}.nix")).collect();
    for (n, name) in names.iter().enumerate() {
        write(name, &format!("{{ n = {n}; next = [ ./m{}.nix ]; }}", (n + 1) % 200));
    }
    let list: String = names.iter().map(|name| format!("./{name} ")).collect();
    write("list.nix", &format!("[ {list} ]"));
    let all = format!("map (f: (import f).n) (import {}/list.nix)", dir.path().display());
    let sum = same_at_any_count(&all).expect("evaluates");
    assert!(sum.starts_with("[ 0 1 2 ") && sum.ends_with(" 198 199 ]"), "{sum}");
    write("m150.nix", "{ n = ; }");
    write("m120.nix", "throw \"at 120\"");
    let error = same_at_any_count(&all).expect_err("one fails");
    assert!(error.contains("at 120"), "{error}");
    write("m110.nix", "{ n = ; }");
    let error = same_at_any_count(&all).expect_err("one cannot be parsed");
    assert!(error.contains("syntax error, unexpected ';'"), "{error}");
    std::fs::remove_file(dir.path().join("m100.nix")).expect("it is there");
    let error = same_at_any_count(&all).expect_err("one is missing");
    assert!(error.contains("m100.nix' does not exist"), "{error}");
}
