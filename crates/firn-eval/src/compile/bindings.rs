//! Compiling the bindings of sets and `let`.

use super::{Attr, Attrs, Cache, Compiler, Dynamic, Let, MoreAttrs, Node, is_cheap};
use crate::error::Result;
use crate::position::PosId;
use crate::shape;
use crate::value::Provenance;
use firn_syntax::ast::{self, BindingValue, Expr, ExprId};
use firn_syntax::{Symbol, sym};

/// Where an `inherit (source)` takes its attributes from.
#[derive(Clone, Copy)]
enum Source {
    /// A variable: cheap enough to look at for each attribute.
    Var(Symbol, PosId),
    /// A slot of the environment at this level.
    Slot(u32, u32),
}

impl Compiler<'_> {
    /// Slots for the sources that need one, without compiling them yet.
    fn source_slots(&mut self, attrs: &ast::Attrs) -> Vec<Source> {
        let sources = self.ast.inherit_sources(attrs);
        sources
            .iter()
            .map(|s| match self.ast.expr(s.expr) {
                Expr::Var(name) => Source::Var(name, self.pos(s.expr)),
                _ => {
                    let slot = self.slot();
                    Source::Slot(self.frame(), slot)
                }
            })
            .collect()
    }

    fn source_nodes(&mut self, attrs: &ast::Attrs, sources: &[Source]) -> Result<Vec<(u32, Node)>> {
        let mut nodes = Vec::new();
        let exprs = self.ast.inherit_sources(attrs);
        for (source, expr) in sources.iter().zip(exprs) {
            if let Source::Slot(_, slot) = source {
                nodes.push((*slot, self.lazy(expr.expr)?));
            }
        }
        Ok(nodes)
    }

    fn inherited_from(&mut self, source: Source, name: Symbol, pos: PosId) -> Result<Node> {
        let (subject, subject_pos) = match source {
            Source::Var(name, pos) => (self.var(name, pos)?, pos),
            Source::Slot(frame, slot) => match self.depth_of(frame) {
                0 => (Node::Local(slot, pos), pos),
                depth => (Node::Outer(depth, slot, pos), pos),
            },
        };
        let _ = subject_pos;
        Ok(Node::Attr(self.leak(Attr { subject, name, pos, cache: Cache::default() })))
    }

    fn binding(&mut self, binding: &ast::Binding, sources: &[Source]) -> Result<Node> {
        match binding.value {
            BindingValue::Plain(e) => self.lazy(e),
            BindingValue::Inherit => self.var(binding.name, self.at(binding.pos)),
            BindingValue::InheritFrom(i) => {
                self.inherited_from(sources[i as usize], binding.name, self.at(binding.pos))
            }
        }
    }

    /// `let bindings in body`
    pub(super) fn let_in(&mut self, id: ast::AttrsId, body: ExprId) -> Result<Node> {
        let attrs = *self.ast.attrs(id);
        let bindings = self.ast.bindings(&attrs);
        // `inherit x;` means the variable outside.
        let mut outer = Vec::new();
        for b in bindings {
            outer.push(match b.value {
                BindingValue::Inherit => Some(self.var(b.name, self.at(b.pos))?),
                _ => None,
            });
        }
        let slots: Vec<u32> = bindings.iter().map(|_| self.slot()).collect();
        for (b, slot) in bindings.iter().zip(&slots) {
            self.bind_slot(b.name, *slot);
        }
        self.enter_level(bindings.iter().map(|b| b.name).zip(slots.iter().copied()));
        let result = self.let_inside(&attrs, &slots, &outer, body);
        self.leave_level();
        for b in bindings {
            self.unbind(b.name);
        }
        result
    }

    fn let_inside(
        &mut self,
        attrs: &ast::Attrs,
        slots: &[u32],
        outer: &[Option<Node>],
        body: ExprId,
    ) -> Result<Node> {
        let sources = self.source_slots(attrs);
        let bindings = self.ast.bindings(attrs);
        let mut nodes = Vec::new();
        // What is known already goes first, so that others find it.
        for (slot, outer) in slots.iter().zip(outer) {
            if let Some(node) = outer {
                nodes.push((*slot, *node));
            }
        }
        let mut later = Vec::new();
        for ((b, slot), outer) in bindings.iter().zip(slots).zip(outer) {
            if outer.is_some() {
                continue;
            }
            let node = self.binding(b, &sources)?;
            if matches!(node, Node::Lambda(_) | Node::Const(_)) {
                nodes.push((*slot, node));
            } else {
                later.push((*slot, node));
            }
        }
        nodes.extend(self.source_nodes(attrs, &sources)?);
        nodes.extend(later);
        let body = self.strict(body)?;
        let body = self.let_for_debugger(body);
        let bindings = self.leak_slice(nodes);
        Ok(Node::Let(self.leak(Let { bindings, body })))
    }

    /// `{ … }` and `rec { … }`
    pub(super) fn attrs(&mut self, id: ast::AttrsId, pos: PosId) -> Result<Node> {
        let attrs = *self.ast.attrs(id);
        let bindings = self.ast.bindings(&attrs);
        if bindings.is_empty() && attrs.dynamic.len == 0 {
            // All empty sets of a text are one.
            let empty = match self.empty_attrs {
                Some(empty) => empty,
                None => self.leak(Attrs {
                    shape: shape::empty(),
                    provenance: Provenance::NONE,
                    values: &[],
                    more: None,
                    cheap: true,
                    pos,
                }),
            };
            self.empty_attrs = Some(empty);
            return Ok(Node::Attrs(empty));
        }
        let mut order: Vec<usize> = (0..bindings.len()).collect();
        order.sort_by_key(|i| bindings[*i].name);
        let names: Vec<Symbol> = order.iter().map(|i| bindings[*i].name).collect();
        let shape = shape::intern(&names);
        let positions: Vec<PosId> = order.iter().map(|i| self.at(bindings[*i].pos)).collect();
        let provenance = Provenance::literal(self.heap, &positions, pos);

        let mut values = vec![Node::Const(crate::value::Value::NULL); bindings.len()];
        let mut slots = None;
        let sources;
        let source_nodes;
        let mut dynamic = Vec::new();
        if attrs.recursive {
            for (at, i) in order.iter().enumerate() {
                if matches!(bindings[*i].value, BindingValue::Inherit) {
                    values[at] = self.binding(&bindings[*i], &[])?;
                }
            }
            let mine: Vec<u32> = names.iter().map(|_| self.slot()).collect();
            for (name, slot) in names.iter().zip(&mine) {
                self.bind_slot(*name, *slot);
            }
            sources = self.source_slots(&attrs);
            self.enter_level(names.iter().copied().zip(mine.iter().copied()));
            let result = self.rec_inside(&attrs, &order, &sources, &mut values, &mut dynamic);
            self.leave_level();
            for name in &names {
                self.unbind(*name);
            }
            source_nodes = result?;
            slots = Some(self.leak_slice(mine));
        } else {
            sources = self.source_slots(&attrs);
            source_nodes = self.source_nodes(&attrs, &sources)?;
            for (at, i) in order.iter().enumerate() {
                values[at] = self.binding(&bindings[*i], &sources)?;
            }
            self.dynamic(&attrs, &mut dynamic)?;
        }

        let overrides =
            if attrs.recursive { shape.find(sym::OVERRIDES).map(|i| i as u32) } else { None };
        let inherited = if overrides.is_some() {
            let flags: Vec<bool> =
                order.iter().map(|i| matches!(bindings[*i].value, BindingValue::Inherit)).collect();
            self.leak_slice(flags)
        } else {
            &[]
        };
        let cheap = slots.is_none()
            && source_nodes.is_empty()
            && dynamic.is_empty()
            && values.len() <= 8
            && values.iter().all(is_cheap);
        let more = if slots.is_none() && source_nodes.is_empty() && dynamic.is_empty() {
            None
        } else {
            let more = MoreAttrs {
                slots,
                sources: self.leak_slice(source_nodes),
                dynamic: self.leak_slice(dynamic),
                overrides,
                inherited,
            };
            Some(self.leak(more))
        };
        let values = self.leak_slice(values);
        let node = Attrs { shape, provenance, values, more, cheap, pos };
        Ok(Node::Attrs(self.leak(node)))
    }

    fn rec_inside(
        &mut self,
        attrs: &ast::Attrs,
        order: &[usize],
        sources: &[Source],
        values: &mut [Node],
        dynamic: &mut Vec<Dynamic>,
    ) -> Result<Vec<(u32, Node)>> {
        let bindings = self.ast.bindings(attrs);
        let nodes = self.source_nodes(attrs, sources)?;
        for (at, i) in order.iter().enumerate() {
            if !matches!(bindings[*i].value, BindingValue::Inherit) {
                values[at] = self.binding(&bindings[*i], sources)?;
            }
        }
        self.dynamic(attrs, dynamic)?;
        Ok(nodes)
    }

    fn dynamic(&mut self, attrs: &ast::Attrs, out: &mut Vec<Dynamic>) -> Result<()> {
        for d in self.ast.dynamic_bindings(attrs) {
            let name = self.strict(d.name)?;
            let value = self.lazy(d.value)?;
            out.push(Dynamic { name, value, pos: self.at(d.pos) });
        }
        Ok(())
    }
}
