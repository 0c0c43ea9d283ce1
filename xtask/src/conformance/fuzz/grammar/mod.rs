//! The grammar of random expressions: which forms there are for each type. Most of an expression has the
//! types that its place asks for; now and then it has another, so that errors are compared too.

mod forms;
mod lists;
mod numbers;
mod sets;
mod strings;
mod texts;

use super::rng::Rng;
use super::tree::Node;

/// What a place asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    Int,
    Float,
    Bool,
    Null,
    Str,
    Path,
    /// Lists of numbers, of strings, of sets, of lists, of anything.
    Ints,
    Strs,
    Sets,
    Lists,
    List,
    /// Sets whose values are numbers, or anything.
    IntSet,
    Set,
    /// A function of one argument, of any type, to …
    ToInt,
    ToStr,
    ToBool,
    ToAny,
    Any,
}

use Type::{
    Any, Bool, Float, Int, IntSet, Ints, List, Lists, Null, Path, Set, Sets, Str, Strs, ToAny,
    ToBool, ToInt, ToStr,
};

const ALL: &[Type] = &[
    Int, Int, Int, Float, Bool, Bool, Null, Str, Str, Str, Path, Ints, Strs, Sets, Lists, List,
    IntSet, Set, Set, ToInt, ToStr, ToBool, ToAny,
];

/// Names that are bound and selected.
pub const NAMES: &[&str] = &["a", "b", "c", "d", "e", "f", "g", "w", "y", "z"];

/// Makes one expression.
pub struct Grammar<'a> {
    rng: &'a mut Rng,
    /// Variables that can be used, innermost last.
    scope: Vec<(&'static str, Type)>,
    /// The folder of files that expressions may read.
    files: &'a str,
    /// Holes that may still be filled; ends what grows too far.
    budget: usize,
}

impl<'a> Grammar<'a> {
    /// A grammar over these random numbers.
    pub fn new(rng: &'a mut Rng, files: &'a str) -> Grammar<'a> {
        let budget = 4 + rng.below(40);
        Grammar { rng, scope: Vec::new(), files, budget }
    }

    /// A whole expression.
    pub fn expression(&mut self) -> Node {
        let depth = 2 + self.rng.below(4);
        self.of(Any, depth)
    }

    /// An expression for a place that asks for `wanted`, at most so many levels deep.
    fn of(&mut self, wanted: Type, depth: usize) -> Node {
        self.budget = self.budget.saturating_sub(1);
        let mut kind = wanted;
        if wanted == Any || self.rng.chance(3) {
            kind = self.rng.pick(ALL);
        }
        if self.rng.chance(30) {
            if let Some(variable) = self.variable(kind) {
                return variable;
            }
        }
        if depth == 0 || self.budget == 0 {
            return self.leaf(kind);
        }
        if self.rng.chance(22) {
            return self.general(kind, depth - 1);
        }
        let depth = depth - 1;
        match kind {
            Int => self.int(depth),
            Float => self.float(depth),
            Bool => self.boolean(depth),
            Null => Node::atom("null"),
            Str => self.string(depth),
            Path => self.path(depth),
            Ints | Strs | Sets | Lists | List => self.list(kind, depth),
            IntSet | Set => self.set(kind, depth),
            ToInt | ToStr | ToBool | ToAny => self.function(kind, depth),
            Any => self.leaf(Int),
        }
    }

    /// A variable of a type, if there is one in scope.
    fn variable(&mut self, kind: Type) -> Option<Node> {
        let fitting: Vec<&'static str> = self
            .scope
            .iter()
            .filter(|(name, t)| {
                *t == kind
                    && self.scope.iter().rfind(|(n, _)| n == name).is_some_and(|(_, u)| u == t)
            })
            .map(|(name, _)| *name)
            .collect();
        if fitting.is_empty() { None } else { Some(Node::atom(self.rng.pick(&fitting))) }
    }

    /// Runs `make` with variables in scope.
    fn with<T>(&mut self, bound: &[(&'static str, Type)], make: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.scope.len();
        self.scope.extend_from_slice(bound);
        let made = make(self);
        self.scope.truncate(length);
        made
    }

    fn name(&mut self) -> &'static str {
        self.rng.pick(NAMES)
    }

    /// Different names.
    fn names(&mut self, count: usize) -> Vec<&'static str> {
        let mut names = Vec::new();
        while names.len() < count {
            let name = self.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn any_type(&mut self) -> Type {
        self.rng.pick(ALL)
    }

    /// Something without parts.
    fn leaf(&mut self, kind: Type) -> Node {
        match kind {
            Int => self.int_literal(),
            Float => self.float_literal(),
            Bool => Node::atom(self.rng.pick(&["true", "false"])),
            Null | Any => Node::atom("null"),
            Str => self.string_literal(),
            Path => self.path_literal(),
            Ints => Node::atom(self.rng.pick(&["[ ]", "[ 1 2 3 ]", "[ 3 1 2 1 ]", "[ 0 ]"])),
            Strs => Node::atom(self.rng.pick(&[
                "[ ]",
                "[ \"a\" ]",
                "[ \"b\" \"a\" \"\" ]",
                "[ \"x\" \"y\" \"x\" ]",
            ])),
            Sets => Node::atom(self.rng.pick(&[
                "[ ]",
                "[ { a = 1; } ]",
                "[ { } { a = 2; b = \"x\"; } ]",
            ])),
            Lists => Node::atom(self.rng.pick(&["[ ]", "[ [ ] ]", "[ [ 1 ] [ 2 3 ] ]"])),
            List => Node::atom(self.rng.pick(&["[ ]", "[ 1 \"a\" null ]", "[ { } [ ] ]"])),
            IntSet => Node::atom(self.rng.pick(&["{ }", "{ a = 1; }", "{ x = 2; b = 3; }"])),
            Set => Node::atom(self.rng.pick(&[
                "{ }",
                "{ a = 1; b = \"x\"; }",
                "{ c = [ ]; d = { e = null; }; }",
            ])),
            ToInt => {
                Node::atom(self.rng.pick(&["(_: 1)", "builtins.length", "builtins.stringLength"]))
            }
            ToStr => Node::atom(self.rng.pick(&[
                "(_: \"k\")",
                "toString",
                "builtins.typeOf",
                "builtins.toJSON",
            ])),
            ToBool => Node::atom(self.rng.pick(&[
                "(_: true)",
                "builtins.isInt",
                "isNull",
                "builtins.isString",
            ])),
            ToAny => Node::atom(self.rng.pick(&[
                "(x: x)",
                "builtins.attrNames",
                "builtins.head",
                "builtins.tryEval",
            ])),
        }
    }
}
