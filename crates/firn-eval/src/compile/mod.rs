//! From syntax trees to [`Node`]s: variables are resolved, builtins bound, functions of several arguments
//! joined. Nothing is evaluated here, and nothing is reported but variables that nothing binds.

mod bindings;
mod levels;
mod node;
mod slots;

pub use levels::{Level, Place, Step, Watched};
pub use node::*;

use crate::error::{Error, Kind, Result};
use crate::heap::Heap;
use crate::position::{PosId, SourceId};
use crate::shape;
use crate::value::{Str, Value};
use firn_syntax::ast::{self, Ast, BinaryOp, Expr, ExprId};
use firn_syntax::{Pos, Symbol, sym};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

/// What names mean where nothing in the text binds them.
pub struct Globals {
    /// The values.
    pub names: FxHashMap<Symbol, Value>,
    /// The builtins behind `-`, `*`, `/`, `<`.
    pub operators: [(Symbol, Value, ArithOp); 4],
}

/// What a text is compiled with.
#[derive(Default)]
pub struct Surroundings<'a> {
    /// Names of the set in slot 0 of the text's environment.
    pub scope: Option<&'a [Symbol]>,
    /// Names that a session has bound, which come before the global ones.
    pub session: Option<&'a FxHashMap<Symbol, Value>>,
    /// The expression to compile, if not the whole text.
    pub part: Option<ExprId>,
    /// Whether there is a debugger.
    pub debug: bool,
}

/// Compiles a text. The result is evaluated in an environment of its own ([`Node::Enter`]); if a scope is
/// given, that environment's slot 0 must be filled with the set that has these names, and the environment
/// has the number of slots in the returned node.
///
/// # Errors
/// A variable that nothing binds.
pub fn compile(
    ast: &Ast,
    source: SourceId,
    heap: &mut Heap,
    globals: &Globals,
    around: &Surroundings<'_>,
) -> Result<&'static Node> {
    let mut compiler = Compiler {
        ast,
        heap,
        source,
        globals,
        vars: FxHashMap::default(),
        withs: Vec::new(),
        frames: vec![0],
        empty_attrs: None,
        session: around.session,
        debug: around.debug,
        level: None,
    };
    compiler.enter_session();
    if let Some(names) = around.scope {
        compiler.frames[0] = 1;
        for name in names {
            compiler.bind(*name, Bound::Scoped { frame: 0, slot: 0 });
        }
    }
    let root = compiler.strict(around.part.unwrap_or(ast.root()))?;
    let root = compiler.leak(root);
    let slots = compiler.frames[0];
    Ok(compiler.leak(Node::Enter(slots, root)))
}

#[derive(Clone, Copy)]
enum Bound {
    Slot { frame: u32, slot: u32 },
    Scoped { frame: u32, slot: u32 },
}

struct Compiler<'a> {
    ast: &'a Ast,
    heap: &'a mut Heap,
    source: SourceId,
    globals: &'a Globals,
    /// For each name what binds it, innermost last.
    vars: FxHashMap<Symbol, Vec<Bound>>,
    /// The sets of the `with`s around: environment and slot, innermost last.
    withs: Vec<(u32, u32, PosId)>,
    /// The environments around, each with the number of slots so far.
    frames: Vec<u32>,
    /// What `{ }` became.
    empty_attrs: Option<&'static Attrs>,
    /// See [`Surroundings::session`].
    session: Option<&'a FxHashMap<Symbol, Value>>,
    /// See [`Surroundings::debug`].
    debug: bool,
    /// The names in scope, for the debugger.
    level: Option<&'static Level>,
}

impl Compiler<'_> {
    /// Puts something where it lives forever.
    fn leak<T: 'static>(&mut self, value: T) -> &'static T {
        const { assert!(align_of::<T>() <= 8) };
        let at = self.heap.words(size_of::<T>().div_ceil(8)).cast::<T>();
        // SAFETY: freshly allocated, aligned to 8, large enough, and never freed.
        unsafe {
            at.write(value);
            &*at
        }
    }

    fn leak_slice<T: 'static>(&mut self, values: Vec<T>) -> &'static [T] {
        const { assert!(align_of::<T>() <= 8) };
        let n = values.len();
        let at = self.heap.words((size_of::<T>() * n).div_ceil(8)).cast::<T>();
        for (i, value) in values.into_iter().enumerate() {
            // SAFETY: freshly allocated with room for `n` values, aligned to 8.
            unsafe { at.add(i).write(value) };
        }
        // SAFETY: all `n` values were just written; the memory is never freed.
        unsafe { std::slice::from_raw_parts(at, n) }
    }

    fn pos(&self, id: ExprId) -> PosId {
        self.source.at(self.ast.pos(id))
    }

    fn at(&self, pos: Pos) -> PosId {
        self.source.at(pos)
    }

    fn frame(&self) -> u32 {
        self.frames.len() as u32 - 1
    }

    /// A new slot in the present environment.
    fn slot(&mut self) -> u32 {
        let last = self.frames.len() - 1;
        self.frames[last] += 1;
        self.frames[last] - 1
    }

    fn bind(&mut self, name: Symbol, bound: Bound) {
        self.vars.entry(name).or_default().push(bound);
    }

    fn bind_slot(&mut self, name: Symbol, slot: u32) {
        let frame = self.frame();
        self.bind(name, Bound::Slot { frame, slot });
    }

    fn unbind(&mut self, name: Symbol) {
        if let Some(stack) = self.vars.get_mut(&name) {
            stack.pop();
        }
    }

    fn bound(&self, name: Symbol) -> Option<Bound> {
        self.vars.get(&name).and_then(|stack| stack.last()).copied()
    }

    fn depth_of(&self, frame: u32) -> u16 {
        (self.frame() - frame) as u16
    }

    fn var(&mut self, name: Symbol, pos: PosId) -> Result<Node> {
        match self.bound(name) {
            Some(Bound::Slot { frame, slot }) => Ok(match self.depth_of(frame) {
                0 => Node::Local(slot, pos),
                depth => Node::Outer(depth, slot, pos),
            }),
            Some(Bound::Scoped { frame, slot }) => {
                let depth = self.depth_of(frame);
                Ok(Node::Scoped(self.leak(Scoped { depth, slot, name, pos })))
            }
            None => {
                if let Some(value) = self.session.and_then(|names| names.get(&name)) {
                    return Ok(Node::Const(*value));
                }
                if let Some(value) = self.globals.names.get(&name) {
                    return Ok(Node::Const(*value));
                }
                if self.withs.is_empty() {
                    return Err(Error::new(
                        Kind::UndefinedVariable,
                        format!("undefined variable '{name}'"),
                    )
                    .at(pos));
                }
                let scopes = self
                    .withs
                    .iter()
                    .rev()
                    .map(|(f, slot, _)| (self.depth_of(*f), *slot))
                    .collect();
                let places = self.withs.iter().rev().map(|(.., pos)| *pos).collect();
                let scopes = self.leak_slice(scopes);
                let places = self.leak_slice(places);
                let cache = Cache::default();
                Ok(Node::With(self.leak(WithVar { name, scopes, places, pos, cache })))
            }
        }
    }

    /// The builtin that an operator stands for, if nothing shadows it.
    fn operator(&self, function: ExprId, args: usize) -> Option<ArithOp> {
        let Expr::Var(name) = self.ast.expr(function) else { return None };
        let shadowed = self.bound(name).is_some()
            || self.session.is_some_and(|names| names.contains_key(&name));
        if args != 2 || shadowed {
            return None;
        }
        self.globals.operators.iter().find(|(n, ..)| *n == name).map(|(.., op)| *op)
    }

    /// A node for a lazy position: it brings an environment of its own if it needs one.
    fn lazy(&mut self, id: ExprId) -> Result<Node> {
        if slots::count(self.ast, id) == 0 {
            return self.strict(id);
        }
        self.frames.push(0);
        let node = self.strict(id);
        let slots = self.frames.pop().unwrap_or(0);
        let node = node?;
        Ok(Node::Enter(slots, self.leak(node)))
    }

    fn string(&mut self, s: ast::Str) -> Value {
        let bytes = self.ast.bytes(s);
        if bytes.len() <= 64 {
            // Short literals are often names; equal ones share a cell.
            let symbol = Symbol::intern(bytes);
            Str::of_symbol(self.heap, symbol).value()
        } else {
            Str::new(self.heap, bytes).value()
        }
    }

    fn names(&mut self, path: ast::AttrPathId) -> Result<&'static [Name]> {
        let mut names = Vec::new();
        for name in self.ast.attr_path(path) {
            names.push(match name {
                ast::AttrName::Static(name) => Name::plain(*name),
                ast::AttrName::Dynamic(e) => {
                    let (node, text) = (self.strict(*e)?, self.shown(*e));
                    let dynamic = self.leak(DynamicName { node, pos: self.place(*e), text });
                    Name { name: sym::EMPTY, dynamic: Some(dynamic), cache: Cache::default() }
                }
            });
        }
        Ok(self.leak_slice(names))
    }

    /// Where an expression is for steps of errors: as in C++ Nix, constants and comparisons have no place.
    fn place(&self, id: ExprId) -> PosId {
        match self.ast.expr(id) {
            Expr::Int(_) | Expr::Float(_) | Expr::String(_) | Expr::Path(_) | Expr::Let { .. } => {
                PosId::NONE
            }
            Expr::Binary { op: BinaryOp::Eq | BinaryOp::NotEq, .. } => PosId::NONE,
            Expr::Not(inner) => self.place(inner),
            Expr::HasAttr { subject, .. } => self.place(subject),
            Expr::List(range) => {
                self.ast.exprs(range).first().map_or(PosId::NONE, |first| self.place(*first))
            }
            _ => self.pos(id),
        }
    }

    /// An expression's syntax, for messages.
    fn shown(&self, id: ExprId) -> &'static str {
        let mut text = Vec::new();
        ast::show(self.ast, id, &mut text);
        Box::leak(String::from_utf8_lossy(&text).into_owned().into_boxed_str())
    }

    fn binary(&mut self, id: ExprId, lhs: ExprId, rhs: ExprId) -> Result<Binary> {
        Ok(Binary { lhs: self.strict(lhs)?, rhs: self.strict(rhs)?, pos: self.pos(id) })
    }

    /// A node for a position that is evaluated at most once, when its environment's owner gets there.
    fn strict(&mut self, id: ExprId) -> Result<Node> {
        let node = self.strict_node(id)?;
        Ok(self.for_debugger(id, node))
    }

    fn strict_node(&mut self, id: ExprId) -> Result<Node> {
        let pos = self.pos(id);
        Ok(match self.ast.expr(id) {
            Expr::Int(i) => Node::Const(Value::int(self.heap, i)),
            Expr::Float(f) => Node::Const(Value::float(self.heap, f)),
            Expr::String(s) => Node::Const(self.string(s)),
            Expr::Path(s) => Node::Const(Value::path(self.heap, self.ast.bytes(s))),
            Expr::Var(name) => self.var(name, pos)?,
            Expr::CurPos => Node::Const(crate::machine::position_value(self.heap, pos)),
            Expr::Select { subject, path, default } => {
                let subject = self.strict(subject)?;
                let subject = self.subject_for_debugger(subject);
                if let ([ast::AttrName::Static(name)], None) =
                    (self.ast.attr_path(path), default.get())
                {
                    let (name, cache) = (*name, Cache::default());
                    return Ok(Node::Attr(self.leak(Attr { subject, name, pos, cache })));
                }
                let path = self.names(path)?;
                let default = match default.get() {
                    Some(default) => {
                        let node = self.strict(default)?;
                        Some(self.leak(node))
                    }
                    None => None,
                };
                Node::Select(self.leak(Select { subject, path, default, pos }))
            }
            Expr::HasAttr { subject, path } => {
                let subject = self.strict(subject)?;
                let path = self.names(path)?;
                Node::HasAttr(self.leak(HasAttr { subject, path, pos }))
            }
            Expr::Attrs(attrs) => self.attrs(attrs, pos)?,
            Expr::List(range) => {
                let mut elements = Vec::new();
                for e in self.ast.exprs(range) {
                    elements.push(self.lazy(*e)?);
                }
                let cheap = elements.len() <= 8 && elements.iter().all(is_cheap);
                let elements = self.leak_slice(elements);
                Node::List(self.leak(List { elements, cheap }))
            }
            Expr::Lambda(lambda) => self.lambda(lambda, pos)?,
            Expr::Call { function, args } => self.call(function, args, pos)?,
            Expr::Let { attrs, body } => self.let_in(attrs, body)?,
            Expr::With { attrs, body } => {
                let attrs = self.lazy(attrs)?;
                let slot = self.slot();
                let frame = self.frame();
                self.withs.push((frame, slot, pos));
                self.enter_with(slot);
                let body = self.strict(body);
                self.leave_level();
                self.withs.pop();
                let body = body?;
                Node::WithIn(self.leak(WithIn { slot, attrs, body }))
            }
            Expr::If { cond, then_expr, else_expr } => {
                let node = If {
                    cond: self.strict(cond)?,
                    then_node: self.strict(then_expr)?,
                    else_node: self.strict(else_expr)?,
                    pos,
                };
                Node::If(self.leak(node))
            }
            Expr::Assert { cond, body } => {
                let text = self.shown(cond);
                let node = Assert { cond: self.strict(cond)?, body: self.strict(body)?, pos, text };
                Node::Assert(self.leak(node))
            }
            Expr::Not(e) => {
                let at = self.place(e);
                let node = self.strict(e)?;
                Node::Not(self.leak(node), at)
            }
            Expr::Binary { op, lhs, rhs } => {
                let mut operands = self.binary(id, lhs, rhs)?;
                if matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
                    // As in C++ Nix, they have no place of their own in errors.
                    operands.pos = PosId::NONE;
                }
                if op == BinaryOp::Update {
                    let (lhs_pos, rhs_pos) = (self.place(lhs), self.place(rhs));
                    let cache = AtomicPtr::default();
                    return Ok(Node::Update(self.leak(UpdateNode {
                        operands,
                        lhs_pos,
                        rhs_pos,
                        cache,
                    })));
                }
                let operands = self.leak(operands);
                match op {
                    BinaryOp::Eq => Node::Eq(operands),
                    BinaryOp::NotEq => Node::NotEq(operands),
                    BinaryOp::And => Node::And(operands),
                    BinaryOp::Or => Node::Or(operands),
                    BinaryOp::Implies => Node::Implies(operands),
                    BinaryOp::Concat | BinaryOp::Update => Node::Concat(operands),
                }
            }
            Expr::ConcatStrings { force_string, parts } => {
                let mut nodes = Vec::new();
                for part in self.ast.parts(parts) {
                    nodes.push((self.strict(part.expr)?, self.at(part.pos)));
                }
                let parts = self.leak_slice(nodes);
                Node::Join(self.leak(Join { force_string, parts, pos }))
            }
        })
    }

    fn call(&mut self, function: ExprId, args: ast::Range, pos: PosId) -> Result<Node> {
        let args = self.ast.exprs(args);
        if let Some(op) = self.operator(function, args.len()) {
            let (lhs, rhs) = (self.strict(args[0])?, self.strict(args[1])?);
            if let (ArithOp::Sub, Node::Const(a), Node::Const(b)) = (op, lhs, rhs)
                && let (Some(a), Some(b)) = (a.as_small_int(), b.as_small_int())
            {
                // Both fit in 61 bits, so that the difference fits in 64.
                return Ok(Node::Const(Value::int(self.heap, a - b)));
            }
            return Ok(Node::Arith(self.leak(Arith { op, operands: Binary { lhs, rhs, pos } })));
        }
        let function = self.strict(function)?;
        let mut nodes = Vec::with_capacity(args.len());
        for arg in args {
            nodes.push(self.lazy(*arg)?);
        }
        let args = self.leak_slice(nodes);
        Ok(Node::Call(self.leak(Call { function, args, pos })))
    }

    fn lambda(&mut self, id: ast::LambdaId, pos: PosId) -> Result<Node> {
        // `a: b: c: …` is one function of several arguments, as long as only the last has a pattern.
        let mut chain = vec![(*self.ast.lambda(id), pos)];
        while chain[chain.len() - 1].0.pattern.is_none() && chain.len() < 6 {
            let body = chain[chain.len() - 1].0.body;
            let Expr::Lambda(inner) = self.ast.expr(body) else { break };
            chain.push((*self.ast.lambda(inner), self.pos(body)));
        }
        self.frames.push(0);
        let mut bound: Vec<Symbol> = Vec::new();
        let level = self.level;
        let result = self.lambda_in(&chain, &mut bound);
        self.level = level;
        for name in bound {
            self.unbind(name);
        }
        let slots = self.frames.pop().unwrap_or(0);
        let (params, body) = result?;
        let name = chain[0].0.name;
        Ok(Node::Lambda(self.leak(Lambda { params, slots, body, name })))
    }

    fn lambda_in(
        &mut self,
        chain: &[(ast::Lambda, PosId)],
        bound: &mut Vec<Symbol>,
    ) -> Result<(&'static [Param], Node)> {
        let mut params: Vec<Param> = Vec::new();
        for (lambda, pos) in chain {
            let first = bound.len();
            let slot = lambda.arg.map(|name| {
                let slot = self.slot();
                self.bind_slot(name, slot);
                bound.push(name);
                slot
            });
            let pattern = match &lambda.pattern {
                Some(pattern) => Some(self.pattern(pattern, first, bound)?),
                None => {
                    self.enter_params(&bound[first..]);
                    None
                }
            };
            // A parameter that nothing names still takes up a place for its argument.
            let slot = match (slot, &pattern) {
                (None, None) => Some(self.slot()),
                (slot, _) => slot,
            };
            params.push(Param { slot, arg: lambda.arg, pattern, pos: *pos, name: lambda.name });
        }
        let mut body = self.strict(chain[chain.len() - 1].0.body)?;
        if let Some(last) = params.last() {
            body = self.body_for_debugger(body, last);
        }
        Ok((self.leak_slice(params), body))
    }

    fn pattern(
        &mut self,
        pattern: &ast::Pattern,
        first: usize,
        bound: &mut Vec<Symbol>,
    ) -> Result<&'static Pattern> {
        let formals = self.ast.formals(pattern);
        let slots: Vec<u32> = formals
            .iter()
            .map(|formal| {
                let slot = self.slot();
                self.bind_slot(formal.name, slot);
                bound.push(formal.name);
                slot
            })
            .collect();
        self.enter_params(&bound[first..]);
        let mut out = Vec::with_capacity(formals.len());
        for (formal, slot) in formals.iter().zip(slots) {
            let default = formal.default.get().map(|d| self.lazy(d)).transpose()?;
            out.push(Formal { name: formal.name, slot, default, pos: self.at(formal.pos) });
        }
        let mut names: Vec<Symbol> = formals.iter().map(|f| f.name).collect();
        names.sort();
        let shape = shape::intern(&names);
        let formals = self.leak_slice(out);
        Ok(self.leak(Pattern {
            formals,
            ellipsis: pattern.ellipsis,
            shape,
            function_args: AtomicU64::new(0),
            cache: AtomicPtr::default(),
            misses: AtomicU32::new(0),
        }))
    }
}

/// Whether a value for this node in a lazy position can be had at once, without a thunk.
fn is_cheap(node: &Node) -> bool {
    match node {
        Node::Const(_) | Node::Local(..) | Node::Outer(..) | Node::Lambda(_) => true,
        Node::Attrs(attrs) => attrs.cheap,
        Node::List(list) => list.cheap,
        _ => false,
    }
}
