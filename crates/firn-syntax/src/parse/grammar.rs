//! The grammar of the language as data, for error messages.
//!
//! The parser itself is written by hand; these productions only serve `automaton`, which works out what the
//! error message for a text must say. Alternatives of one symbol stand in the order that decides between
//! them, symbols and tokens as C++ Nix numbers them.

use super::token::T;

/// A nonterminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum N {
    Start,
    Expr,
    Function,
    If,
    PipeFrom,
    PipeInto,
    Op,
    App,
    Select,
    Simple,
    StringParts,
    Interpolated,
    PathStart,
    IndParts,
    Binds,
    Binds1,
    Attrs,
    AttrPath,
    Attr,
    StringAttr,
    List,
    FormalSet,
    Formals,
    Formal,
}

pub(super) const NONTERMINALS: usize = N::Formal as usize + 1;

/// A symbol of a production.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum S {
    T(T),
    N(N),
}

/// How operators of one level group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Assoc {
    Left,
    Right,
    None,
}

pub(super) const NOT_LEVEL: u8 = 7;
pub(super) const NEGATE_LEVEL: u8 = 12;

/// The level of a token in the operator table; higher binds tighter.
pub(super) const fn precedence(token: T) -> Option<(u8, Assoc)> {
    Some(match token {
        T::Implies => (1, Assoc::Right),
        T::Or => (2, Assoc::Left),
        T::And => (3, Assoc::Left),
        T::Eq | T::NotEq => (4, Assoc::None),
        T::Less | T::Greater | T::LessEq | T::GreaterEq => (5, Assoc::None),
        T::Update => (6, Assoc::Right),
        // Level 7 is that of prefix `!`.
        T::Plus | T::Minus => (8, Assoc::Left),
        T::Star | T::Slash => (9, Assoc::Left),
        T::Concat => (10, Assoc::Right),
        T::Question => (11, Assoc::None),
        // Level 12 is that of prefix `-`.
        _ => return None,
    })
}

/// A production: what it makes, from what, and its level where that is not its last token's.
pub(super) struct Rule {
    pub(super) lhs: N,
    pub(super) rhs: &'static [S],
    pub(super) level: Option<u8>,
}

macro_rules! symbol {
    ([$t:ident]) => {
        S::T(T::$t)
    };
    ($n:ident) => {
        S::N(N::$n)
    };
}
macro_rules! rules {
    ($($lhs:ident = ($($sym:tt)*);)*) => { &[$(Rule { lhs: N::$lhs, rhs: &[$(symbol!($sym)),*], level: None }),*] };
}

/// Productions but those of [`PREFIX`]; tokens stand in brackets.
const PLAIN: &[Rule] = rules! {
    Start = (Expr);
    Expr = (Function);
    Function = ([Id] [Colon] Function);
    Function = (FormalSet [Colon] Function);
    Function = (FormalSet [At] [Id] [Colon] Function);
    Function = ([Id] [At] FormalSet [Colon] Function);
    Function = ([Assert] Expr [Semicolon] Function);
    Function = ([With] Expr [Semicolon] Function);
    Function = ([Let] Binds [In] Function);
    Function = (If);
    If = ([If] Expr [Then] Expr [Else] Expr);
    If = (PipeFrom);
    If = (PipeInto);
    If = (Op);
    PipeFrom = (Op [PipeFrom] PipeFrom);
    PipeFrom = (Op [PipeFrom] Op);
    PipeInto = (PipeInto [PipeInto] Op);
    PipeInto = (Op [PipeInto] Op);
    Op = (Op [Eq] Op);
    Op = (Op [NotEq] Op);
    Op = (Op [Less] Op);
    Op = (Op [LessEq] Op);
    Op = (Op [Greater] Op);
    Op = (Op [GreaterEq] Op);
    Op = (Op [And] Op);
    Op = (Op [Or] Op);
    Op = (Op [Implies] Op);
    Op = (Op [Update] Op);
    Op = (Op [Question] AttrPath);
    Op = (Op [Plus] Op);
    Op = (Op [Minus] Op);
    Op = (Op [Star] Op);
    Op = (Op [Slash] Op);
    Op = (Op [Concat] Op);
    Op = (App);
    App = (App Select);
    App = (Select);
    Select = (Simple [Dot] AttrPath);
    Select = (Simple [Dot] AttrPath [OrKeyword] Select);
    Select = (Simple [OrKeyword]);
    Select = (Simple);
    Simple = ([Id]);
    Simple = ([Int]);
    Simple = ([Float]);
    Simple = ([Quote] StringParts [Quote]);
    Simple = ([IndOpen] IndParts [IndClose]);
    Simple = (PathStart [PathEnd]);
    Simple = (PathStart Interpolated [PathEnd]);
    Simple = ([SearchPath]);
    Simple = ([Uri]);
    Simple = ([LParen] Expr [RParen]);
    Simple = ([Let] [LBrace] Binds [RBrace]);
    Simple = ([Rec] [LBrace] Binds [RBrace]);
    Simple = ([LBrace] Binds1 [RBrace]);
    Simple = ([LBrace] [RBrace]);
    Simple = ([LBracket] List [RBracket]);
    StringParts = ([Str]);
    StringParts = (Interpolated);
    StringParts = ();
    Interpolated = (Interpolated [Str]);
    Interpolated = (Interpolated [DollarBrace] Expr [RBrace]);
    Interpolated = ([DollarBrace] Expr [RBrace]);
    Interpolated = ([Str] [DollarBrace] Expr [RBrace]);
    PathStart = ([Path]);
    PathStart = ([HomePath]);
    IndParts = (IndParts [IndStr]);
    IndParts = (IndParts [DollarBrace] Expr [RBrace]);
    IndParts = ();
    Binds = (Binds1);
    Binds = ();
    Binds1 = (Binds1 AttrPath [Assign] Expr [Semicolon]);
    Binds1 = (Binds [Inherit] Attrs [Semicolon]);
    Binds1 = (Binds [Inherit] [LParen] Expr [RParen] Attrs [Semicolon]);
    Binds1 = (AttrPath [Assign] Expr [Semicolon]);
    Attrs = (Attrs Attr);
    Attrs = (Attrs StringAttr);
    Attrs = ();
    AttrPath = (AttrPath [Dot] Attr);
    AttrPath = (AttrPath [Dot] StringAttr);
    AttrPath = (Attr);
    AttrPath = (StringAttr);
    Attr = ([Id]);
    Attr = ([OrKeyword]);
    StringAttr = ([Quote] StringParts [Quote]);
    StringAttr = ([DollarBrace] Expr [RBrace]);
    List = (List Select);
    List = ();
    FormalSet = ([LBrace] Formals [Comma] [Ellipsis] [RBrace]);
    FormalSet = ([LBrace] [Ellipsis] [RBrace]);
    FormalSet = ([LBrace] Formals [Comma] [RBrace]);
    FormalSet = ([LBrace] Formals [RBrace]);
    FormalSet = ([LBrace] [RBrace]);
    Formals = (Formals [Comma] Formal);
    Formals = (Formal);
    Formal = ([Id]);
    Formal = ([Id] [Question] Expr);
};

/// The prefix operators, whose level is not that of their token.
const PREFIX: &[Rule] = &[
    Rule { lhs: N::Op, rhs: &[S::T(T::Not), S::N(N::Op)], level: Some(NOT_LEVEL) },
    Rule { lhs: N::Op, rhs: &[S::T(T::Minus), S::N(N::Op)], level: Some(NEGATE_LEVEL) },
];

/// All productions.
pub(super) fn rules() -> Vec<&'static Rule> {
    PLAIN.iter().chain(PREFIX).collect()
}

impl Rule {
    /// The level of the production in the operator table.
    pub(super) fn level(&self) -> Option<u8> {
        self.level.or_else(|| {
            self.rhs.iter().rev().find_map(|s| match s {
                S::T(t) => Some(precedence(*t).map(|(level, _)| level)),
                S::N(_) => None,
            })?
        })
    }
}
