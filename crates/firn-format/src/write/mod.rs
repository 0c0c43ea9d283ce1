//! From tree to document: where lines may be broken and what is kept together, as RFC 166 and nixfmt have it.
//!
//! The tree is changed on the way: comments move to where they will be found by the next run.
//!
//! | file | holds |
//! | --- | --- |
//! | `mod` | comments and tokens |
//! | `judge` | questions about expressions on which their layout depends |
//! | `expr` | expressions |
//! | `call` | functions with their arguments |
//! | `chain` | operators |
//! | `term` | lists, sets, parentheses, selections |
//! | `bind` | bindings, and what stands right of `=` and `?` |
//! | `param` | parameters of functions |
//! | `string` | strings and interpolations |

mod bind;
mod call;
mod chain;
mod expr;
mod judge;
mod param;
mod string;
mod term;

use crate::doc::{Doc, Elem, Kind, Spacing};
use crate::tree::{Item, Leaf, Term, Token, Trivium, Whole};

/// A document that grows, with what is added to it for each part of the tree.
pub(crate) struct Writer<'t> {
    doc: Doc<'t>,
}

/// The document of a whole text.
pub(crate) fn document(mut whole: Whole<'_>) -> Vec<Elem<'_>> {
    // Blank lines before the first token would only be taken away afterwards.
    let before = &mut whole.expr.first_mut().before;
    let blank = before.iter().take_while(|t| **t == Trivium::Blank).count();
    before.drain(..blank);
    let mut writer = Writer { doc: Doc::default() };
    writer.whole(&mut whole);
    writer.doc.finish()
}

impl<'t> Writer<'t> {
    fn group(&mut self, write: impl FnOnce(&mut Self)) {
        self.group_of(Kind::Plain, write);
    }

    fn group_of(&mut self, kind: Kind, write: impl FnOnce(&mut Self)) {
        let elems = self.apart(write);
        self.doc.add_group(kind, elems);
    }

    fn nest(&mut self, write: impl FnOnce(&mut Self)) {
        self.doc.nest_by(1);
        write(self);
        self.doc.nest_by(-1);
    }

    fn offset(&mut self, by: u32, write: impl FnOnce(&mut Self)) {
        let by = i32::try_from(by).unwrap_or_default();
        self.doc.offset_by(by);
        write(self);
        self.doc.offset_by(-by);
    }

    /// What is written, without adding it.
    fn apart(&mut self, write: impl FnOnce(&mut Self)) -> Vec<Elem<'t>> {
        let outside = self.doc.take();
        write(self);
        self.doc.replace(outside)
    }

    fn text(&mut self, text: impl Into<std::borrow::Cow<'t, str>>) {
        self.doc.text(text);
    }

    fn line(&mut self) {
        self.doc.space(Spacing::Space);
    }

    fn break_here(&mut self) {
        self.doc.space(Spacing::Break);
    }

    fn soft_line(&mut self) {
        self.doc.space(Spacing::SoftSpace);
    }

    fn hard_line(&mut self) {
        self.doc.space(Spacing::HardLine);
    }

    fn space(&mut self) {
        self.doc.space(Spacing::HardSpace);
    }

    fn whole(&mut self, whole: &mut Whole<'t>) {
        self.group(|w| {
            w.expr(&mut whole.expr);
            w.trivia(&whole.after);
        });
    }

    /// Comments and blank lines before a token.
    fn trivia(&mut self, trivia: &[Trivium<'t>]) {
        match trivia {
            [] => {}
            [Trivium::Language(_)] => self.trivium(&trivia[0]),
            _ => {
                self.hard_line();
                for one in trivia {
                    self.trivium(one);
                }
            }
        }
    }

    fn trivium(&mut self, trivium: &Trivium<'t>) {
        match trivium {
            Trivium::Blank => self.doc.space(Spacing::Blank),
            Trivium::Line(text) => {
                self.doc.comment(format!("#{text}"));
                self.hard_line();
            }
            Trivium::Directive(directive) => {
                self.doc.comment(directive.mark());
                self.hard_line();
            }
            Trivium::Language(name) => {
                self.doc.comment(format!("/* {name} */"));
                self.space();
            }
            Trivium::Block { doc, lines } => {
                self.doc.comment(if *doc { "/**" } else { "/*" });
                self.hard_line();
                self.offset(2, |w| {
                    for line in lines {
                        if line.is_empty() {
                            w.doc.space(Spacing::Blank);
                        } else {
                            w.doc.comment(line.clone());
                            w.hard_line();
                        }
                    }
                });
                self.doc.comment("*/");
                self.hard_line();
            }
        }
    }

    /// The comment behind a token.
    fn trailing(&mut self, comment: Option<&std::borrow::Cow<'t, str>>) {
        if let Some(text) = comment {
            self.space();
            self.doc.trailing_comment(format!("# {text}"));
            self.hard_line();
        }
    }

    /// Something with what surrounds it.
    fn leaf<T>(&mut self, leaf: &mut Leaf<'t, T>, write: impl FnOnce(&mut Self, &mut T)) {
        self.trivia(&leaf.around.before);
        write(self, &mut leaf.value);
        self.trailing(leaf.around.after.as_ref());
    }

    fn token(&mut self, token: &Token<'t>) {
        self.trivia(&token.around.before);
        self.text(token.value.clone());
        self.trailing(token.around.after.as_ref());
    }

    /// A token without the comment behind it.
    fn token_only(&mut self, token: &Token<'t>) {
        self.trivia(&token.around.before);
        self.text(token.value.clone());
    }

    /// A token with the comment behind it moved before it.
    fn token_comment_first(&mut self, token: &mut Token<'t>) {
        token.around.move_after_up();
        self.token(token);
    }

    /// Elements or bindings, with what stands between them.
    fn items<T>(
        &mut self,
        separator: Spacing,
        items: &mut [Item<'t, T>],
        write: impl Fn(&mut Self, &mut T),
    ) {
        let count = items.len();
        let mut language_before = false;
        for (i, item) in items.iter_mut().enumerate() {
            let last = i + 1 == count;
            match item {
                Item::Comments(trivia) => match &trivia[..] {
                    // The name of a language stays in the line of its string.
                    [before @ .., name @ Trivium::Language(_)] if !last => {
                        self.trivia(before);
                        self.trivium(name);
                        language_before = true;
                        continue;
                    }
                    _ => self.trivia(trivia),
                },
                Item::Item(item) => {
                    if std::mem::take(&mut language_before) {
                        self.space();
                    }
                    self.group(|w| write(w, item));
                }
            }
            if !last {
                self.doc.space(separator);
            }
        }
    }
}

/// Whether there are comments and nothing else.
fn only_comments<T>(items: &[Item<'_, T>]) -> bool {
    !items.is_empty() && no_elements(items)
}

fn no_elements<T>(items: &[Item<'_, T>]) -> bool {
    items.iter().all(|item| matches!(item, Item::Comments(_)))
}

impl<'t> Writer<'t> {
    /// A term as an element of something else.
    fn term(&mut self, term: &mut Term<'t>) {
        if matches!(term, Term::List(_)) {
            self.group(|w| w.term_plain(term));
        } else {
            self.term_plain(term);
        }
    }
}
