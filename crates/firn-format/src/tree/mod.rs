//! The concrete syntax tree: every token of the text with the comments and blank lines around it, so that the
//! text can be written again in another layout and nothing is lost.
//!
//! Unlike [`firn_syntax::Ast`], nothing is desugared and nothing has a meaning yet.

mod leaf;
pub(crate) mod parse;
mod strings;
mod trivia;
mod walk;

pub(crate) use leaf::{Around, Leaf, Token, Trivium};

use std::borrow::Cow;

/// A text with comments after the last token.
#[derive(Debug)]
pub(crate) struct Whole<'s> {
    pub expr: Expr<'s>,
    pub after: Vec<Trivium<'s>>,
}

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr<'s> {
    Term(Term<'s>),
    /// `with scope; body`
    With(Box<Headed<'s>>),
    /// `assert condition; body`
    Assert(Box<Headed<'s>>),
    /// `let bindings in body`
    Let(Box<Let<'s>>),
    If(Box<If<'s>>),
    /// `parameter: body`
    Lambda(Box<Lambda<'s>>),
    /// A function and one argument.
    Apply(Box<Apply<'s>>),
    /// Two operands with an operator between them.
    Binary(Box<Binary<'s>>),
    /// `subject ? path`
    HasAttr(Box<HasAttr<'s>>),
    /// `-operand`, `!operand`
    Prefix(Box<Prefix<'s>>),
}

/// `with` or `assert`: a keyword, what it is about, and the expression it governs.
#[derive(Debug)]
pub(crate) struct Headed<'s> {
    pub keyword: Token<'s>,
    pub head: Expr<'s>,
    pub semicolon: Token<'s>,
    pub body: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct Let<'s> {
    pub keyword: Token<'s>,
    pub bindings: Vec<Item<'s, Binding<'s>>>,
    pub in_keyword: Token<'s>,
    pub body: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct If<'s> {
    pub if_keyword: Token<'s>,
    pub condition: Expr<'s>,
    pub then_keyword: Token<'s>,
    pub then_expr: Expr<'s>,
    pub else_keyword: Token<'s>,
    pub else_expr: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct Lambda<'s> {
    pub parameter: Parameter<'s>,
    pub colon: Token<'s>,
    pub body: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct Apply<'s> {
    pub function: Expr<'s>,
    pub argument: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct Binary<'s> {
    pub left: Expr<'s>,
    pub op: Token<'s>,
    pub right: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct HasAttr<'s> {
    pub subject: Expr<'s>,
    pub mark: Token<'s>,
    pub path: Vec<Selector<'s>>,
}

#[derive(Debug)]
pub(crate) struct Prefix<'s> {
    pub op: Token<'s>,
    pub operand: Expr<'s>,
}

/// An expression that can be an argument or an element of a list.
#[derive(Debug)]
pub(crate) enum Term<'s> {
    /// A name, a number, a path in angle brackets; also a string that has to stay as it is.
    Word(Token<'s>),
    /// `"…"`
    String(Leaf<'s, Lines<'s>>),
    /// `''…''`
    Indented(Leaf<'s, Lines<'s>>),
    Path(Leaf<'s, Vec<Part<'s>>>),
    List(Box<List<'s>>),
    Set(Box<Set<'s>>),
    Select(Box<Select<'s>>),
    Paren(Box<Paren<'s>>),
}

#[derive(Debug)]
pub(crate) struct List<'s> {
    pub open: Token<'s>,
    pub items: Vec<Item<'s, Term<'s>>>,
    pub close: Token<'s>,
}

#[derive(Debug)]
pub(crate) struct Set<'s> {
    /// `rec` or `let`.
    pub keyword: Option<Token<'s>>,
    pub open: Token<'s>,
    pub items: Vec<Item<'s, Binding<'s>>>,
    pub close: Token<'s>,
}

/// `subject.path` with `or default`.
#[derive(Debug)]
pub(crate) struct Select<'s> {
    pub subject: Term<'s>,
    pub path: Vec<Selector<'s>>,
    pub default: Option<(Token<'s>, Term<'s>)>,
}

#[derive(Debug)]
pub(crate) struct Paren<'s> {
    pub open: Token<'s>,
    pub inner: Expr<'s>,
    pub close: Token<'s>,
}

/// An element of a list or a binding, or comments and blank lines between them.
#[derive(Debug)]
pub(crate) enum Item<'s, T> {
    Comments(Vec<Trivium<'s>>),
    Item(T),
}

#[derive(Debug)]
pub(crate) enum Binding<'s> {
    Inherit {
        keyword: Token<'s>,
        /// In parentheses.
        source: Option<Term<'s>>,
        names: Vec<Name<'s>>,
        semicolon: Token<'s>,
    },
    Assign {
        path: Vec<Selector<'s>>,
        assign: Token<'s>,
        value: Expr<'s>,
        semicolon: Token<'s>,
    },
}

/// One name of an attribute path, with the dot before it.
#[derive(Debug)]
pub(crate) struct Selector<'s> {
    pub dot: Option<Token<'s>>,
    pub name: Name<'s>,
}

#[derive(Debug)]
pub(crate) enum Name<'s> {
    Id(Token<'s>),
    Interpolation(Leaf<'s, Part<'s>>),
    String(Leaf<'s, Lines<'s>>),
}

#[derive(Debug)]
pub(crate) enum Parameter<'s> {
    Id(Token<'s>),
    Set { open: Token<'s>, formals: Vec<Formal<'s>>, close: Token<'s> },
    Both { first: Box<Parameter<'s>>, at: Token<'s>, second: Box<Parameter<'s>> },
}

#[derive(Debug)]
pub(crate) enum Formal<'s> {
    Named {
        name: Token<'s>,
        /// `?` and what follows it.
        default: Option<Box<(Token<'s>, Expr<'s>)>>,
        comma: Option<Token<'s>>,
    },
    Ellipsis(Token<'s>),
}

/// The lines of a string, as they are written (escapes stay); in an indented string without what all of them
/// are indented by.
pub(crate) type Lines<'s> = Vec<Vec<Part<'s>>>;

/// A part of a line of a string, or of a path.
#[derive(Debug)]
pub(crate) enum Part<'s> {
    Text(Cow<'s, str>),
    Interpolation(Box<Whole<'s>>),
}
