//! Strings and what is interpolated in them.

use super::Writer;
use super::judge::only_spaces;
use crate::doc::{Spacing, deepen, flat};
use crate::tree::{Expr, Lines, Part};

/// Up to this many columns an interpolation stays in one line, however long that gets.
const SHORT: u32 = 30;

impl<'t> Writer<'t> {
    /// `"…"`. Its line breaks are text: what follows them is not indented.
    pub(super) fn simple_string(&mut self, lines: &mut Lines<'t>) {
        self.group(|w| {
            w.text("\"");
            for (i, line) in lines.iter_mut().enumerate() {
                if i > 0 {
                    w.text("\n");
                }
                w.parts(line);
            }
            w.text("\"");
        });
    }

    /// `''…''`.
    pub(super) fn indented_string(&mut self, lines: &mut Lines<'t>) {
        self.group(|w| {
            w.text("''");
            if lines.len() > 1 {
                w.break_here();
            }
            w.nest(|w| {
                for (i, line) in lines.iter_mut().enumerate() {
                    if i > 0 {
                        w.doc.space(Spacing::Newlines(1));
                    }
                    w.parts(line);
                }
            });
            w.text("''");
        });
    }

    /// A line of a string, or a path.
    pub(super) fn parts(&mut self, parts: &mut [Part<'t>]) {
        // An interpolation that is all of its line goes on in it.
        if let [before @ .., Part::Interpolation(whole)] = &mut *parts
            && before.len() < 2
            && before.iter().all(only_spaces)
            && whole.after.is_empty()
        {
            let mut indentation = 0;
            if let [Part::Text(text)] = before {
                indentation = text.len() as u32;
                self.text(text.clone());
            }
            self.offset(indentation, |w| {
                w.group(|w| {
                    w.text("${");
                    w.nest(|w| w.bracketed(&mut whole.expr));
                    w.text("}");
                });
            });
            return;
        }
        match parts {
            [Part::Interpolation(whole)] => self.group(|w| {
                w.text("${");
                w.break_here();
                w.nest(|w| w.whole(whole));
                w.break_here();
                w.text("}");
            }),
            [Part::Text(text), rest @ ..] => {
                let indentation = text.chars().take_while(|c| c.is_whitespace()).count() as u32;
                self.text(text.clone());
                self.offset(indentation, |w| rest.iter_mut().for_each(|part| w.part(part)));
            }
            parts => parts.iter_mut().for_each(|part| self.part(part)),
        }
    }

    /// A part of a line of a string.
    pub(super) fn part(&mut self, part: &mut Part<'t>) {
        let whole = match part {
            Part::Text(text) => return self.text(text.clone()),
            Part::Interpolation(whole) => whole,
        };
        if whole.after.is_empty() {
            match &mut whole.expr {
                Expr::Term(term) if term.is_absorbable() => {
                    return self.group(|w| {
                        w.text("${");
                        w.term_plain(term);
                        w.text("}");
                    });
                }
                expr if expr.is_simple() => {
                    self.text("${");
                    let written = self.apart(|w| w.expr(expr));
                    let elems = flat(&written, None).unwrap_or(written);
                    self.doc.extend(elems);
                    return self.text("}");
                }
                _ => {}
            }
        }
        self.group(|w| {
            w.text("${");
            let mut written = w.apart(|w| w.whole(whole));
            match flat(&written, Some(SHORT)) {
                Some(short) => w.doc.extend(short),
                None => {
                    w.break_here();
                    deepen(&mut written);
                    w.doc.extend(written);
                    w.break_here();
                }
            }
            w.text("}");
        });
    }
}
