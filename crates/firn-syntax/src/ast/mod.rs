//! The syntax tree: small `Copy` nodes in one arena, with lists in side tables.
//!
//! The tree is the one that evaluation is defined on, after the sugar is gone, as `nix-instantiate --parse`
//! prints it: `a - b` is a call of the variable `__sub`, `a < b` of `__lessThan`, `-a` is `__sub 0 a`,
//! `<x>` is `__findFile __nixPath "x"`, strings with `${…}` are concatenations that force strings, nested
//! attribute paths are merged into nested sets, `let { … }` is a selection of `body` from a recursive set.
//! The variables that such sugar refers to can be shadowed, like any other.
//!
//! Nothing here knows how trees are made or run.

mod show;

pub use show::{identifier, identifier_bytes, is_keyword, literal_string, quoted, show};

use crate::parse::Warning;
use crate::source::{DocComment, Pos, Source};
use crate::symbol::Symbol;
use std::cell::Cell;
use std::sync::Arc;

/// An expression: an index into its [`Ast`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct ExprId(pub u32);

/// An expression that may be absent, in 4 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct OptExprId(u32);

impl OptExprId {
    /// No expression.
    pub const NONE: OptExprId = OptExprId(u32::MAX);

    /// An expression.
    #[inline]
    pub const fn some(id: ExprId) -> OptExprId {
        OptExprId(id.0)
    }

    /// As an option.
    #[inline]
    pub const fn get(self) -> Option<ExprId> {
        if self.0 == u32::MAX { None } else { Some(ExprId(self.0)) }
    }
}

impl From<Option<ExprId>> for OptExprId {
    fn from(id: Option<ExprId>) -> OptExprId {
        id.map_or(OptExprId::NONE, OptExprId::some)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(transparent)]
        pub struct $name(pub u32);
    )*};
}

ids! {
    /// An attribute set or the bindings of a `let`: see [`Ast::attrs`].
    AttrsId,
    /// A function: see [`Ast::lambda`].
    LambdaId,
    /// An attribute path: see [`Ast::attr_path`].
    AttrPathId
}

/// A run of elements in one of the side tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Range {
    /// Index of the first element.
    pub start: u32,
    /// Number of elements.
    pub len: u32,
}

impl Range {
    #[inline]
    fn of<T>(self, table: &[T]) -> &[T] {
        &table[self.start as usize..][..self.len as usize]
    }
}

/// A string literal's bytes: a piece of the source text or of the unescaped bytes. See [`Ast::bytes`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Str {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Str {
    /// Set in `start` when the bytes are in the side buffer.
    pub(crate) const SIDE: u32 = 1 << 31;
    /// The empty string.
    pub const EMPTY: Str = Str { start: 0, len: 0 };

    /// Whether the string has no bytes.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A binary operator that is not sugar for a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `==`
    Eq,
    /// `!=`
    NotEq,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `->`
    Implies,
    /// `//`
    Update,
    /// `++`
    Concat,
}

impl BinaryOp {
    /// The operator as it is written.
    pub const fn text(self) -> &'static str {
        match self {
            BinaryOp::Eq => "==",
            BinaryOp::NotEq => "!=",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
            BinaryOp::Implies => "->",
            BinaryOp::Update => "//",
            BinaryOp::Concat => "++",
        }
    }
}

/// A node of the tree, 16 bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expr {
    /// An integer literal.
    Int(i64),
    /// A floating-point literal.
    Float(f64),
    /// A string without interpolation, an indented string that needs none, or a URL.
    String(Str),
    /// A path literal: the absolute, lexically normalised path. As the first part of a concatenation it keeps
    /// its trailing slash.
    Path(Str),
    /// A variable.
    Var(Symbol),
    /// `__curPos`: a set with the file, line and column of this node's position.
    CurPos,
    /// `subject.path` or `subject.path or default`.
    Select {
        /// What is selected from.
        subject: ExprId,
        /// The names; at least one.
        path: AttrPathId,
        /// The value after `or`.
        default: OptExprId,
    },
    /// `subject ? path`.
    HasAttr {
        /// What is asked.
        subject: ExprId,
        /// The names; at least one.
        path: AttrPathId,
    },
    /// `{ … }` or `rec { … }`.
    Attrs(AttrsId),
    /// `[ … ]`; see [`Ast::exprs`].
    List(Range),
    /// A function.
    Lambda(LambdaId),
    /// A call with one or more arguments; see [`Ast::exprs`].
    Call {
        /// The function; itself a call only in `(f x) or`.
        function: ExprId,
        /// The arguments, at least one.
        args: Range,
    },
    /// `let bindings in body`. The bindings see each other; none is dynamic.
    Let {
        /// The bindings.
        attrs: AttrsId,
        /// What they are for.
        body: ExprId,
    },
    /// `with attrs; body`.
    With {
        /// The set.
        attrs: ExprId,
        /// The expression that sees its attributes.
        body: ExprId,
    },
    /// `if cond then then_expr else else_expr`.
    If {
        /// The condition.
        cond: ExprId,
        /// Taken when true.
        then_expr: ExprId,
        /// Taken when false.
        else_expr: ExprId,
    },
    /// `assert cond; body`.
    Assert {
        /// The condition.
        cond: ExprId,
        /// The value when it holds.
        body: ExprId,
    },
    /// `!e`.
    Not(ExprId),
    /// A binary operator.
    Binary {
        /// Which one.
        op: BinaryOp,
        /// Left operand.
        lhs: ExprId,
        /// Right operand.
        rhs: ExprId,
    },
    /// `a + b` (not forced: could be numbers or paths), a path with `${…}` (not forced), or a string with
    /// `${…}` (forced to a string). See [`Ast::parts`].
    ConcatStrings {
        /// Whether the result is a string whatever the first part is.
        force_string: bool,
        /// The parts, at least one.
        parts: Range,
    },
}

/// One name of an attribute path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttrName {
    /// A name known at parse time.
    Static(Symbol),
    /// `${…}` or a string with interpolation.
    Dynamic(ExprId),
}

/// A part of a [`Expr::ConcatStrings`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConcatPart {
    /// Where the part starts (at `${` for an interpolation).
    pub pos: Pos,
    /// The part.
    pub expr: ExprId,
}

/// What a binding's value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BindingValue {
    /// `name = e;`
    Plain(ExprId),
    /// `inherit name;`: the variable of that name in the scope around the bindings.
    Inherit,
    /// `inherit (source) name;`: the index of the source in [`Attrs::sources`].
    InheritFrom(u32),
}

/// A binding with a name known at parse time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The name, unique in its set.
    pub name: Symbol,
    /// Where it is defined: the start of the attribute path, or the name after `inherit`.
    pub pos: Pos,
    /// Its value.
    pub value: BindingValue,
}

/// A binding whose name is computed: `${name} = value;`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DynamicBinding {
    /// The expression of the name.
    pub name: ExprId,
    /// The value.
    pub value: ExprId,
    /// Where it is defined.
    pub pos: Pos,
}

/// The source of an `inherit (source) …;`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InheritSource {
    /// The expression; in `rec` and `let` it sees the bindings themselves.
    pub expr: ExprId,
    /// Where it stands.
    pub pos: Pos,
}

/// The bindings of an attribute set or a `let`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attrs {
    /// `rec`. Never set for the bindings of a `let`, which always see each other.
    pub recursive: bool,
    /// See [`Ast::bindings`]; in the order of the text.
    pub bindings: Range,
    /// See [`Ast::dynamic_bindings`]; in the order of the text.
    pub dynamic: Range,
    /// See [`Ast::inherit_sources`].
    pub sources: Range,
}

/// A formal argument of a set pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Formal {
    /// The name, unique in its pattern.
    pub name: Symbol,
    /// Where it stands.
    pub pos: Pos,
    /// The value after `?`, which sees all the formals.
    pub default: OptExprId,
}

/// A set pattern: `{ a, b ? 1, ... }`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// See [`Ast::formals`]; in the order of the text.
    pub formals: Range,
    /// Whether `...` allows further attributes.
    pub ellipsis: bool,
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lambda {
    /// The name of the whole argument: `x: …`, `x@{…}: …`.
    pub arg: Option<Symbol>,
    /// The set pattern.
    pub pattern: Option<Pattern>,
    /// The body.
    pub body: ExprId,
    /// The attribute or variable that the function was bound to where it was written.
    pub name: Option<Symbol>,
    /// Its documentation comment.
    pub doc: Option<DocComment>,
}

/// A parsed source.
#[derive(Debug)]
pub struct Ast {
    pub(crate) source: Arc<Source>,
    pub(crate) root: ExprId,
    pub(crate) depth: u32,
    pub(crate) nodes: Vec<Expr>,
    pub(crate) positions: Vec<Pos>,
    pub(crate) exprs: Vec<ExprId>,
    pub(crate) parts: Vec<ConcatPart>,
    pub(crate) names: Vec<AttrName>,
    pub(crate) paths: Vec<Range>,
    pub(crate) attrs: Vec<Attrs>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) dynamic: Vec<DynamicBinding>,
    pub(crate) sources: Vec<InheritSource>,
    pub(crate) formals: Vec<Formal>,
    pub(crate) lambdas: Vec<Lambda>,
    pub(crate) docs: Vec<DocComment>,
    pub(crate) side: Vec<u8>,
    pub(crate) warnings: Vec<Warning>,
}

/// The tables of a tree that nobody needs any more, for the next one.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) nodes: Vec<Expr>,
    pub(crate) positions: Vec<Pos>,
    pub(crate) exprs: Vec<ExprId>,
    pub(crate) parts: Vec<ConcatPart>,
    pub(crate) names: Vec<AttrName>,
    pub(crate) paths: Vec<Range>,
    pub(crate) attrs: Vec<Attrs>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) dynamic: Vec<DynamicBinding>,
    pub(crate) sources: Vec<InheritSource>,
    pub(crate) formals: Vec<Formal>,
    pub(crate) lambdas: Vec<Lambda>,
    pub(crate) docs: Vec<DocComment>,
    pub(crate) side: Vec<u8>,
}

/// Tables for more nodes than this are not kept.
const MAX_KEPT: usize = 1 << 18;

thread_local! {
    static SPARE: Cell<Option<Box<Tables>>> = const { Cell::new(None) };
}

impl Tables {
    /// Empty tables, with the memory of a tree that this thread has dropped.
    pub(crate) fn spare() -> Tables {
        SPARE.try_with(Cell::take).ok().flatten().map(|tables| *tables).unwrap_or_default()
    }
}

impl Drop for Ast {
    fn drop(&mut self) {
        if self.nodes.capacity() > MAX_KEPT {
            return;
        }
        fn cleared<T>(table: &mut Vec<T>) -> Vec<T> {
            let mut table = std::mem::take(table);
            table.clear();
            table
        }
        let tables = Box::new(Tables {
            nodes: cleared(&mut self.nodes),
            positions: cleared(&mut self.positions),
            exprs: cleared(&mut self.exprs),
            parts: cleared(&mut self.parts),
            names: cleared(&mut self.names),
            paths: cleared(&mut self.paths),
            attrs: cleared(&mut self.attrs),
            bindings: cleared(&mut self.bindings),
            dynamic: cleared(&mut self.dynamic),
            sources: cleared(&mut self.sources),
            formals: cleared(&mut self.formals),
            lambdas: cleared(&mut self.lambdas),
            docs: cleared(&mut self.docs),
            side: cleared(&mut self.side),
        });
        // At the end of a thread there is nobody to keep them for.
        let _ = SPARE.try_with(|spare| {
            let best = match spare.take() {
                Some(other) if other.nodes.capacity() > tables.nodes.capacity() => other,
                _ => tables,
            };
            spare.set(Some(best));
        });
    }
}

impl Ast {
    /// The path literals that are elements of lists, in no particular order of the lists.
    pub fn listed_paths(&self) -> impl Iterator<Item = &[u8]> {
        let lists = self.nodes.iter().filter_map(|node| match node {
            Expr::List(range) => Some(self.exprs(*range)),
            _ => None,
        });
        lists.flatten().filter_map(|id| match self.expr(*id) {
            Expr::Path(text) => Some(self.bytes(text)),
            _ => None,
        })
    }

    /// The source that was parsed.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The whole expression.
    #[inline]
    pub fn root(&self) -> ExprId {
        self.root
    }

    /// An upper bound of how deeply expressions are nested; see [`crate::stack`].
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// How many nodes there are; every [`ExprId`] is below. A few may be unreachable.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes. A parsed tree has at least one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node.
    #[inline]
    pub fn expr(&self, id: ExprId) -> Expr {
        self.nodes[id.0 as usize]
    }

    /// The position of a node: of its first token, or of the operator of a binary operation.
    #[inline]
    pub fn pos(&self, id: ExprId) -> Pos {
        self.positions[id.0 as usize]
    }

    /// The bytes of a string or path literal.
    #[inline]
    pub fn bytes(&self, s: Str) -> &[u8] {
        let (table, start) = if s.start & Str::SIDE == 0 {
            (self.source.text(), s.start)
        } else {
            (&*self.side, s.start & !Str::SIDE)
        };
        &table[start as usize..][..s.len as usize]
    }

    /// The elements of a list or the arguments of a call.
    #[inline]
    pub fn exprs(&self, range: Range) -> &[ExprId] {
        range.of(&self.exprs)
    }

    /// The parts of a concatenation.
    #[inline]
    pub fn parts(&self, range: Range) -> &[ConcatPart] {
        range.of(&self.parts)
    }

    /// The names of an attribute path.
    #[inline]
    pub fn attr_path(&self, path: AttrPathId) -> &[AttrName] {
        self.paths[path.0 as usize].of(&self.names)
    }

    /// An attribute set's or `let`'s bindings.
    #[inline]
    pub fn attrs(&self, id: AttrsId) -> &Attrs {
        &self.attrs[id.0 as usize]
    }

    /// The bindings with names known at parse time.
    #[inline]
    pub fn bindings(&self, attrs: &Attrs) -> &[Binding] {
        attrs.bindings.of(&self.bindings)
    }

    /// The bindings with computed names.
    #[inline]
    pub fn dynamic_bindings(&self, attrs: &Attrs) -> &[DynamicBinding] {
        attrs.dynamic.of(&self.dynamic)
    }

    /// The sources of `inherit (…)`, which [`BindingValue::InheritFrom`] counts.
    #[inline]
    pub fn inherit_sources(&self, attrs: &Attrs) -> &[InheritSource] {
        attrs.sources.of(&self.sources)
    }

    /// A function.
    #[inline]
    pub fn lambda(&self, id: LambdaId) -> &Lambda {
        &self.lambdas[id.0 as usize]
    }

    /// All functions, with where they begin.
    pub fn functions(&self) -> impl Iterator<Item = (Pos, &Lambda)> {
        self.nodes.iter().zip(&self.positions).filter_map(|(node, pos)| match node {
            Expr::Lambda(id) => Some((*pos, self.lambda(*id))),
            _ => None,
        })
    }

    /// The formals of a set pattern.
    #[inline]
    pub fn formals(&self, pattern: &Pattern) -> &[Formal] {
        pattern.formals.of(&self.formals)
    }

    /// What the user should be warned about, in the order of the text.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The documentation comment that stands right before the token at `pos`.
    pub fn doc_comment_at(&self, pos: Pos) -> Option<DocComment> {
        self.docs.binary_search_by_key(&pos, |d| d.token).ok().map(|i| self.docs[i])
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nodes_stay_small() {
        assert_eq!(size_of::<super::Expr>(), 16);
        assert_eq!(size_of::<super::Binding>(), 16);
    }
}
