//! The differential fuzzer: random expressions of the language and its builtins, evaluated by us and by
//! the reference, whose values and final errors are compared. Disagreements are made small and printed.

mod allowed;
mod grammar;
mod outcome;
pub mod rng;
mod run;
mod tree;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use outcome::Outcome;
use run::Pair;
use tree::Node;

use crate::process;
use crate::sides::Side;

/// Expressions in one process.
const BATCH: usize = 2_000;
/// Disagreements that are made small and shown; further ones are only counted.
const SHOWN: usize = 60;
/// How long one disagreement is made smaller.
const SHRINKING: Duration = Duration::from_secs(120);

/// Compares `count` expressions and prints what disagrees. Gives the number of disagreements.
pub fn run(count: usize, seed: u64, start: usize) -> Result<usize, String> {
    let folder = std::env::temp_dir().join("firn-fuzz/files/here");
    run::make_files(&folder)?;
    let scratch = std::env::temp_dir().join(format!("firn-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)
        .map_err(|e| format!("cannot make '{}': {e}", scratch.display()))?;
    let pair = Pair {
        ours: build_ours()?,
        reference: Side::reference()?,
        folder: folder.clone(),
        scratch,
    };
    let files = folder.to_string_lossy().into_owned();
    let started = Instant::now();
    let mut found = Found::default();
    let mut done = 0;
    while done < count {
        let size = BATCH.min(count - done);
        let nodes: Vec<Case> = (0..size).map(|i| case(seed, start + done + i, &files)).collect();
        let texts: Vec<String> = nodes.iter().map(Case::print).collect();
        let outcomes = pair.run(&texts)?;
        for ((node, text), (ours, theirs)) in nodes.iter().zip(&texts).zip(outcomes) {
            found.errors += usize::from(matches!(theirs, Outcome::Error(_)));
            if ours == theirs {
                continue;
            }
            if let Some(reason) = allowed::reason(text, &ours, &theirs) {
                *found.allowed.entry(reason).or_default() += 1;
                continue;
            }
            found.total += 1;
            if found.shapes.insert(shape(&ours, &theirs)) && found.shapes.len() <= SHOWN {
                let (text, ours, theirs) = shrink(&pair, node.clone(), ours, theirs)?;
                println!("\n{text}\n  ours:      {ours}\n  reference: {theirs}");
            }
        }
        done += size;
        eprint!(
            "\r{done} of {count} expressions, {} disagreements, {:.0} s ",
            found.total,
            started.elapsed().as_secs_f64()
        );
    }
    eprintln!();
    let _ = std::fs::remove_dir_all(&pair.scratch);
    println!(
        "{count} expressions of seed {seed} in {:.0} s: {} ended in an error on the reference; {} disagreements",
        started.elapsed().as_secs_f64(),
        found.errors,
        found.total
    );
    for (reason, number) in &found.allowed {
        println!("  {number} allowed: {reason}");
    }
    Ok(found.total)
}

#[derive(Default)]
struct Found {
    total: usize,
    errors: usize,
    allowed: BTreeMap<&'static str, usize>,
    /// Kinds of disagreement that were shown.
    shapes: HashSet<String>,
}

/// An expression and the way it is looked at.
#[derive(Clone)]
struct Case {
    node: Node,
    /// Most are compared as XML, which shows everything in a fixed order; the others as the value printed.
    printed: bool,
}

impl Case {
    fn print(&self) -> String {
        let text = self.node.print();
        if self.printed {
            format!("let v = {text}; in builtins.deepSeq v [ v ]")
        } else {
            format!("[ (builtins.toXML ({text})) ]")
        }
    }
}

/// The case of a number.
fn case(seed: u64, number: usize, files: &str) -> Case {
    let mut rng = rng::Rng::new(seed, number as u64);
    let printed = rng.chance(20);
    let node = grammar::Grammar::new(&mut rng, files).expression();
    Case { node, printed }
}

/// What two outcomes have in common with those of the same bug: messages without names and numbers.
fn shape(ours: &Outcome, theirs: &Outcome) -> String {
    let bare = |outcome: &Outcome| match outcome {
        Outcome::Value(_) => "value".to_owned(),
        Outcome::Error(text) => {
            let mut out = String::new();
            let mut quoted = false;
            for c in text.chars().take(300) {
                match c {
                    '\'' | '"' => quoted = !quoted,
                    _ if quoted || c.is_ascii_digit() => {}
                    c => out.push(c),
                }
            }
            out
        }
        other => other.to_string(),
    };
    format!("{} / {}", bare(ours), bare(theirs))
}

/// Makes a disagreement as small as it gets.
fn shrink(
    pair: &Pair,
    case: Case,
    ours: Outcome,
    theirs: Outcome,
) -> Result<(String, Outcome, Outcome), String> {
    let mut best = (case, ours, theirs);
    let began = Instant::now();
    // what does not end takes the whole limit for each attempt
    let endless = [&best.1, &best.2].iter().any(|o| matches!(o, Outcome::Timeout));
    for _ in 0..if endless { 0 } else { 60 } {
        if began.elapsed() > SHRINKING {
            break;
        }
        let printed = best.0.printed;
        let smaller = best.0.node.smaller().into_iter().take(400);
        let candidates: Vec<Case> = smaller.map(|node| Case { node, printed }).collect();
        let texts: Vec<String> = candidates.iter().map(Case::print).collect();
        let outcomes = pair.run(&texts)?;
        let wanted = shape(&best.1, &best.2);
        let next = candidates.into_iter().zip(texts).zip(outcomes).find(|((_, text), (a, b))| {
            a != b && shape(a, b) == wanted && allowed::reason(text, a, b).is_none()
        });
        match next {
            Some(((case, _), (a, b))) => best = (case, a, b),
            None => break,
        }
    }
    Ok((best.0.print(), best.1, best.2))
}

/// Builds the program that evaluates line by line with our evaluator.
fn build_ours() -> Result<PathBuf, String> {
    process::run(process::cargo().args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "firn-eval",
        "--example",
        "evaluate_lines",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| process::workspace().join("target"), PathBuf::from);
    Ok(target.join("release/examples/evaluate_lines"))
}
