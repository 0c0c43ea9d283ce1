//! Puts a document in order before it is laid out.
//!
//! Spacings that are in any case line breaks, and comments, are moved out of the starts and ends of groups,
//! where they would break the group without need; spacings beside each other become one; groups without
//! content, or with nothing but a group of their own kind, are dissolved.

use super::{Elem, Kind, Spacing, Style};

/// The document in order.
pub(crate) fn tidy(elems: Vec<Elem<'_>>) -> Vec<Elem<'_>> {
    let mut elems = run(elems);
    join(&mut elems);
    elems
}

fn run(elems: Vec<Elem<'_>>) -> Vec<Elem<'_>> {
    let mut out = Vec::with_capacity(elems.len());
    // What is still to do, the next element last.
    let mut todo = elems;
    todo.reverse();
    while let Some(elem) = todo.pop() {
        match (elem, todo.pop()) {
            (Elem::Spacing(a), Some(Elem::Spacing(b))) => todo.push(Elem::Spacing(a.merge(b))),
            (Elem::Spacing(Spacing::HardSpace), Some(Elem::Group(kind, mut inner))) => {
                inner.insert(0, Elem::Spacing(Spacing::HardSpace));
                todo.push(Elem::Group(kind, inner));
            }
            (Elem::Spacing(a), Some(Elem::Group(kind, inner))) => {
                group(Some(a), kind, inner, &mut todo, &mut out);
            }
            (Elem::Group(kind, inner), next) => {
                todo.extend(next);
                group(None, kind, inner, &mut todo, &mut out);
            }
            (other, next) => {
                todo.extend(next);
                out.push(other);
            }
        }
    }
    out
}

fn group<'t>(
    before: Option<Spacing>,
    kind: Kind,
    inner: Vec<Elem<'t>>,
    todo: &mut Vec<Elem<'t>>,
    out: &mut Vec<Elem<'t>>,
) {
    let mut start = run(inner);
    let led = start.iter().take_while(|e| is_hard(e) || is_comment(e)).count();
    let mut body = start.split_off(led);
    let kept = body.len() - body.iter().rev().take_while(|e| is_hard(e)).count();
    let end = body.split_off(kept);
    if let Some(before) = before {
        start.insert(0, Elem::Spacing(before));
    }
    todo.extend(end.into_iter().rev());
    if body.is_empty() {
        todo.extend(start.into_iter().rev());
        return;
    }
    out.extend(run(start));
    if let [Elem::Group(only, _)] = &body[..]
        && *only == kind
        && let Some(Elem::Group(_, content)) = body.pop()
    {
        body = content;
    }
    out.push(Elem::Group(kind, body));
}

fn is_hard(elem: &Elem<'_>) -> bool {
    matches!(elem, Elem::Spacing(spacing) if !spacing.is_soft())
}

fn is_comment(elem: &Elem<'_>) -> bool {
    match elem {
        Elem::Text(text) => matches!(text.style, Style::Comment | Style::Trailing),
        Elem::Group(_, inner) => inner.iter().all(|e| is_comment(e) || is_hard(e)),
        Elem::Spacing(_) => false,
    }
}

/// Marks texts that directly follow a text of their style.
fn join(elems: &mut [Elem<'_>]) {
    let mut last = None;
    for elem in elems {
        last = match elem {
            Elem::Text(text) => {
                text.joined = last == Some(text.style);
                Some(text.style)
            }
            Elem::Group(_, inner) => {
                join(inner);
                None
            }
            Elem::Spacing(_) => None,
        };
    }
}
