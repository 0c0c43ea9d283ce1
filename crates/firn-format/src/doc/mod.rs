//! Documents: texts with places where lines can be broken, in groups that are broken together.
//!
//! | file | holds |
//! | --- | --- |
//! | `mod` | the elements |
//! | `build` | how a document is put together |
//! | `tidy` | spacings merged and moved to where they count |
//! | `flow` | a document read in order, through its groups |
//! | `layout` | from document to text |
//!
//! Nothing here knows Nix.

mod build;
mod flow;
mod layout;
mod tidy;

pub(crate) use build::{Doc, deepen, flat};
pub(crate) use layout::{TooHard, layout};
pub(crate) use tidy::tidy;

use std::borrow::Cow;

/// White space between two texts, in the order in which the stronger one wins where two meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spacing {
    /// Nothing, or a line break if what follows does not fit.
    SoftBreak,
    /// Nothing, or a line break in a broken group.
    Break,
    /// A space.
    HardSpace,
    /// A space, or a line break if what follows does not fit.
    SoftSpace,
    /// A space, or a line break in a broken group.
    Space,
    /// A line break.
    HardLine,
    /// A blank line.
    Blank,
    /// Line breaks, none of which merges with others.
    Newlines(u32),
}

impl Spacing {
    /// What can be another thing in another layout.
    pub fn is_soft(self) -> bool {
        matches!(self, Spacing::SoftBreak | Spacing::Break | Spacing::SoftSpace | Spacing::Space)
    }

    /// What two spacings beside each other are.
    pub fn merge(self, other: Spacing) -> Spacing {
        use Spacing::{Blank, Break, HardSpace, Newlines, SoftBreak, SoftSpace, Space};
        match (self.min(other), self.max(other)) {
            (Break, SoftSpace | HardSpace) => Space,
            (SoftBreak, HardSpace) => SoftSpace,
            (Newlines(a), Newlines(b)) => Newlines(a + b),
            (Blank, Newlines(n)) => Newlines(n + 2),
            (HardSpace, Newlines(n)) => Newlines(n),
            (_, Newlines(n)) => Newlines(n + 1),
            (_, stronger) => stronger,
        }
    }

    /// The spacing in a group that is not broken; `None` for nothing at all.
    pub fn compact(self) -> Option<Spacing> {
        match self {
            Spacing::SoftBreak | Spacing::Break => None,
            Spacing::SoftSpace | Spacing::Space => Some(Spacing::HardSpace),
            hard => Some(hard),
        }
    }
}

/// How a group is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All or none of its spacings are line breaks.
    Plain,
    /// If the group around it does not fit in a line, this one is broken first; if then what is before it and
    /// what is after it fit in their lines, the group around it is not broken.
    First,
    /// As [`Kind::Plain`], but the groups of kind [`Kind::First`] in it count as those of the group around it.
    Through,
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    /// Does not count towards the width of a line.
    Comment,
    /// A comment of one line behind a token.
    Trailing,
    /// Only written in a broken group.
    IfBroken,
}

/// An element of a document.
#[derive(Clone, Debug)]
pub(crate) enum Elem<'t> {
    Text(Text<'t>),
    Spacing(Spacing),
    Group(Kind, Vec<Elem<'t>>),
}

/// A text, written without a break.
#[derive(Clone, Debug)]
pub(crate) struct Text<'t> {
    /// How deeply it is nested. Several levels that begin in one line indent the next by one only.
    pub nest: u32,
    /// Spaces by which it is indented in any case.
    pub offset: u32,
    pub style: Style,
    /// Whether it continues the text before it.
    pub joined: bool,
    pub width: u32,
    pub text: Cow<'t, str>,
}
