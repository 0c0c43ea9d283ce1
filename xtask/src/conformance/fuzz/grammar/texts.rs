//! Texts that builtins read: regular expressions, versions, JSON and TOML; well formed for the most part.

use super::super::tree::quoted;
use super::{Grammar, Node};

impl Grammar<'_> {
    /// A text for regular expressions to search.
    pub(super) fn subject(&mut self) -> String {
        let length = self.rng.below(9);
        (0..length)
            .map(|_| self.rng.pick(&['a', 'a', 'b', 'b', 'c', '1', '-', '.', 'A', ' ', '_', '\n']))
            .collect()
    }

    /// An extended regular expression.
    pub(super) fn regex(&mut self, depth: usize) -> String {
        let branches = 1 + usize::from(self.rng.chance(25)) + usize::from(self.rng.chance(8));
        let mut out = Vec::new();
        for _ in 0..branches {
            let mut branch = String::new();
            for _ in 0..self.rng.below(4) {
                let atom = match self.rng.below(14) {
                    0..=4 => (self.rng.pick(&["a", "b", "c", "1", "-", "ab", "A", "_"])).to_owned(),
                    5 | 6 => ".".to_owned(),
                    7 | 8 if depth > 0 => format!("({})", self.regex(depth - 1)),
                    9 => self.bracket(),
                    10 => (self.rng.pick(&[
                        "\\.", "\\*", "\\(", "\\\\", "\\+", "\\{", "\\|", "\\^", "\\$", "\\]",
                    ]))
                    .to_owned(),
                    11 => (self.rng.pick(&["^", "$", "[0-9]", "[a-z]", "[[:alpha:]]", "[^a]"]))
                        .to_owned(),
                    12 if self.rng.chance(20) => (self.rng.pick(&[
                        "\\d",
                        "\\w",
                        "\\n",
                        "[",
                        "(",
                        ")",
                        "{",
                        "}",
                        "]",
                        "*",
                        "+",
                        "?",
                        "\\",
                        "[z-a]",
                        "[[:foo:]]",
                        "a{2,1}",
                        "(?:a)",
                        "a**",
                        "\\1",
                    ]))
                    .to_owned(),
                    _ => "[ab]".to_owned(),
                };
                branch.push_str(&atom);
                if self.rng.chance(35) {
                    branch.push_str(
                        self.rng.pick(&["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "{0}"]),
                    );
                }
            }
            out.push(branch);
        }
        out.join("|")
    }

    fn bracket(&mut self) -> String {
        let mut out = String::from(if self.rng.chance(30) { "[^" } else { "[" });
        for _ in 0..1 + self.rng.below(3) {
            out.push_str(self.rng.pick(&[
                "a",
                "b",
                "c",
                "a-c",
                "0-9",
                "A-Z",
                "[:digit:]",
                "[:space:]",
                "[:alnum:]",
                ".",
                "*",
                "_",
                "-",
                "^",
                "\\.",
            ]));
        }
        out.push(']');
        out
    }

    /// A version, or a package name with one.
    pub(super) fn version(&mut self) -> String {
        let mut out = String::new();
        for _ in 0..1 + self.rng.below(5) {
            out.push_str(self.rng.pick(&[
                "1",
                "2",
                "10",
                "0",
                "007",
                "pre",
                "rc",
                "a",
                "beta",
                ".",
                ".",
                "-",
                "-",
                "foo",
                "x86_64",
                "_",
                "+",
                "99999999999999999999",
            ]));
        }
        out
    }

    /// A set read from JSON or TOML.
    pub(super) fn format_reader(&mut self) -> Node {
        if self.rng.chance(50) {
            let text = self.json(3);
            Node::atom(format!("builtins.fromJSON {}", quoted(&text))).group()
        } else {
            let text = self.toml();
            Node::atom(format!("builtins.fromTOML {}", quoted(&text))).group()
        }
    }

    fn json(&mut self, depth: usize) -> String {
        let space = self.rng.pick(&["", "", "", " ", "\n"]);
        if self.rng.chance(2) {
            return (self.rng.pick(&[
                "",
                "tru",
                "01",
                "1.",
                "'a'",
                "[1,]",
                "{\"a\":}",
                "\"\\x\"",
                "nan",
                "-",
                "\"\t\"",
                "{a:1}",
                "[1 2]",
                "\"\\ud800\"",
                "1 2",
                "/**/1",
            ]))
            .to_owned();
        }
        match self.rng.below(if depth == 0 { 7 } else { 12 }) {
            0 => (self.rng.pick(&["null", "true", "false"])).to_owned(),
            1 | 2 => (self.rng.pick(&[
                "0",
                "1",
                "-1",
                "42",
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "18446744073709551615",
                "18446744073709551616",
                "-0",
            ]))
            .to_owned(),
            3 => (self.rng.pick(&[
                "1.5",
                "-0.0",
                "1e3",
                "1E-2",
                "0.1",
                "1e400",
                "123456789.123456789",
                "1.0",
                "5e-324",
                "2.5e+3",
            ]))
            .to_owned(),
            4..=6 => (self.rng.pick(&[
                "\"\"",
                "\"a\"",
                "\"é\"",
                "\"\\n\\t\\\"\"",
                "\"\\u00e9\"",
                "\"\\ud83d\\ude00\"",
                "\"a/b\\/c\"",
                "\"\\u0041\"",
            ]))
            .to_owned(),
            7 | 8 => {
                let items: Vec<String> =
                    (0..self.rng.below(4)).map(|_| self.json(depth - 1)).collect();
                format!("[{space}{}{space}]", items.join(&format!("{space},")))
            }
            _ => {
                let items: Vec<String> = (0..self.rng.below(4))
                    .map(|_| {
                        let key = self.rng.pick(&["a", "b", "", "a b", "é", "10", "_x", "a"]);
                        format!("\"{key}\"{space}:{space}{}", self.json(depth - 1))
                    })
                    .collect();
                format!("{{{space}{}{space}}}", items.join(&format!("{space},")))
            }
        }
    }

    fn toml(&mut self) -> String {
        let mut out = String::new();
        for _ in 0..self.rng.below(6) {
            if self.rng.chance(25) {
                let header = self.rng.pick(&[
                    "[a]",
                    "[a.b]",
                    "[[l]]",
                    "[\"q r\"]",
                    "[l.x]",
                    "[[l.m]]",
                    "[b]",
                    "# comment",
                    "",
                ]);
                out.push_str(header);
                out.push('\n');
                continue;
            }
            let key =
                self.rng.pick(&["a", "b", "c", "d.e", "\"x y\"", "'lit'", "1", "a-b", "f . g"]);
            let value = self.toml_value(2);
            out.push_str(&format!("{key} = {value}\n"));
        }
        if self.rng.chance(4) {
            out.push_str(self.rng.pick(&[
                "a",
                "= 1",
                "[",
                "a = ",
                "a = 1 b = 2",
                "[a",
                "x = [1",
                "y = \"",
                "a = 01",
                "b = 1__0",
                "c = {a = 1,}",
                "t = 25:00:00",
            ]));
        }
        out
    }

    fn toml_value(&mut self, depth: usize) -> String {
        match self.rng.below(if depth == 0 { 7 } else { 10 }) {
            0 | 1 => (self.rng.pick(&[
                "1",
                "-17",
                "+9",
                "1_000",
                "0xff",
                "0o17",
                "0b101",
                "9223372036854775807",
                "0",
            ]))
            .to_owned(),
            2 => (self.rng.pick(&[
                "1.5", "-0.0", "1e6", "6.02e-3", "inf", "-inf", "+1.0", "1_0.0_1", "1e400",
            ]))
            .to_owned(),
            3 => (self.rng.pick(&["true", "false"])).to_owned(),
            4..=6 => (self.rng.pick(&[
                "\"a\"",
                "\"\"",
                "'lit\\n'",
                "\"é\\u00e9\"",
                "\"\\t\\\"\"",
                "\"\"\"\nm\n  l\"\"\"",
                "'''\nx'''",
                "\"\"\"a \\\n   b\"\"\"",
            ]))
            .to_owned(),
            7 | 8 => {
                let items: Vec<String> =
                    (0..self.rng.below(4)).map(|_| self.toml_value(depth - 1)).collect();
                format!("[ {} ]", items.join(", "))
            }
            _ => {
                let items: Vec<String> = ["p", "q.r", "\"s\""]
                    .iter()
                    .take(self.rng.below(4))
                    .map(|k| format!("{k} = {}", self.toml_value(depth - 1)))
                    .collect();
                format!("{{ {} }}", items.join(", "))
            }
        }
    }
}
