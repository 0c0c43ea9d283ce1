//! How a document is put together: element by element, with the present nesting at hand.

use std::borrow::Cow;

use super::{Elem, Kind, Spacing, Style, Text};

/// A document that grows.
#[derive(Debug, Default)]
pub(crate) struct Doc<'t> {
    elems: Vec<Elem<'t>>,
    nest: u32,
    offset: u32,
}

impl<'t> Doc<'t> {
    fn push(&mut self, style: Style, text: Cow<'t, str>) {
        if text.is_empty() {
            return;
        }
        let width = width(&text);
        let (nest, offset) = (self.nest, self.offset);
        self.elems.push(Elem::Text(Text { nest, offset, style, joined: false, width, text }));
    }

    pub fn text(&mut self, text: impl Into<Cow<'t, str>>) {
        self.push(Style::Plain, text.into());
    }

    pub fn comment(&mut self, text: impl Into<Cow<'t, str>>) {
        self.push(Style::Comment, text.into());
    }

    pub fn trailing_comment(&mut self, text: impl Into<Cow<'t, str>>) {
        self.push(Style::Trailing, text.into());
    }

    pub fn if_broken(&mut self, text: &'static str) {
        self.push(Style::IfBroken, text.into());
    }

    pub fn space(&mut self, spacing: Spacing) {
        self.elems.push(Elem::Spacing(spacing));
    }

    pub fn add_group(&mut self, kind: Kind, elems: Vec<Elem<'t>>) {
        self.elems.push(Elem::Group(kind, elems));
    }

    /// Nests what is added from now on by so many levels more.
    pub fn nest_by(&mut self, levels: i32) {
        self.nest = self.nest.saturating_add_signed(levels);
    }

    /// Indents what is added from now on by so many spaces more.
    pub fn offset_by(&mut self, spaces: i32) {
        self.offset = self.offset.saturating_add_signed(spaces);
    }

    /// Takes what was added away, to build something apart.
    pub fn take(&mut self) -> Vec<Elem<'t>> {
        std::mem::take(&mut self.elems)
    }

    /// Puts back what was taken away; gives what was added since.
    pub fn replace(&mut self, elems: Vec<Elem<'t>>) -> Vec<Elem<'t>> {
        std::mem::replace(&mut self.elems, elems)
    }

    /// Adds elements that were built apart.
    pub fn extend(&mut self, elems: Vec<Elem<'t>>) {
        self.elems.extend(elems);
    }

    pub fn finish(self) -> Vec<Elem<'t>> {
        self.elems
    }
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> u32 {
    text.chars().count() as u32
}

/// Nests elements one level deeper after all.
pub(crate) fn deepen(elems: &mut [Elem<'_>]) {
    for elem in elems {
        match elem {
            Elem::Text(text) => text.nest += 1,
            Elem::Group(_, inner) => deepen(inner),
            Elem::Spacing(_) => {}
        }
    }
}

/// The elements in one line, if that is possible and, where a limit is given, not wider than it.
pub(crate) fn flat<'t>(elems: &[Elem<'t>], limit: Option<u32>) -> Option<Vec<Elem<'t>>> {
    let mut out = Vec::new();
    let mut left = limit.map_or(i64::MAX, i64::from);
    flat_into(elems, &mut left, &mut out).then_some(out)
}

fn flat_into<'t>(elems: &[Elem<'t>], left: &mut i64, out: &mut Vec<Elem<'t>>) -> bool {
    for elem in elems {
        match elem {
            Elem::Text(text) => {
                *left -= i64::from(text.width);
                out.push(elem.clone());
            }
            Elem::Spacing(spacing) => match spacing.compact() {
                None => {}
                Some(Spacing::HardSpace) => {
                    *left -= 1;
                    out.push(Elem::Spacing(Spacing::HardSpace));
                }
                Some(_) => return false,
            },
            Elem::Group(_, inner) => {
                if !flat_into(inner, left, out) {
                    return false;
                }
            }
        }
        if *left < 0 {
            return false;
        }
    }
    true
}
