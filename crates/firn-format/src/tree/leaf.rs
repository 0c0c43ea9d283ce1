//! Tokens and what surrounds them.

use std::borrow::Cow;

use crate::directive::Directive;

/// A comment or a blank line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trivium<'s> {
    /// One or more blank lines.
    Blank,
    /// A comment on one line: what follows the `#`.
    Line(Cow<'s, str>),
    /// A comment of several lines, without what they are indented by.
    Block {
        /// Begins with `/**`.
        doc: bool,
        lines: Vec<Cow<'s, str>>,
    },
    /// `/* name */` before a string: names the language that the string is in.
    Language(Cow<'s, str>),
    /// A line from which on the text stays as it is, or is formatted again.
    Directive(Directive),
}

/// What surrounds a token.
#[derive(Debug, Default)]
pub(crate) struct Around<'s> {
    /// What stands before it and does not belong to the token before.
    pub before: Vec<Trivium<'s>>,
    /// The line of the text in which it starts.
    pub line: u32,
    /// The comment that follows it in the same line, without the marks of a comment.
    pub after: Option<Cow<'s, str>>,
}

impl<'s> Around<'s> {
    /// Whether there is no comment or blank line at the token.
    pub fn is_bare(&self) -> bool {
        self.before.is_empty() && self.after.is_none()
    }

    /// Takes the comment behind the token away, as one that stands on a line of its own.
    pub fn take_after(&mut self) -> Option<Trivium<'s>> {
        self.after.take().map(|text| Trivium::Line(format!(" {text}").into()))
    }

    /// Puts the comment behind the token before it.
    pub fn move_after_up(&mut self) {
        let moved = self.take_after();
        self.before.extend(moved);
    }

    /// Puts more before what stands before the token.
    pub fn prepend(&mut self, mut more: Vec<Trivium<'s>>) {
        if !more.is_empty() {
            more.append(&mut self.before);
            self.before = more;
        }
    }
}

/// Something with what surrounds it.
#[derive(Debug)]
pub(crate) struct Leaf<'s, T> {
    pub around: Around<'s>,
    pub value: T,
}

/// A token as it is written.
pub(crate) type Token<'s> = Leaf<'s, Cow<'s, str>>;

impl<T> Leaf<'_, T> {
    pub fn line(&self) -> u32 {
        self.around.line
    }

    pub fn is_bare(&self) -> bool {
        self.around.is_bare()
    }
}
