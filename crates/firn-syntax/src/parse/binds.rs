//! Bindings: attribute paths become nested sets, sets that are defined piecewise are merged, and names that
//! are defined twice are errors.
//!
//! A set under construction is an [`OpenAttrs`]. Sets that a path creates (`a.b = …`) stay open until the
//! literal that holds them ends; sets that are literals are closed at their brace and opened again if a later
//! path leads into them.

use super::parser::{Parsed, Parser, symbol};
use super::strings::Text;
use super::token::{T, Token};
use crate::ast::{
    AttrName, AttrPathId, Attrs, AttrsId, Binding, BindingValue, DynamicBinding, Expr, ExprId,
    InheritSource, Range, quoted,
};
use crate::source::Pos;
use crate::symbol::Symbol;
use rustc_hash::FxHashMap;

/// Sets with more names than this are searched through a map.
const LINEAR: usize = 12;

/// An attribute set under construction.
#[derive(Default)]
pub(super) struct OpenAttrs {
    names: Vec<Binding>,
    pub(super) dynamic: Vec<DynamicBinding>,
    sources: Vec<InheritSource>,
    recursive: bool,
    /// Where a name is in `names`, once there are many.
    index: FxHashMap<Symbol, u32>,
    /// Of a literal: the sets below it that are open, outer ones first.
    nested: Vec<ExprId>,
    /// Height of the highest value.
    height: u32,
}

/// In place of the number of bindings of a set that is open; the start is its slot.
const OPEN: u32 = u32::MAX;

impl OpenAttrs {
    #[inline]
    fn find(&self, name: Symbol) -> Option<usize> {
        if self.names.len() <= LINEAR {
            return self.names.iter().position(|b| b.name == name);
        }
        self.index.get(&name).map(|i| *i as usize)
    }

    #[inline]
    fn push(&mut self, binding: Binding) {
        self.names.push(binding);
        let len = self.names.len();
        if len == LINEAR + 1 {
            self.index.extend(self.names.iter().zip(0..).map(|(b, i)| (b.name, i)));
        } else if len > LINEAR {
            self.index.insert(binding.name, len as u32 - 1);
        }
    }
}

impl Parser<'_> {
    /// A free slot for a set under construction.
    pub(super) fn open_attrs(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.open.push(OpenAttrs::default());
            self.open.len() as u32 - 1
        })
    }

    /// Moves a set into the arena, with all open sets below it. Also yields its height.
    pub(super) fn close_attrs(&mut self, slot: u32, recursive: bool) -> Parsed<(AttrsId, u32)> {
        // Inner sets were opened after outer ones.
        while let Some(expr) = self.open[slot as usize].nested.pop() {
            let Expr::Attrs(id) = self.ast.expr(expr) else { continue };
            let inner = self.ast.attrs[id.0 as usize].bindings.start;
            let recursive = self.open[inner as usize].recursive;
            let (attrs, height) = self.store(inner, recursive);
            self.ast.attrs[id.0 as usize] = attrs;
            self.heights[expr.0 as usize] = height + 1;
        }
        let (attrs, height) = self.store(slot, recursive);
        self.ast.attrs.push(attrs);
        Ok((AttrsId(self.ast.attrs.len() as u32 - 1), height))
    }

    fn store(&mut self, slot: u32, recursive: bool) -> (Attrs, u32) {
        let open = &mut self.open[slot as usize];
        let ast = &mut self.ast;
        let mut height = open.height;
        for binding in &open.names {
            if let BindingValue::Plain(value) = binding.value {
                height = height.max(self.heights[value.0 as usize]);
            }
        }
        fn all<T: Copy>(from: &mut Vec<T>, to: &mut Vec<T>) -> Range {
            super::parser::seal(from, 0, to)
        }
        let attrs = Attrs {
            recursive,
            bindings: all(&mut open.names, &mut ast.bindings),
            dynamic: all(&mut open.dynamic, &mut ast.dynamic),
            sources: all(&mut open.sources, &mut ast.sources),
        };
        open.index.clear();
        open.height = 0;
        open.recursive = false;
        self.free.push(slot);
        (attrs, height)
    }

    /// The slot of a set below the literal `root`, opened again if it is closed.
    fn reopen(&mut self, root: u32, expr: ExprId, id: AttrsId) -> u32 {
        let attrs = self.ast.attrs[id.0 as usize];
        if attrs.bindings.len == OPEN {
            return attrs.bindings.start;
        }
        let slot = self.open_attrs();
        let height = self.heights[expr.0 as usize].saturating_sub(1);
        let open = &mut self.open[slot as usize];
        open.recursive = attrs.recursive;
        open.height = height;
        open.dynamic.extend_from_slice(self.ast.dynamic_bindings(&attrs));
        open.sources.extend_from_slice(self.ast.inherit_sources(&attrs));
        for binding in self.ast.bindings(&attrs) {
            open.push(*binding);
        }
        self.mark_open(root, slot, expr, id);
        slot
    }

    fn mark_open(&mut self, root: u32, slot: u32, expr: ExprId, id: AttrsId) {
        self.ast.attrs[id.0 as usize].bindings = Range { start: slot, len: OPEN };
        self.open[root as usize].nested.push(expr);
    }

    /// A new set that a path leads through, or over which it is merged.
    fn new_nested(&mut self, root: u32) -> Parsed<(ExprId, u32)> {
        let id = AttrsId(self.ast.attrs.len() as u32);
        self.ast.attrs.push(Attrs::default());
        let expr = self.add(Expr::Attrs(id), Pos::NONE.0, 0)?;
        let slot = self.open_attrs();
        self.mark_open(root, slot, expr, id);
        Ok((expr, slot))
    }

    /// Bindings up to a token that starts none. The first name may be read already.
    pub(super) fn binds(&mut self, slot: u32, first: Option<Token>) -> Parsed<()> {
        let mut first = first;
        loop {
            if first.is_none() {
                match self.peek()?.kind {
                    T::Id | T::OrKeyword | T::Quote | T::DollarBrace => {}
                    T::Inherit => {
                        self.bump();
                        self.inherit(slot)?;
                        continue;
                    }
                    _ => return Ok(()),
                }
            }
            let base = self.names.len();
            let pos = match first {
                Some(token) => token.start,
                None => self.peek()?.start,
            };
            let below = self.attr_names(first.take())?;
            self.expect(T::Assign)?;
            let value = self.expr()?;
            self.expect(T::Semicolon)?;
            self.bind(slot, base, pos, value, below)?;
            self.names.truncate(base);
        }
    }

    fn inherit(&mut self, slot: u32) -> Parsed<()> {
        let mut value = BindingValue::Inherit;
        let mut source = None;
        if self.peek()?.kind == T::LParen {
            self.bump();
            let pos = self.peek()?.start;
            let expr = self.expr()?;
            self.expect(T::RParen)?;
            value = BindingValue::InheritFrom(self.open[slot as usize].sources.len() as u32);
            source = Some(InheritSource { expr, pos: Pos(pos) });
        }
        let mut names = Vec::new();
        loop {
            let token = self.peek()?;
            let name = match token.kind {
                T::Id | T::OrKeyword | T::Quote | T::DollarBrace => self.attr_name()?,
                _ => break,
            };
            match name {
                AttrName::Static(name) => names.push((name, Pos(token.start))),
                AttrName::Dynamic(_) => {
                    let message = "dynamic attributes not allowed in inherit";
                    return self.message(message.into(), Pos(token.start));
                }
            }
        }
        self.expect(T::Semicolon)?;
        if let Some(source) = source {
            let height = self.height(source.expr);
            let open = &mut self.open[slot as usize];
            open.sources.push(source);
            open.height = open.height.max(height);
        }
        for (name, pos) in names {
            if let Some(earlier) = self.open[slot as usize].find(name) {
                let earlier = self.open[slot as usize].names[earlier].pos;
                return self.duplicate(&quoted(name), pos, earlier);
            }
            self.open[slot as usize].push(Binding { name, pos, value });
        }
        Ok(())
    }

    #[cold]
    fn duplicate<R>(&mut self, name: &str, pos: Pos, earlier: Pos) -> Parsed<R> {
        let place = self.ast.source.describe(earlier);
        self.message(format!("attribute '{name}' already defined at {place}"), pos)
    }

    /// Binds the path that was pushed onto `names` since `base`.
    fn bind(&mut self, slot: u32, base: usize, pos: u32, value: ExprId, below: u32) -> Parsed<()> {
        let last = self.names.len() - 1;
        let mut at = slot;
        for i in base..last {
            let name = self.names[i];
            at = match name {
                AttrName::Static(name) => match self.open[at as usize].find(name) {
                    Some(index) => {
                        let earlier = self.open[at as usize].names[index];
                        let nested = match earlier.value {
                            BindingValue::Plain(expr) => match self.ast.expr(expr) {
                                Expr::Attrs(id) => Some((expr, id)),
                                _ => None,
                            },
                            _ => None,
                        };
                        let Some((expr, id)) = nested else {
                            let path = self.show_names(base, i + 1);
                            return self.duplicate(&path, Pos(pos), earlier.pos);
                        };
                        self.reopen(slot, expr, id)
                    }
                    None => {
                        let (expr, inner) = self.new_nested(slot)?;
                        let value = BindingValue::Plain(expr);
                        self.open[at as usize].push(Binding { name, pos: Pos(pos), value });
                        inner
                    }
                },
                AttrName::Dynamic(name) => {
                    let (value, inner) = self.new_nested(slot)?;
                    let binding = DynamicBinding { name, value, pos: Pos(pos) };
                    self.open[at as usize].dynamic.push(binding);
                    inner
                }
            };
        }
        // Names that are computed, and sets that a path makes, count for the heights of all around them.
        let height = self.height(value).max(below) + (last - base) as u32;
        let outer = &mut self.open[slot as usize];
        outer.height = outer.height.max(height);
        let inner = &mut self.open[at as usize];
        inner.height = inner.height.max(below);
        match self.names[last] {
            AttrName::Static(name) => {
                let binding = Binding { name, pos: Pos(pos), value: BindingValue::Plain(value) };
                self.define(slot, at, base, binding)?;
            }
            AttrName::Dynamic(name) => {
                self.open[at as usize].dynamic.push(DynamicBinding { name, value, pos: Pos(pos) });
            }
        }
        if let Some(doc) = self.doc_at(pos) {
            self.set_doc(value, doc);
        }
        Ok(())
    }

    /// Adds a binding to an open set. `names` since `base` is its path, for messages.
    fn define(&mut self, root: u32, at: u32, base: usize, binding: Binding) -> Parsed<()> {
        let Some(index) = self.open[at as usize].find(binding.name) else {
            self.open[at as usize].push(binding);
            if let BindingValue::Plain(value) = binding.value {
                self.set_name(value, binding.name);
            }
            return Ok(());
        };
        let earlier = self.open[at as usize].names[index];
        let as_set = |value| match value {
            BindingValue::Plain(expr) => match self.ast.expr(expr) {
                Expr::Attrs(id) => Some((expr, id)),
                _ => None,
            },
            _ => None,
        };
        let (Some((into, into_id)), Some((_, from_id))) =
            (as_set(earlier.value), as_set(binding.value))
        else {
            let path = self.show_names(base, self.names.len());
            return self.duplicate(&path, binding.pos, earlier.pos);
        };
        // Two sets become one; `rec` counts only on the first. The second is a closed literal here.
        let into = self.reopen(root, into, into_id);
        let from = self.ast.attrs[from_id.0 as usize];
        let shift = self.open[into as usize].sources.len() as u32;
        // Of several duplicates C++ Nix reports the one whose name it met first.
        let mut bindings = self.ast.bindings(&from).to_vec();
        bindings.sort_by_key(|b| b.name);
        for mut binding in bindings {
            if let BindingValue::InheritFrom(source) = &mut binding.value {
                *source += shift;
            }
            self.names.push(AttrName::Static(binding.name));
            self.enter()?;
            self.define(root, into, base, binding)?;
            self.leave();
            self.names.pop();
        }
        let open = &mut self.open[into as usize];
        open.dynamic.extend_from_slice(self.ast.dynamic_bindings(&from));
        open.sources.extend_from_slice(self.ast.inherit_sources(&from));
        let BindingValue::Plain(value) = binding.value else { return Ok(()) };
        let height = self.height(value);
        let open = &mut self.open[into as usize];
        open.height = open.height.max(height);
        Ok(())
    }

    /// A path under construction as messages show it.
    #[cold]
    fn show_names(&mut self, from: usize, to: usize) -> String {
        let mut out = Vec::new();
        // Strings may lie in the buffer that the lexer still holds.
        std::mem::swap(&mut self.ast.side, &mut self.lexer.side);
        for (i, name) in self.names[from..to].iter().enumerate() {
            if i > 0 {
                out.push(b'.');
            }
            match *name {
                AttrName::Static(name) => crate::ast::identifier(name, &mut out),
                AttrName::Dynamic(e) => {
                    out.extend(b"\"${");
                    self.ast.depth = self.heights[e.0 as usize];
                    crate::ast::show(&self.ast, e, &mut out);
                    out.extend(b"}\"");
                }
            }
        }
        std::mem::swap(&mut self.ast.side, &mut self.lexer.side);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// An attribute path with one or more names, into the arena; also its height.
    pub(super) fn attr_path(&mut self) -> Parsed<(AttrPathId, u32)> {
        let base = self.names.len();
        let below = self.attr_names(None)?;
        Ok((self.seal_path(base), below))
    }

    /// Pushes the names of an attribute path. The first may be read already. Yields the greatest height of
    /// the computed ones.
    fn attr_names(&mut self, first: Option<Token>) -> Parsed<u32> {
        let mut below = 0;
        let mut first = first;
        let mut count = 0;
        loop {
            let name = match first.take() {
                Some(token) => AttrName::Static(symbol(token)),
                None => self.attr_name()?,
            };
            if let AttrName::Dynamic(e) = name {
                below = below.max(self.height(e));
            }
            self.names.push(name);
            count += 1;
            if self.peek()?.kind != T::Dot {
                break;
            }
            self.bump();
        }
        // A long path makes as many nested sets.
        if count > 64 { Ok(below + count) } else { Ok(below) }
    }

    fn attr_name(&mut self) -> Parsed<AttrName> {
        let token = self.peek()?;
        self.bump();
        match token.kind {
            T::Id => Ok(AttrName::Static(symbol(token))),
            T::OrKeyword => Ok(AttrName::Static(crate::symbol::sym::OR)),
            T::Quote => match self.string_parts(token.start)? {
                Text::Literal(text) => Ok(AttrName::Static(self.intern(text))),
                Text::Expr(e) => Ok(AttrName::Dynamic(e)),
            },
            T::DollarBrace => {
                let e = self.expr()?;
                self.expect(T::RBrace)?;
                match self.ast.expr(e) {
                    Expr::String(text) => Ok(AttrName::Static(self.intern(text))),
                    _ => Ok(AttrName::Dynamic(e)),
                }
            }
            _ => self.syntax(),
        }
    }
}
