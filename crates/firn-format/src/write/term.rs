//! Lists, sets, parentheses and selections.

use super::call::Place;
use super::judge::is_number;
use super::{Writer, no_elements, only_comments};
use crate::doc::Spacing;
use crate::tree::{Expr, List, Name, Paren, Select, Selector, Set, Term};

impl<'t> Writer<'t> {
    /// A term without a group around it.
    pub(super) fn term_plain(&mut self, term: &mut Term<'t>) {
        match term {
            Term::Word(token) => self.token(token),
            Term::String(string) => self.leaf(string, Self::simple_string),
            Term::Indented(string) => self.leaf(string, Self::indented_string),
            Term::Path(path) => self.leaf(path, |w, parts| w.parts(parts)),
            Term::List(list) => self.list_plain(list),
            Term::Set(set) => self.set(set, false),
            Term::Select(select) => self.select(select),
            Term::Paren(paren) => self.paren(paren),
        }
    }

    /// A term; a set with bindings gets a line for each in any case.
    pub(super) fn term_wide(&mut self, term: &mut Term<'t>) {
        match term {
            Term::Set(set) => self.set(set, true),
            other => self.term_plain(other),
        }
    }

    pub(super) fn list_plain(&mut self, list: &mut List<'t>) {
        let List { open, items, close } = list;
        if open.around.after.is_none() && items.is_empty() && close.around.before.is_empty() {
            self.token(open);
            self.doc.space(if open.line() == close.line() {
                Spacing::HardSpace
            } else {
                Spacing::HardLine
            });
            self.token(close);
        } else {
            self.list(list, Spacing::HardLine);
        }
    }

    pub(super) fn list(&mut self, list: &mut List<'t>, separator: Spacing) {
        let List { open, items, close } = list;
        // Brackets in different lines stay so.
        let broken = open.line() != close.line()
            || only_comments(items)
            || (!open.is_bare() && no_elements(items));
        let inside = match (broken, no_elements(items)) {
            (true, _) => Spacing::HardLine,
            (false, true) => Spacing::HardSpace,
            (false, false) => Spacing::Space,
        };
        self.token_only(open);
        self.doc.space(inside);
        self.nest(|w| {
            w.trailing(open.around.after.as_ref());
            w.items(separator, items, Self::term);
        });
        self.doc.space(inside);
        self.token(close);
    }

    fn set(&mut self, set: &mut Set<'t>, wide: bool) {
        let Set { keyword, open, items, close } = set;
        if let Some(keyword) = keyword {
            self.leaf(keyword, |w, text| {
                w.text(text.clone());
                w.space();
            });
        }
        let same_line = open.line() == close.line();
        if open.is_bare() && items.is_empty() && close.around.before.is_empty() {
            self.token(open);
            self.doc.space(if same_line { Spacing::HardSpace } else { Spacing::HardLine });
            self.token(close);
            return;
        }
        let broken = !same_line || (wide && !items.is_empty());
        let inside = if broken { Spacing::HardLine } else { Spacing::Space };
        self.token_only(open);
        self.doc.space(inside);
        self.nest(|w| {
            w.trailing(open.around.after.as_ref());
            w.bindings(items);
        });
        self.doc.space(inside);
        self.token(close);
    }

    fn select(&mut self, select: &mut Select<'t>) {
        let Select { subject, path, default } = select;
        self.term(subject);
        match subject {
            // Without the space, the dot would belong to the number or the path.
            Term::Word(word) if is_number(word) => self.space(),
            Term::Path(_) => self.space(),
            Term::Word(_) => {}
            Term::Paren(_) => self.doc.space(Spacing::SoftBreak),
            _ => self.break_here(),
        }
        self.selectors(path);
        if let Some((or, default)) = default {
            self.soft_line();
            self.nest(|w| {
                w.token(or);
                w.space();
                w.term(default);
            });
        }
    }

    pub(super) fn selectors(&mut self, path: &mut [Selector<'t>]) {
        for selector in path {
            if let Some(dot) = &selector.dot {
                self.token(dot);
            }
            self.name(&mut selector.name);
        }
    }

    pub(super) fn name(&mut self, name: &mut Name<'t>) {
        match name {
            Name::Id(token) => self.token(token),
            Name::Interpolation(leaf) => self.leaf(leaf, Self::part),
            Name::String(leaf) => self.leaf(leaf, Self::simple_string),
        }
    }

    fn paren(&mut self, paren: &mut Paren<'t>) {
        let Paren { open, inner, close } = paren;
        let before_close = std::mem::take(&mut close.around.before);
        self.group(|w| {
            w.token_comment_first(open);
            w.nest(|w| {
                w.bracketed(inner);
                w.trivia(&before_close);
            });
            w.token(close);
        });
    }

    /// What stands between parentheses, or between `${` and `}`.
    pub(super) fn bracketed(&mut self, inner: &mut Expr<'t>) {
        if inner.is_absorbable() {
            return self.group(|w| w.absorbed(inner, false));
        }
        let (before, after) = match inner {
            Expr::Apply(_) => {
                return self.call(inner, Place { bracketed: true, ..Place::default() });
            }
            Expr::Term(Term::Select(select)) => (select.subject.is_absorbable(), true),
            _ => (true, true),
        };
        if before {
            self.break_here();
        }
        self.group(|w| w.expr(inner));
        if after {
            self.break_here();
        }
    }
}
