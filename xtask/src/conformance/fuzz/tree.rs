//! Expressions as trees of texts and holes: enough to print them, and to make them smaller.

use std::fmt::Write as _;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A text as it is.
    Text(String),
    /// An expression, in parentheses unless it is atomic.
    Child(Node),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    parts: Vec<Part>,
    /// Whether it needs no parentheses wherever it stands.
    atomic: bool,
    /// Whether it is a sequence, whose children can be left out.
    sequence: bool,
    /// Whether it is no expression but a piece of syntax (a binding): it is not replaced.
    piece: bool,
}

impl Node {
    /// What needs no parentheses.
    pub fn atom(text: impl Into<String>) -> Node {
        Node { parts: vec![Part::Text(text.into())], atomic: true, sequence: false, piece: false }
    }

    /// A text with a child for each `%` in it.
    pub fn template(text: &str, children: Vec<Node>) -> Node {
        let mut parts = Vec::new();
        let mut children = children.into_iter();
        for (i, piece) in text.split('%').enumerate() {
            if i > 0 {
                let child = children.next();
                debug_assert!(child.is_some(), "too few children for {text}");
                parts.extend(child.map(Part::Child));
            }
            if !piece.is_empty() {
                parts.push(Part::Text(piece.to_owned()));
            }
        }
        debug_assert!(children.next().is_none(), "too many children for {text}");
        Node { parts, atomic: false, sequence: false, piece: false }
    }

    /// Children between two texts, each of which can be left out.
    pub fn sequence(open: &str, children: Vec<Node>, close: &str) -> Node {
        let mut parts = vec![Part::Text(open.to_owned())];
        for child in children {
            parts.push(Part::Child(child));
        }
        parts.push(Part::Text(close.to_owned()));
        Node { parts, atomic: true, sequence: true, piece: false }
    }

    /// As one that needs no parentheses.
    pub fn atomic(mut self) -> Node {
        self.atomic = true;
        self
    }

    /// As one that is put in parentheses.
    pub fn group(mut self) -> Node {
        self.atomic = false;
        self
    }

    /// As a piece of syntax that is no expression.
    pub fn piece(mut self) -> Node {
        self.piece = true;
        self.atomic = true;
        self
    }

    /// The text.
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    fn print_to(&self, out: &mut String) {
        for (i, part) in self.parts.iter().enumerate() {
            if self.sequence && i > 0 {
                out.push(' ');
            }
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Child(child) if child.atomic => child.print_to(out),
                Part::Child(child) => {
                    let _ = write!(out, "({})", child.print());
                }
            }
        }
    }

    /// How many texts and holes there are.
    pub fn size(&self) -> usize {
        let below = |p: &Part| match p {
            Part::Text(_) => 1,
            Part::Child(c) => c.size(),
        };
        self.parts.iter().map(below).sum()
    }

    /// Trees that are smaller by one step, those that lose most first.
    pub fn smaller(&self) -> Vec<Node> {
        let mut found = Vec::new();
        self.smaller_into(&mut |node| found.push(node));
        found.sort_by_key(Node::size);
        found.dedup();
        found
    }

    fn smaller_into(&self, found: &mut dyn FnMut(Node)) {
        if !self.piece {
            for child in self.children() {
                if !child.piece {
                    found(child.clone());
                } else {
                    // what a binding binds
                    child.children().filter(|c| !c.piece).for_each(|c| found(c.clone()));
                }
            }
            if self.size() > 1 {
                for constant in ["1", "\"\"", "[ ]", "{ }", "null", "(x: x)"] {
                    found(Node::atom(constant));
                }
            }
        }
        for (i, part) in self.parts.iter().enumerate() {
            let Part::Child(child) = part else { continue };
            if self.sequence {
                let mut shorter = self.clone();
                shorter.parts.remove(i);
                found(shorter);
            }
            child.smaller_into(&mut |new| {
                let mut changed = self.clone();
                changed.parts[i] = Part::Child(new);
                found(changed);
            });
        }
    }

    fn children(&self) -> impl Iterator<Item = &Node> {
        self.parts.iter().filter_map(|p| match p {
            Part::Child(c) => Some(c),
            Part::Text(_) => None,
        })
    }
}

/// A string literal with this text.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' => out.push_str("\\$"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{Node, quoted};

    #[test]
    fn trees_are_printed_and_made_smaller() {
        let list = Node::sequence("[", vec![Node::atom("1"), Node::atom("a")], "]");
        let tree =
            Node::template("% ++ %", vec![list, Node::template("f %", vec![Node::atom("2")])]);
        assert_eq!(tree.print(), "[ 1 a ] ++ (f 2)");
        let smaller: Vec<String> = tree.smaller().iter().map(Node::print).collect();
        for wanted in ["[ 1 a ]", "f 2", "[ a ] ++ (f 2)", "[ 1 a ] ++ 2", "1 ++ (f 2)"] {
            assert!(smaller.iter().any(|s| s == wanted), "{wanted} in {smaller:?}");
        }
        assert_eq!(quoted("a\"${\\\n"), r#""a\"\${\\\n""#);
    }
}
