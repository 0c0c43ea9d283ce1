//! For the debugger: what names each environment holds, and nodes that say when they are being evaluated.
//!
//! Only compiled in if there is a debugger; evaluation without one meets none of this.

use super::{Bound, Compiler, Node, Param};
use crate::position::PosId;
use crate::value::Value;
use firn_syntax::Symbol;
use firn_syntax::ast::{AttrName, AttrPathId, Expr, ExprId, quoted, show};

/// Where the value of a name is.
#[derive(Clone, Copy)]
pub enum Place {
    /// In this slot of the level's environment.
    Slot(u32),
    /// Known when the text was compiled: a name of a session.
    Known(Value),
}

/// The names that one `let`, `rec`, `with` or parameter adds.
pub struct Level {
    /// The names, in the order of symbols.
    pub names: &'static [(Symbol, Place)],
    /// For `with`: the slot of the set.
    pub with: Option<u32>,
    /// The number of the environment, from the outermost in.
    pub frame: u32,
    /// What is around.
    pub up: Option<&'static Level>,
}

/// What begins with a node.
#[derive(Clone, Copy)]
pub enum Step {
    /// Nothing of its own.
    Plain,
    /// A call.
    Call,
    /// The body of a `let`.
    Let,
    /// The selection of an attribute, by its path.
    Attribute(&'static str),
    /// What an attribute is selected from: not yet a part of the selection.
    Subject,
    /// The body of a function.
    Function(Option<Symbol>),
}

/// A node whose evaluation the debugger can look at.
pub struct Watched {
    /// The node.
    pub node: Node,
    /// What begins with it.
    pub step: Step,
    /// Where.
    pub pos: PosId,
    /// The names in scope.
    pub level: Option<&'static Level>,
    /// The number of its environment, as in [`Level::frame`].
    pub frame: u32,
}

impl Compiler<'_> {
    fn watched(&mut self, node: Node, step: Step, pos: PosId) -> Node {
        let (level, frame) = (self.level, self.frame());
        Node::Watched(self.leak(Watched { node, step, pos, level, frame }))
    }

    /// The node with what the debugger needs, if there is one.
    pub(super) fn for_debugger(&mut self, id: ExprId, node: Node) -> Node {
        if !self.debug {
            return node;
        }
        let pos = self.place(id);
        let step = match node {
            Node::Const(_)
            | Node::Local(..)
            | Node::Outer(..)
            | Node::Lambda(_)
            | Node::List(_)
            | Node::Enter(..)
            | Node::Watched(_) => return node,
            Node::Call(_) | Node::Arith(_) => Step::Call,
            Node::Attr(_) | Node::Select(_) => match self.ast.expr(id) {
                Expr::Select { path, .. } => Step::Attribute(self.path_text(path)),
                _ => Step::Plain,
            },
            _ => Step::Plain,
        };
        self.watched(node, step, pos)
    }

    /// As [`Compiler::for_debugger`], for what an attribute is selected from.
    pub(super) fn subject_for_debugger(&mut self, node: Node) -> Node {
        match node {
            Node::Watched(_) if self.debug => self.watched(node, Step::Subject, PosId::NONE),
            _ => node,
        }
    }

    /// As [`Compiler::for_debugger`], for the body of a `let`.
    pub(super) fn let_for_debugger(&mut self, body: Node) -> Node {
        if self.debug { self.watched(body, Step::Let, PosId::NONE) } else { body }
    }

    /// As [`Compiler::for_debugger`], for the body of a function whose last parameter this is.
    pub(super) fn body_for_debugger(&mut self, body: Node, param: &Param) -> Node {
        if self.debug { self.watched(body, Step::Function(param.name), param.pos) } else { body }
    }

    /// Goes a level in, with names in slots of the present environment.
    pub(super) fn enter_level(&mut self, names: impl Iterator<Item = (Symbol, u32)>) {
        if self.debug {
            let names = names.map(|(name, slot)| (name, Place::Slot(slot))).collect();
            self.push_level(names, None);
        }
    }

    /// Goes a level in, with parameters of the present function.
    pub(super) fn enter_params(&mut self, names: &[Symbol]) {
        if self.debug {
            let places = names.iter().filter_map(|name| match self.bound(*name) {
                Some(Bound::Slot { slot, .. }) => Some((*name, Place::Slot(slot))),
                _ => None,
            });
            let places = places.collect();
            self.push_level(places, None);
        }
    }

    /// Goes into the body of a `with`.
    pub(super) fn enter_with(&mut self, slot: u32) {
        if self.debug {
            self.push_level(Vec::new(), Some(slot));
        }
    }

    /// A level with the names that a session has bound.
    pub(super) fn enter_session(&mut self) {
        if self.debug
            && let Some(names) = self.session
        {
            let names = names.iter().map(|(name, value)| (*name, Place::Known(*value))).collect();
            self.push_level(names, None);
        }
    }

    fn push_level(&mut self, mut names: Vec<(Symbol, Place)>, with: Option<u32>) {
        names.sort_by_key(|(name, _)| *name);
        let names = self.leak_slice(names);
        let (frame, up) = (self.frame(), self.level);
        self.level = Some(self.leak(Level { names, with, frame, up }));
    }

    /// Comes back out of a level.
    pub(super) fn leave_level(&mut self) {
        if self.debug {
            self.level = self.level.and_then(|level| level.up);
        }
    }

    fn path_text(&self, path: AttrPathId) -> &'static str {
        let mut text = String::new();
        for (i, name) in self.ast.attr_path(path).iter().enumerate() {
            if i > 0 {
                text.push('.');
            }
            match name {
                AttrName::Static(name) => text.push_str(&quoted(*name)),
                AttrName::Dynamic(e) => {
                    let mut shown = Vec::new();
                    show(self.ast, *e, &mut shown);
                    text.push_str(&format!("\"${{{}}}\"", String::from_utf8_lossy(&shown)));
                }
            }
        }
        Box::leak(text.into_boxed_str())
    }
}
