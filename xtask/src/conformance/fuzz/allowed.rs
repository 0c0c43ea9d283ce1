//! Differences that are as they should be, each with its reason.

use super::outcome::Outcome;

/// Why a difference is allowed, or `None` if it is not.
pub fn reason(text: &str, ours: &Outcome, theirs: &Outcome) -> Option<&'static str> {
    RULES.iter().find(|rule| (rule.holds)(text, ours, theirs)).map(|rule| rule.reason)
}

struct Rule {
    reason: &'static str,
    holds: fn(&str, &Outcome, &Outcome) -> bool,
}

const RULES: &[Rule] = &[
    Rule {
        reason: "C++ Nix dies of a stack overflow or takes too long; Firn ends in a value or an error",
        holds: |_, ours, theirs| {
            matches!(theirs, Outcome::Crash | Outcome::Timeout)
                && matches!(ours, Outcome::Value(_) | Outcome::Error(_))
        },
    },
    Rule {
        reason: "neither side comes to an end with the time and memory that the fuzzer gives",
        holds: |_, ours, theirs| {
            [ours, theirs].iter().all(|o| matches!(o, Outcome::Crash | Outcome::Timeout))
        },
    },
    Rule {
        reason: "nix repl shows a second empty set as «repeated»; nix-instantiate does not",
        holds: |_, ours, theirs| {
            let bare = |o: &Outcome| match o {
                Outcome::Value(text) => Some(text.replace("«repeated»", "{ }")),
                _ => None,
            };
            bare(ours).is_some() && bare(ours) == bare(theirs)
        },
    },
    Rule {
        reason: "what follows 'while parsing TOML: ' is the wording of the TOML library",
        holds: |_, ours, theirs| both_begin(ours, theirs, "while parsing TOML: "),
    },
    Rule {
        reason: "C++ Nix writes a quotation mark in a derivation's system as it is, and cannot read the file back",
        holds: |_, _, theirs| begins(theirs, "error parsing derivation "),
    },
];

fn begins(outcome: &Outcome, text: &str) -> bool {
    matches!(outcome, Outcome::Error(message) if message.starts_with(text))
}

fn both_begin(ours: &Outcome, theirs: &Outcome, text: &str) -> bool {
    begins(ours, text) && begins(theirs, text)
}
