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
        reason: "C++ Nix shows a second empty set in messages and in nix repl as «repeated», since it has only one",
        holds: |_, ours, theirs| {
            let bare = |o: &Outcome| match o {
                Outcome::Value(text) | Outcome::Error(text) => {
                    Some(text.replace("«repeated»", "{ }"))
                }
                Outcome::Crash | Outcome::Timeout => None,
            };
            bare(ours).is_some() && bare(ours) == bare(theirs)
        },
    },
    Rule {
        reason: "nix repl shows as «repeated» what C++ Nix keeps in one cell, as an override and what it overrides",
        holds: |text, ours, theirs| match (ours, theirs) {
            (Outcome::Value(ours), Outcome::Value(theirs)) => {
                text.contains("__overrides") && fits(ours, &theirs.replace("«repeated»", "«thunk»"))
            }
            _ => false,
        },
    },
    Rule {
        reason: "files that become store paths cannot be read: our side runs without a store, as read-only evaluation does",
        holds: |text, ours, _| {
            let absent = matches!(ours, Outcome::Error(said) if said.starts_with("path '") && said.ends_with("' is not valid"));
            absent && (text.contains("/firn-fuzz/files/") || text.contains("derivation "))
        },
    },
    Rule {
        reason: "a quotation mark in a path is no string, but what evens out the spaces of nix repl takes it for one",
        holds: |text, ours, theirs| match (ours, theirs) {
            (Outcome::Value(ours), Outcome::Value(theirs)) => {
                text.contains("(/")
                    && text.contains("\\\"")
                    && ours.split_whitespace().eq(theirs.split_whitespace())
            }
            _ => false,
        },
    },
    Rule {
        reason: "a message shows constants, aliases and the like as values where C++ Nix has not evaluated them yet",
        holds: |_, ours, theirs| match (ours, theirs) {
            (Outcome::Error(ours), Outcome::Error(theirs)) => fits(ours, theirs),
            _ => false,
        },
    },
    Rule {
        reason: "of a character that is not allowed C++ Nix shows the first byte",
        holds: |_, ours, theirs| {
            both_contain(ours, theirs, "contains illegal character '")
                && matches!(theirs, Outcome::Error(text) if text.contains('\u{fffd}'))
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
    Rule {
        reason: "C++ Nix writes a backslash in a derivation's system as it is, and reads another system back",
        holds: |text, _, theirs| {
            text.contains("\\\\") && begins(theirs, "derivation has incorrect output ")
        },
    },
    Rule {
        reason: "C++ Nix goes through the attributes of a context in the order in which it first met their names",
        holds: |text, ours, theirs| {
            text.contains("appendContext") && both_begin(ours, theirs, "context key ")
        },
    },
    Rule {
        reason: "two sets are compared in the order in which C++ Nix met the names, and it knows some from the start",
        holds: |text, ours, theirs| {
            text.contains("assert")
                && matches!(ours, Outcome::Error(_))
                && ["key", "__overrides"]
                    .iter()
                    .any(|name| begins(theirs, &format!("attribute name '{name}' is missing in ")))
        },
    },
    Rule {
        reason: "C++ Nix takes the length of a list modulo a power of two",
        holds: |text, ours, _| {
            text.contains("genList") && begins(ours, "cannot create list of size ")
        },
    },
    Rule {
        reason: "genericClosure finds keys that cannot be compared: which two it meets first is a matter of the tree that they are kept in",
        holds: |text, ours, theirs| {
            text.contains("genericClosure") && both_begin(ours, theirs, "cannot compare ")
        },
    },
];

fn begins(outcome: &Outcome, text: &str) -> bool {
    matches!(outcome, Outcome::Error(message) if message.starts_with(text))
}

fn both_begin(ours: &Outcome, theirs: &Outcome, text: &str) -> bool {
    begins(ours, text) && begins(theirs, text)
}

fn both_contain(ours: &Outcome, theirs: &Outcome, text: &str) -> bool {
    [ours, theirs].iter().all(|o| matches!(o, Outcome::Error(message) if message.contains(text)))
}

/// Whether `text` is `pattern` with something for each `«thunk»` in it.
fn fits(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split("«thunk»");
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn unevaluated_parts_stand_for_anything() {
        assert!(fits("a list: [ -7 { a = 1; } ]", "a list: [ «thunk» «thunk» ]"));
        assert!(fits("a", "a"));
        assert!(!fits("a list: [ -7 ]", "a set: [ «thunk» ]"));
        assert!(!fits("ab", "a"));
    }
}
