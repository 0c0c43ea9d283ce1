//! A document read in order: what comes next, through the ends of groups and, where asked for, into groups.

use super::{Elem, Kind, Spacing, Text};

/// An element, as a [`Run`] shows it.
#[derive(Clone, Copy)]
pub(super) enum Item<'d, 't> {
    Text(&'d Text<'t>),
    Spacing(Spacing),
    Group(Kind, &'d [Elem<'t>]),
}

/// Some elements that follow each other.
#[derive(Clone, Copy)]
pub(super) enum Run<'d, 't> {
    Whole(&'d [Elem<'t>]),
    /// Elements taken out of groups.
    Picked(&'d [&'d Elem<'t>]),
    /// The same, with their spacings as in a group that is not broken.
    Compact(&'d [&'d Elem<'t>]),
}

impl<'d, 't> Run<'d, 't> {
    /// Takes the first element.
    pub fn pop(&mut self) -> Option<Item<'d, 't>> {
        loop {
            let (elem, compact) = match self {
                Run::Whole(elems) => {
                    let (first, rest) = elems.split_first()?;
                    *elems = rest;
                    (first, false)
                }
                Run::Picked(elems) => {
                    let (first, rest) = elems.split_first()?;
                    *elems = rest;
                    (*first, false)
                }
                Run::Compact(elems) => {
                    let (first, rest) = elems.split_first()?;
                    *elems = rest;
                    (*first, true)
                }
            };
            return Some(match elem {
                Elem::Text(text) => Item::Text(text),
                Elem::Group(kind, inner) => Item::Group(*kind, inner),
                Elem::Spacing(spacing) if compact => match spacing.compact() {
                    None => continue,
                    Some(spacing) => Item::Spacing(spacing),
                },
                Elem::Spacing(spacing) => Item::Spacing(*spacing),
            });
        }
    }
}

/// Runs, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a, 'd, 't> {
    pub run: Run<'d, 't>,
    pub then: Option<&'a Rest<'a, 'd, 't>>,
}

/// A walk through runs that goes into groups when it is told to.
#[derive(Clone)]
pub(super) struct Flow<'a, 'd, 't> {
    now: Run<'d, 't>,
    /// The runs around the present one, the innermost last.
    around: Vec<Run<'d, 't>>,
    then: Option<&'a Rest<'a, 'd, 't>>,
    /// An element that was looked at already.
    seen: Option<Item<'d, 't>>,
}

impl<'a, 'd, 't> Flow<'a, 'd, 't> {
    /// Only these elements.
    pub fn only(run: Run<'d, 't>) -> Flow<'a, 'd, 't> {
        Flow { now: run, around: Vec::new(), then: None, seen: None }
    }

    /// Everything that follows.
    pub fn all(rest: &Rest<'a, 'd, 't>) -> Flow<'a, 'd, 't> {
        Flow { now: rest.run, around: Vec::new(), then: rest.then, seen: None }
    }

    /// The next element, with spacings that directly follow each other as one. After a group the walk goes on
    /// behind it, unless [`Flow::enter`] is called with what is in it.
    pub fn next(&mut self) -> Option<Item<'d, 't>> {
        let item = self.step()?;
        let Item::Spacing(mut spacing) = item else { return Some(item) };
        loop {
            match self.step() {
                Some(Item::Spacing(more)) => spacing = spacing.merge(more),
                other => {
                    self.seen = other;
                    return Some(Item::Spacing(spacing));
                }
            }
        }
    }

    fn step(&mut self) -> Option<Item<'d, 't>> {
        if let Some(seen) = self.seen.take() {
            return Some(seen);
        }
        loop {
            if let Some(item) = self.now.pop() {
                return Some(item);
            }
            if let Some(run) = self.around.pop() {
                self.now = run;
            } else {
                let rest = self.then?;
                (self.now, self.then) = (rest.run, rest.then);
            }
        }
    }

    /// Goes into the group that was the last element.
    pub fn enter(&mut self, inner: &'d [Elem<'t>]) {
        let now = std::mem::replace(&mut self.now, Run::Whole(inner));
        self.around.push(now);
    }

    /// Nesting and offset of the next text.
    pub fn next_indent(mut self) -> (u32, u32) {
        while let Some(item) = self.next() {
            match item {
                Item::Text(text) => return (text.nest, text.offset),
                Item::Group(_, inner) => self.enter(inner),
                Item::Spacing(_) => {}
            }
        }
        (0, 0)
    }
}
