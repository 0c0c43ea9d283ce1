//! Parameters of functions.

use super::Writer;
use super::judge::can_be_flat;
use crate::doc::Spacing;
use crate::tree::{Around, Formal, Leaf, Parameter, Token};

impl<'t> Writer<'t> {
    pub(super) fn parameter(&mut self, parameter: &mut Parameter<'t>) {
        match parameter {
            Parameter::Id(name) => self.token(name),
            Parameter::Both { first, at, second } => {
                self.parameter(first);
                self.token(at);
                self.parameter(second);
            }
            Parameter::Set { open, formals, close } => self.pattern(open, formals, close),
        }
    }

    fn pattern(&mut self, open: &mut Token<'t>, formals: &mut [Formal<'t>], close: &mut Token<'t>) {
        if formals.is_empty() {
            self.group(|w| {
                let same_line = open.line() == close.line();
                w.token_comment_first(open);
                w.doc.space(if same_line { Spacing::HardSpace } else { Spacing::HardLine });
                w.token(close);
            });
            return;
        }
        let between =
            if can_be_flat(open, formals, close) { Spacing::Space } else { Spacing::HardLine };
        comments_to_next(formals);
        formals.iter_mut().for_each(comment_behind_comma);
        let before_close = std::mem::take(&mut close.around.before);
        self.group(|w| {
            w.token_comment_first(open);
            w.doc.space(between);
            w.nest(|w| {
                let count = formals.len();
                for (i, formal) in formals.iter_mut().enumerate() {
                    w.formal(formal, i + 1 == count);
                    if i + 1 < count {
                        w.doc.space(between);
                    }
                }
            });
            w.doc.space(between);
            w.nest(|w| w.trivia(&before_close));
            w.token(close);
        });
    }

    fn formal(&mut self, formal: &mut Formal<'t>, last: bool) {
        let (name, default, comma) = match formal {
            Formal::Ellipsis(token) => return self.token(token),
            Formal::Named { name, default, comma } => (name, default, comma),
        };
        // The comma behind the last one is written only where each has a line.
        let implied = last && comma.as_ref().is_some_and(Leaf::is_bare);
        let written = if implied { None } else { comma.as_ref() };
        match default {
            None => {
                self.token(name);
                if let Some(comma) = written {
                    self.token(comma);
                }
            }
            Some(default) => self.group(|w| {
                let (mark, default) = &mut **default;
                w.token(name);
                w.space();
                w.nest(|w| {
                    w.token(mark);
                    w.value(default);
                });
                if let Some(comma) = written {
                    w.token(comma);
                }
            }),
        }
        if implied {
            self.doc.if_broken(",");
        }
    }
}

/// With commas before the names, the comments before a comma are about the name behind it. Gives the last name
/// its comma as well.
fn comments_to_next(formals: &mut [Formal<'_>]) {
    for i in 0..formals.len() {
        let (done, rest) = formals.split_at_mut(i + 1);
        match (&mut done[i], rest) {
            (Formal::Named { comma: Some(comma), .. }, [next, ..])
                if comma.around.after.is_none() =>
            {
                let moved = std::mem::take(&mut comma.around.before);
                match next {
                    Formal::Named { name, .. } => name.around.prepend(moved),
                    Formal::Ellipsis(token) => token.around.prepend(moved),
                }
            }
            (Formal::Named { name, comma: comma @ None, .. }, []) => {
                let around = Around { line: name.line(), ..Around::default() };
                *comma = Some(Leaf { around, value: ",".into() });
            }
            _ => {}
        }
    }
}

/// `, name # about it` becomes `name, # about it`.
fn comment_behind_comma(formal: &mut Formal<'_>) {
    let Formal::Named { name, default, comma: Some(comma) } = formal else { return };
    if comma.is_bare() {
        comma.around.after = match default {
            None => name.around.after.take(),
            Some(default) => default.1.last_mut().after.take(),
        };
    }
}
