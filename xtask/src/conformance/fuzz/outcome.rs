//! What came of an expression on one side, in a form that can be compared; and reading it from what
//! C++ Nix's `nix repl` writes.

use crate::conformance::message::final_error;

/// What came of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value, printed.
    Value(String),
    /// The final error.
    Error(String),
    /// The process died.
    Crash,
    /// It took too long.
    Timeout,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Value(text) => write!(f, "{text}"),
            Outcome::Error(text) => write!(f, "error: {text}"),
            Outcome::Crash => f.write_str("(the process died)"),
            Outcome::Timeout => f.write_str("(took too long)"),
        }
    }
}

/// What the reference's prompt looks like.
const PROMPT: &str = "nix-repl> ";

/// Takes apart what `nix repl` wrote for lines that each begin with `:p`: one text a line.
///
/// The last one is incomplete if the process died in it.
pub fn split_repl(output: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = match output.find(PROMPT) {
        Some(at) => &output[at + PROMPT.len()..],
        None => return parts,
    };
    loop {
        // a prompt begins a line
        match rest.find(&format!("\n{PROMPT}")) {
            Some(at) => {
                parts.push(&rest[..=at]);
                rest = &rest[at + 1 + PROMPT.len()..];
            }
            None => {
                if !rest.trim().is_empty() {
                    parts.push(rest);
                }
                return parts;
            }
        }
    }
}

/// The outcome in one of these texts: after the echoed line comes a value or an error.
pub fn from_repl(part: &str) -> Outcome {
    let plain = without_colours(part);
    let shown = plain.split_once('\n').map_or("", |(_, rest)| rest);
    let kept: Vec<&str> = shown
        .lines()
        .filter(|l| {
            !l.starts_with("trace: ")
                && !l.starts_with("warning: ")
                && !l.starts_with("evaluation warning: ")
        })
        .collect();
    let mut kept = kept;
    if kept.iter().any(|l| l.starts_with("error:")) {
        // the value's beginning, which was printed before the error came, is written behind it
        while kept.last().is_some_and(|l| matches!(l.trim(), "" | "[" | "{")) {
            kept.pop();
        }
        let shown = kept.join("\n");
        return Outcome::Error(normal_message(&final_error(&shown).unwrap_or(shown)));
    }
    Outcome::Value(normal_value(&kept.join("\n")))
}

/// A message with what differs by nature made the same: how functions are shown, and white space, which
/// the reference changes for terminals.
pub fn normal_message(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    normal_functions(&words.join(" "))
}

/// A value on one line, with functions shown in one way.
pub fn normal_value(text: &str) -> String {
    let mut out = String::new();
    let mut in_string = false;
    let mut escaped = false;
    for c in text.trim().chars() {
        if in_string {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
        } else if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            in_string = c == '"';
            out.push(c);
        }
    }
    normal_functions(&out)
}

/// Makes `<LAMBDA>`, `<PRIMOP>` and `<PRIMOP-APP>` of `«lambda …»`, `«primop …»` and
/// `«partially applied primop …»`.
fn normal_functions(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('«') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let kind = [
            ("«lambda", "<LAMBDA>"),
            ("«primop", "<PRIMOP>"),
            ("«partially applied primop", "<PRIMOP-APP>"),
        ]
        .into_iter()
        .find(|(start, _)| from.starts_with(start));
        match (kind, closing(from)) {
            (Some((_, name)), Some(end)) => {
                out.push_str(name);
                rest = &from[end..];
            }
            _ => {
                out.push('«');
                rest = &from['«'.len_utf8()..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the `»` ends that closes the first `«`; they nest.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '«' => depth += 1,
            '»' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + c.len_utf8());
                }
            }
            _ => {}
        }
    }
    None
}

/// A text without `ESC [ … letter`.
fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Outcome, from_repl, normal_value, split_repl};

    #[test]
    fn repl_output_is_taken_apart() {
        let output = "Nix\nnix-repl> :p 1\n\u{1b}[36;1m1\u{1b}[0m\n\nnix-repl> :p x\nerror: undefined variable 'x'\n       at «string»:1:2:\n            1| x\n             | ^\n\nnix-repl> ";
        let parts = split_repl(output);
        let outcomes: Vec<Outcome> = parts.iter().map(|p| from_repl(p)).collect();
        assert_eq!(
            outcomes,
            [Outcome::Value("1".into()), Outcome::Error("undefined variable 'x'".into())]
        );
    }

    #[test]
    fn values_are_brought_to_one_form() {
        let theirs =
            "{\n  a = [\n    «lambda f @ «string»:1:2»\n    \"x  y\"\n  ];\n  b = «primop map»;\n}";
        assert_eq!(
            normal_value(theirs),
            normal_value("{ a = [ <LAMBDA> \"x  y\" ]; b = <PRIMOP>; }")
        );
    }
}
