//! The kinds of tokens, numbered in the order in which error messages list them.

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// The kind of a token.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum T { $($(#[$doc])* #[doc = concat!("As messages name it: ", $text, ".")] $name),* }
        impl T {
            /// Every kind, in order.
            pub(super) const ALL: &[T] = &[$(T::$name),*];
            /// The kind as error messages name it.
            pub const fn describe(self) -> &'static str {
                match self { $(T::$name => $text),* }
            }
        }
    };
}

tokens! {
    End = "end of file",
    /// A byte that starts no token.
    Invalid = "invalid token",
    Id = "identifier",
    Str = "string",
    IndStr = "indented string",
    Int = "integer",
    Float = "floating-point literal",
    Path = "path",
    HomePath = "'~/…' path",
    SearchPath = "'<…>' path",
    PathEnd = "end of path",
    Uri = "URI",
    If = "'if'",
    Then = "'then'",
    Else = "'else'",
    Assert = "'assert'",
    With = "'with'",
    Let = "'let'",
    In = "'in'",
    Rec = "'rec'",
    Inherit = "'inherit'",
    Eq = "'=='",
    NotEq = "'!='",
    LessEq = "'<='",
    GreaterEq = "'>='",
    Update = "'//'",
    Concat = "'++'",
    And = "'&&'",
    Or = "'||'",
    Implies = "'->'",
    OrKeyword = "'or'",
    PipeFrom = "'<|'",
    PipeInto = "'|>'",
    DollarBrace = "'${'",
    IndOpen = "start of an indented string",
    IndClose = "end of an indented string",
    Ellipsis = "'...'",
    Less = "'<'",
    Greater = "'>'",
    Plus = "'+'",
    Minus = "'-'",
    Star = "'*'",
    Slash = "'/'",
    Question = "'?'",
    Colon = "':'",
    At = "'@'",
    Semicolon = "';'",
    Not = "'!'",
    Dot = "'.'",
    Quote = "'\"'",
    LParen = "'('",
    RParen = "')'",
    LBrace = "'{'",
    RBrace = "'}'",
    LBracket = "'['",
    RBracket = "']'",
    Assign = "'='",
    Comma = "','",
    /// The lexer found an error of its own; see `Lexer::error`.
    Error = "error",
}

/// A token: its kind, byte range and payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: T,
    pub(super) start: u32,
    pub(super) end: u32,
    /// `Id`: the symbol's index. `Int`, `Float`: the bits. String pieces: start and length of a `Str`.
    pub(super) value: u64,
}
