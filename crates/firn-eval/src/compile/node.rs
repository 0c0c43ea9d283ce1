//! The program: resolved nodes that live forever.
//!
//! Variables are slots of environments a known number of levels out. A function call, and a thunk whose
//! expression binds variables, has one environment for all that is bound on the way to its result: arguments,
//! `let`, `rec` and `with` alike. Expressions in lazy positions (arguments, attributes, elements) are nodes
//! that [`Node::Enter`] an environment of their own if they need one.

use super::Watched;
use crate::error::Error;
use crate::position::PosId;
use crate::shape::{ShapeRef, Update};
use crate::value::{Provenance, Value};
use firn_syntax::Symbol;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

/// An expression; 16 bytes.
#[derive(Clone, Copy)]
pub enum Node {
    /// A value known at compile time.
    Const(Value),
    /// A slot of this environment.
    Local(u32, PosId),
    /// A slot of an environment further out: levels, slot.
    Outer(u16, u32, PosId),
    /// A variable that only a `with` can bind.
    With(&'static WithVar),
    /// `e.a`
    Attr(&'static Attr),
    /// `e.a.b or d`
    Select(&'static Select),
    /// `e ? a.b`
    HasAttr(&'static HasAttr),
    /// `{ … }`
    Attrs(&'static Attrs),
    /// `[ … ]`
    List(&'static List),
    /// A function.
    Lambda(&'static Lambda),
    /// A call.
    Call(&'static Call),
    /// `let … in …`
    Let(&'static Let),
    /// `with e; …`
    WithIn(&'static WithIn),
    /// `if … then … else …`
    If(&'static If),
    /// `assert …; …`
    Assert(&'static Assert),
    /// `!e`
    Not(&'static Node, PosId),
    /// `a == b`
    Eq(&'static Binary),
    /// `a != b`
    NotEq(&'static Binary),
    /// `a && b`
    And(&'static Binary),
    /// `a || b`
    Or(&'static Binary),
    /// `a -> b`
    Implies(&'static Binary),
    /// `a // b`
    Update(&'static UpdateNode),
    /// `a ++ b`
    Concat(&'static Binary),
    /// `a + b`, `"…${…}…"`
    Join(&'static Join),
    /// A call of `__sub`, `__mul`, `__div` or `__lessThan` that nothing shadows.
    Arith(&'static Arith),
    /// An environment with this many slots for the node.
    Enter(u32, &'static Node),
    /// What failed before with this error.
    Failed(&'static Error),
    /// A node that the debugger looks at.
    Watched(&'static Watched),
    /// `e.attr` of a variable's attribute by scopedImport: level, slot, name.
    Scoped(&'static Scoped),
}

/// A variable that the set given to `scopedImport` binds.
pub struct Scoped {
    /// Levels out.
    pub depth: u16,
    /// The slot with the set.
    pub slot: u32,
    /// The variable.
    pub name: Symbol,
    /// Where.
    pub pos: PosId,
}

/// A variable that only a `with` can bind.
pub struct WithVar {
    /// Its name.
    pub name: Symbol,
    /// Levels and slots of the sets, innermost first.
    pub scopes: &'static [(u16, u32)],
    /// Where those `with`s are.
    pub places: &'static [PosId],
    /// Where.
    pub pos: PosId,
    /// Inline cache for the scope where it was found last.
    pub cache: Cache,
}

/// Remembers the slot of a name in the shape that was seen last: shape's address and slot in one word.
#[derive(Default)]
pub struct Cache(pub AtomicU64);

/// One name of an attribute path.
pub struct Name {
    /// The name, if it is known.
    pub name: Symbol,
    /// Or the expression that tells it.
    pub dynamic: Option<&'static DynamicName>,
    /// Inline cache.
    pub cache: Cache,
}

impl Name {
    /// A name that is known.
    pub fn plain(name: Symbol) -> Name {
        Name { name, dynamic: None, cache: Cache::default() }
    }
}

/// A computed name of an attribute path.
pub struct DynamicName {
    /// The expression that tells it.
    pub node: Node,
    /// Where that expression is.
    pub pos: PosId,
    /// That expression's syntax, for messages.
    pub text: &'static str,
}

/// `subject.name`, the commonest selection.
pub struct Attr {
    /// What is selected from.
    pub subject: Node,
    /// The name.
    pub name: Symbol,
    /// Where.
    pub pos: PosId,
    /// Inline cache.
    pub cache: Cache,
}

/// `subject.path or default`
pub struct Select {
    /// What is selected from.
    pub subject: Node,
    /// The names.
    pub path: &'static [Name],
    /// After `or`.
    pub default: Option<&'static Node>,
    /// Where.
    pub pos: PosId,
}

/// `subject ? path`
pub struct HasAttr {
    /// What is asked.
    pub subject: Node,
    /// The names.
    pub path: &'static [Name],
    /// Where.
    pub pos: PosId,
}

/// A set.
pub struct Attrs {
    /// The names known at compile time.
    pub shape: ShapeRef,
    /// Where they are written.
    pub provenance: Provenance,
    /// Their values, lazily, in the shape's order.
    pub values: &'static [Node],
    /// What few sets have.
    pub more: Option<&'static MoreAttrs>,
    /// Whether making the set takes no thunk: then it is not worth one itself.
    pub cheap: bool,
    /// Where.
    pub pos: PosId,
}

/// What a set has that is not just names and values.
pub struct MoreAttrs {
    /// For `rec`: the slots of the environment where the values go first, in the shape's order.
    pub slots: Option<&'static [u32]>,
    /// Sources of `inherit (e) …` and the slots where they go first.
    pub sources: &'static [(u32, Node)],
    /// Attributes with computed names.
    pub dynamic: &'static [Dynamic],
    /// The slot of the shape where `__overrides` stands, in a `rec`.
    pub overrides: Option<u32>,
    /// In the shape's order, whether the value is an `inherit name;`. Empty if there are no overrides.
    pub inherited: &'static [bool],
}

/// `${name} = value;`
pub struct Dynamic {
    /// The name.
    pub name: Node,
    /// The value, lazily.
    pub value: Node,
    /// Where.
    pub pos: PosId,
}

/// A list.
pub struct List {
    /// The elements, lazily.
    pub elements: &'static [Node],
    /// As [`Attrs::cheap`].
    pub cheap: bool,
}

/// `function args…`
pub struct Call {
    /// The function.
    pub function: Node,
    /// The arguments, lazily.
    pub args: &'static [Node],
    /// Where.
    pub pos: PosId,
}

/// `let bindings in body`
pub struct Let {
    /// Slots and values, lazily, in the order in which they are to be stored.
    pub bindings: &'static [(u32, Node)],
    /// What they are for.
    pub body: Node,
}

/// `with attrs; body`
pub struct WithIn {
    /// The slot of the set.
    pub slot: u32,
    /// The set, lazily.
    pub attrs: Node,
    /// What sees it.
    pub body: Node,
}

/// `if cond then … else …`
pub struct If {
    /// The condition.
    pub cond: Node,
    /// Taken when true.
    pub then_node: Node,
    /// Taken when false.
    pub else_node: Node,
    /// Where.
    pub pos: PosId,
}

/// `assert cond; body`
pub struct Assert {
    /// The condition.
    pub cond: Node,
    /// The value when it holds.
    pub body: Node,
    /// Where.
    pub pos: PosId,
    /// The condition's syntax, for messages.
    pub text: &'static str,
}

/// Two operands.
pub struct Binary {
    /// Left operand.
    pub lhs: Node,
    /// Right operand.
    pub rhs: Node,
    /// Where the operator is.
    pub pos: PosId,
}

/// `lhs // rhs` with what was done the last time.
pub struct UpdateNode {
    /// The operands.
    pub operands: Binary,
    /// Positions of the operands.
    pub lhs_pos: PosId,
    /// Position of the right operand.
    pub rhs_pos: PosId,
    /// Inline cache.
    pub cache: AtomicPtr<Update>,
}

/// A concatenation or sum.
pub struct Join {
    /// Whether the result is a string whatever the first part is.
    pub force_string: bool,
    /// The parts with their positions.
    pub parts: &'static [(Node, PosId)],
    /// Where.
    pub pos: PosId,
}

/// Which builtin an operator stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArithOp {
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `<`
    Less,
}

/// An arithmetic operator.
pub struct Arith {
    /// Which.
    pub op: ArithOp,
    /// The operands.
    pub operands: Binary,
}

/// A function of one or more arguments.
pub struct Lambda {
    /// The parameters; all but the last are plain names.
    pub params: &'static [Param],
    /// Slots of its environment.
    pub slots: u32,
    /// The result.
    pub body: Node,
    /// The attribute or variable it is bound to.
    pub name: Option<Symbol>,
}

/// A parameter: `x:`, `{ … }:` or `x@{ … }:`.
pub struct Param {
    /// The slot of the whole argument, if it is named.
    pub slot: Option<u32>,
    /// Its name.
    pub arg: Option<Symbol>,
    /// The pattern.
    pub pattern: Option<&'static Pattern>,
    /// Where the function of this parameter begins.
    pub pos: PosId,
    /// Its name, if the function of this parameter is bound to one.
    pub name: Option<Symbol>,
}

/// `{ a, b ? 1, ... }`
pub struct Pattern {
    /// In the order of the text.
    pub formals: &'static [Formal],
    /// Whether further attributes are allowed.
    pub ellipsis: bool,
    /// The names.
    pub shape: ShapeRef,
    /// What `functionArgs` gives, once somebody asked.
    pub function_args: AtomicU64,
    /// How the shape that was seen last matches.
    pub cache: AtomicPtr<Match>,
    /// How often the cache did not help.
    pub misses: AtomicU32,
}

/// A formal argument.
pub struct Formal {
    /// Its name.
    pub name: Symbol,
    /// Its slot in the environment.
    pub slot: u32,
    /// After `?`, lazily.
    pub default: Option<Node>,
    /// Where.
    pub pos: PosId,
}

/// How a shape matches a pattern without errors.
pub struct Match {
    /// The shape.
    pub shape: ShapeRef,
    /// For each formal the slot of the set, or `u32::MAX` for the default.
    pub slots: Box<[u32]>,
}
