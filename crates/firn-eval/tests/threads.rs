//! Several threads force the same thunks: each is evaluated once, and infinite recursion is found across
//! threads too.

mod common;

use firn_eval::Value;
use firn_eval::position::PosId;
use firn_syntax::Origin;
use std::path::Path;
use std::sync::{Arc, Barrier};

fn shared_value(evaluator: &firn_eval::Evaluator, text: &str) -> Value {
    evaluator
        .run(|vm| vm.eval_text(Origin::String, text.as_bytes(), Path::new("/")))
        .expect("evaluates")
}

#[test]
fn a_tree_of_thunks_is_the_same_for_all() {
    for round in 0..20 {
        let evaluator = common::evaluator();
        let text = format!(
            "let
               fib = builtins.genList (n: if n < 2 then n else
                 builtins.elemAt fib (n - 1) + builtins.elemAt fib (n - 2)) 80;
               sets = builtins.genList (n: {{ v = builtins.elemAt fib n; s = \"x${{toString n}}\"; }}) 80;
               wide = builtins.listToAttrs (map (s: {{ name = s.s; value = s.v; }}) sets);
             in builtins.genList (i: builtins.foldl' (a: s: a + (wide // {{ extra = {round}; }}).${{s.s}}) i sets) 50"
        );
        let v = shared_value(&evaluator, &text);
        let barrier = Arc::new(Barrier::new(4));
        let sums: Vec<i64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|t| {
                    let barrier = Arc::clone(&barrier);
                    let evaluator = &evaluator;
                    scope.spawn(move || {
                        evaluator.run_concurrently(|vm| {
                            barrier.wait();
                            let list = vm.force_list(v, PosId::NONE, "").expect("a list");
                            let n = list.len();
                            let mut sum = 0i64;
                            for i in 0..n {
                                // Each thread in another order.
                                let at = if t % 2 == 0 { i } else { n - 1 - i };
                                sum = sum.wrapping_add(
                                    vm.force_int(list.get(at), PosId::NONE, "").expect("an int"),
                                );
                            }
                            sum
                        })
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).collect()
        });
        // 50 times the sum of the first 80 Fibonacci numbers, plus 0 + 1 + … + 49.
        let fib_sum = 37_889_062_373_143_905i64;
        assert_eq!(sums, vec![fib_sum.wrapping_mul(50) + 1225; 4]);
    }
}

#[test]
fn recursion_across_threads_is_found() {
    for _ in 0..50 {
        let evaluator = common::evaluator();
        // Whoever starts with `a` needs `b`, and the other way round.
        let v = shared_value(&evaluator, "let x = { a = x.b + 1; b = x.a + 1; }; in x");
        let barrier = Arc::new(Barrier::new(2));
        let errors: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = ["a", "b"]
                .into_iter()
                .map(|name| {
                    let barrier = Arc::clone(&barrier);
                    let evaluator = &evaluator;
                    scope.spawn(move || {
                        evaluator.run_concurrently(|vm| {
                            let set = v.as_set().expect("a set");
                            let attr = set
                                .get(firn_syntax::Symbol::intern(name.as_bytes()))
                                .expect("there");
                            barrier.wait();
                            vm.force(attr, PosId::NONE).expect_err("recursion").to_string()
                        })
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).collect()
        });
        assert_eq!(errors, vec!["infinite recursion encountered"; 2]);
    }
}
