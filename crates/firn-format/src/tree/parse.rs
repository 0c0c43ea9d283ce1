//! From text to tree.
//!
//! The text has been accepted by `firn_syntax::parse` before, so that nothing here has to say well what is
//! wrong with it; what is not understood all the same is an error that says where.

use std::borrow::Cow;

use firn_syntax::{Lexeme, TokenKind as T, lexemes};

use super::trivia;
use super::{
    Apply, Around, Binary, Binding, Expr, Formal, HasAttr, Headed, If, Item, Lambda, Leaf, Let,
    List, Name, Parameter, Paren, Part, Prefix, Select, Selector, Set, Term, Token, Trivium, Whole,
};

/// Why there is no tree.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nested more deeply than allowed.
    Deep(usize),
    /// A token that is not expected here.
    Unexpected(usize),
}

pub(super) type Parsed<T> = Result<T, Stop>;

/// The tree of a text, which may be nested this deeply.
pub(crate) fn parse(text: &str, max_depth: u32) -> Result<Whole<'_>, Stop> {
    let tokens = lexemes(text.as_bytes(), true);
    let closing = closing(&tokens);
    let mut parser = Parser {
        text,
        tokens,
        closing,
        at: 0,
        line: 1,
        counted: 0,
        pending: Vec::new(),
        keep_quotes: false,
        depth: 0,
        max_depth,
    };
    let start = parser.here().start;
    parser.pending = trivia::before_first(text, 0, start);
    let expr = parser.expr()?;
    if parser.here().kind != T::End {
        return parser.unexpected();
    }
    Ok(Whole { expr, after: std::mem::take(&mut parser.pending) })
}

/// For each `{` and `${` the index of its `}`; 0 elsewhere.
fn closing(tokens: &[Lexeme]) -> Vec<u32> {
    let mut closing = vec![0; tokens.len()];
    let mut open = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            T::LBrace | T::DollarBrace => open.push(i),
            T::RBrace => {
                if let Some(at) = open.pop() {
                    closing[at] = i as u32;
                }
            }
            _ => {}
        }
    }
    closing
}

/// How tightly a binary operator binds and whether a chain of it groups to the right. Chains of one operator
/// are written alike however they group, so that `->`, which groups to the right, need not.
fn operator(kind: T) -> Option<(u8, bool)> {
    Some(match kind {
        T::PipeFrom => (1, true),
        T::PipeInto => (2, false),
        T::Implies => (3, false),
        T::Or => (4, false),
        T::And => (5, false),
        T::Eq | T::NotEq => (6, false),
        T::Less | T::LessEq | T::Greater | T::GreaterEq => (7, false),
        T::Update => (8, true),
        T::Plus | T::Minus => (10, false),
        T::Star | T::Slash => (11, false),
        T::Concat => (12, true),
        _ => return None,
    })
}

const NOT: u8 = 9;
const HAS_ATTR: u8 = 13;
const NEGATE: u8 = 14;

pub(super) struct Parser<'s> {
    pub(super) text: &'s str,
    tokens: Vec<Lexeme>,
    closing: Vec<u32>,
    at: usize,
    /// The line of the byte `counted`.
    line: u32,
    counted: usize,
    /// What stands before the next token.
    pending: Vec<Trivium<'s>>,
    /// Whether strings keep their kind of quotes.
    pub(super) keep_quotes: bool,
    depth: u32,
    max_depth: u32,
}

impl<'s> Parser<'s> {
    pub(super) fn here(&self) -> Lexeme {
        self.ahead(0)
    }

    fn ahead(&self, n: usize) -> Lexeme {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + n).min(last)]
    }

    fn is(&self, kind: T) -> bool {
        self.here().kind == kind
    }

    pub(super) fn unexpected<R>(&self) -> Parsed<R> {
        Err(Stop::Unexpected(self.here().start))
    }

    /// Steps over a token; what stands behind it is not looked at.
    pub(super) fn step(&mut self) -> Lexeme {
        let token = self.here();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Begins a leaf: what stands before it, and its line.
    pub(super) fn begin(&mut self) -> Around<'s> {
        let start = self.here().start;
        let newlines =
            memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.counted..start]).count();
        self.line += newlines as u32;
        self.counted = start;
        Around { before: std::mem::take(&mut self.pending), line: self.line, after: None }
    }

    /// Ends a leaf whose last byte is before `end`.
    pub(super) fn end(&mut self, around: &mut Around<'s>, end: usize) {
        let (after, pending) = trivia::between(self.text, end, self.here().start);
        around.after = after;
        self.pending = pending;
    }

    fn token(&mut self) -> Token<'s> {
        let mut around = self.begin();
        let token = self.step();
        self.end(&mut around, token.end);
        Leaf { around, value: Cow::Borrowed(&self.text[token.start..token.end]) }
    }

    fn expect(&mut self, kind: T) -> Parsed<Token<'s>> {
        if self.is(kind) { Ok(self.token()) } else { self.unexpected() }
    }

    fn deeper<R>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<R>) -> Parsed<R> {
        if self.depth >= self.max_depth {
            return Err(Stop::Deep(self.here().start));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    pub(super) fn expr(&mut self) -> Parsed<Expr<'s>> {
        self.deeper(Self::expr_here)
    }

    fn expr_here(&mut self) -> Parsed<Expr<'s>> {
        match self.here().kind {
            T::With | T::Assert => {
                let is_with = self.is(T::With);
                let keyword = self.token();
                let head = self.expr()?;
                let semicolon = self.expect(T::Semicolon)?;
                let headed = Box::new(Headed { keyword, head, semicolon, body: self.expr()? });
                Ok(if is_with { Expr::With(headed) } else { Expr::Assert(headed) })
            }
            T::Let if self.ahead(1).kind != T::LBrace => {
                let keyword = self.token();
                let bindings = self.items(T::In, Self::binding)?;
                let in_keyword = self.expect(T::In)?;
                Ok(Expr::Let(Box::new(Let { keyword, bindings, in_keyword, body: self.expr()? })))
            }
            T::If => {
                let if_keyword = self.token();
                let condition = self.expr()?;
                let then_keyword = self.expect(T::Then)?;
                let then_expr = self.expr()?;
                let else_keyword = self.expect(T::Else)?;
                let else_expr = self.expr()?;
                Ok(Expr::If(Box::new(If {
                    if_keyword,
                    condition,
                    then_keyword,
                    then_expr,
                    else_keyword,
                    else_expr,
                })))
            }
            T::Id | T::LBrace if self.at_lambda() => {
                let parameter = self.parameter()?;
                let colon = self.expect(T::Colon)?;
                Ok(Expr::Lambda(Box::new(Lambda { parameter, colon, body: self.expr()? })))
            }
            _ => self.operation(0),
        }
    }

    fn at_lambda(&self) -> bool {
        let after = match self.here().kind {
            T::Id => 1,
            _ => match self.closing[self.at] as usize {
                0 => return false,
                close => close - self.at + 1,
            },
        };
        matches!(self.ahead(after).kind, T::Colon | T::At)
    }

    fn parameter(&mut self) -> Parsed<Parameter<'s>> {
        let first = self.one_parameter()?;
        if !self.is(T::At) {
            return Ok(first);
        }
        let at = self.token();
        let second = self.one_parameter()?;
        Ok(Parameter::Both { first: Box::new(first), at, second: Box::new(second) })
    }

    fn one_parameter(&mut self) -> Parsed<Parameter<'s>> {
        if self.is(T::Id) {
            return Ok(Parameter::Id(self.token()));
        }
        let open = self.expect(T::LBrace)?;
        let mut formals = Vec::new();
        while !self.is(T::RBrace) {
            if self.is(T::Ellipsis) {
                formals.push(Formal::Ellipsis(self.token()));
                // A comma after it means nothing, and some texts have it.
                break;
            }
            let name = self.expect(T::Id)?;
            let default = if self.is(T::Question) {
                let mark = self.token();
                Some(Box::new((mark, self.expr()?)))
            } else {
                None
            };
            let comma = if self.is(T::Comma) { Some(self.token()) } else { None };
            let last = comma.is_none();
            formals.push(Formal::Named { name, default, comma });
            if last {
                break;
            }
        }
        Ok(Parameter::Set { open, formals, close: self.expect(T::RBrace)? })
    }

    /// Operators that bind more tightly than `above`, with their operands.
    fn operation(&mut self, above: u8) -> Parsed<Expr<'s>> {
        let mut left = match self.here().kind {
            T::Minus | T::Not => {
                let level = if self.is(T::Minus) { NEGATE } else { NOT };
                let op = self.token();
                let operand = self.deeper(|p| p.operation(level - 1))?;
                Expr::Prefix(Box::new(Prefix { op, operand }))
            }
            _ => self.application()?,
        };
        let mut grown = 0;
        let result = loop {
            if self.is(T::Question) {
                if HAS_ATTR <= above {
                    break Ok(left);
                }
                let mark = self.token();
                let path = self.attr_path()?;
                left = Expr::HasAttr(Box::new(HasAttr { subject: left, mark, path }));
                continue;
            }
            let Some((level, to_right)) = operator(self.here().kind) else { break Ok(left) };
            if level <= above {
                break Ok(left);
            }
            let op = self.token();
            let right = self.deeper(|p| p.operation(if to_right { level - 1 } else { level }))?;
            // A chain to the left makes the tree deeper as well.
            grown += 1;
            self.depth += 1;
            if self.depth >= self.max_depth {
                break Err(Stop::Deep(self.here().start));
            }
            left = combine(left, op, right);
        };
        self.depth -= grown;
        result
    }

    fn application(&mut self) -> Parsed<Expr<'s>> {
        let mut function = Expr::Term(self.term()?);
        let mut grown = 0;
        while self.at_term() {
            let argument = Expr::Term(self.term()?);
            function = Expr::Apply(Box::new(Apply { function, argument }));
            grown += 1;
            self.depth += 1;
            if self.depth >= self.max_depth {
                return Err(Stop::Deep(self.here().start));
            }
        }
        self.depth -= grown;
        Ok(function)
    }

    fn at_term(&self) -> bool {
        match self.here().kind {
            T::Id
            | T::OrKeyword
            | T::Int
            | T::Float
            | T::Path
            | T::HomePath
            | T::SearchPath
            | T::Uri => true,
            T::Quote | T::IndOpen | T::LParen | T::LBrace | T::LBracket | T::Rec => true,
            T::Let => self.ahead(1).kind == T::LBrace,
            _ => false,
        }
    }

    fn term(&mut self) -> Parsed<Term<'s>> {
        let subject = self.simple_term()?;
        if !self.is(T::Dot) {
            return Ok(subject);
        }
        let mut path = Vec::new();
        while self.is(T::Dot) {
            let dot = Some(self.token());
            path.push(Selector { dot, name: self.name()? });
        }
        let default = if self.is(T::OrKeyword) {
            let or = self.token();
            Some((or, self.deeper(Self::term)?))
        } else {
            None
        };
        Ok(Term::Select(Box::new(Select { subject, path, default })))
    }

    fn simple_term(&mut self) -> Parsed<Term<'s>> {
        Ok(match self.here().kind {
            T::Id | T::OrKeyword | T::Int | T::Float | T::SearchPath => Term::Word(self.token()),
            T::Quote => Term::String(self.string()?),
            T::IndOpen => self.indented_string()?,
            T::Uri => {
                let uri = self.token();
                Term::String(Leaf { around: uri.around, value: vec![vec![Part::Text(uri.value)]] })
            }
            T::Path | T::HomePath => Term::Path(self.path()?),
            T::LParen => {
                let open = self.token();
                let inner = self.expr()?;
                Term::Paren(Box::new(Paren { open, inner, close: self.expect(T::RParen)? }))
            }
            T::LBracket => {
                let open = self.token();
                let items = self.items(T::RBracket, Self::term)?;
                Term::List(Box::new(List { open, items, close: self.expect(T::RBracket)? }))
            }
            T::LBrace | T::Rec | T::Let => {
                let keyword = if self.is(T::LBrace) { None } else { Some(self.token()) };
                let open = self.expect(T::LBrace)?;
                let items = self.items(T::RBrace, Self::binding)?;
                Term::Set(Box::new(Set { keyword, open, items, close: self.expect(T::RBrace)? }))
            }
            _ => return self.unexpected(),
        })
    }

    fn items<I>(&mut self, end: T, item: fn(&mut Self) -> Parsed<I>) -> Parsed<Vec<Item<'s, I>>> {
        let mut items = Vec::new();
        loop {
            if !self.pending.is_empty() {
                items.push(Item::Comments(std::mem::take(&mut self.pending)));
            }
            if self.is(end) {
                return Ok(items);
            }
            items.push(Item::Item(self.deeper(item)?));
        }
    }

    fn binding(&mut self) -> Parsed<Binding<'s>> {
        if !self.is(T::Inherit) {
            let path = self.attr_path()?;
            let assign = self.expect(T::Assign)?;
            let value = self.expr()?;
            return Ok(Binding::Assign {
                path,
                assign,
                value,
                semicolon: self.expect(T::Semicolon)?,
            });
        }
        let keyword = self.token();
        let source = if self.is(T::LParen) { Some(self.simple_term()?) } else { None };
        let mut names = Vec::new();
        while !self.is(T::Semicolon) {
            names.push(self.name()?);
        }
        Ok(Binding::Inherit { keyword, source, names, semicolon: self.expect(T::Semicolon)? })
    }

    fn attr_path(&mut self) -> Parsed<Vec<Selector<'s>>> {
        let mut path = vec![Selector { dot: None, name: self.name()? }];
        while self.is(T::Dot) {
            let dot = Some(self.token());
            path.push(Selector { dot, name: self.name()? });
        }
        Ok(path)
    }

    fn name(&mut self) -> Parsed<Name<'s>> {
        Ok(match self.here().kind {
            T::Id | T::OrKeyword => Name::Id(self.token()),
            T::Quote => Name::String(self.string()?),
            T::DollarBrace => {
                let mut around = self.begin();
                // Other quotes could make a name that is known beforehand of one that is not, or the reverse.
                let outside = std::mem::replace(&mut self.keep_quotes, true);
                let (value, end) = self.interpolation()?;
                self.keep_quotes = outside;
                self.end(&mut around, end);
                Name::Interpolation(Leaf { around, value })
            }
            _ => return self.unexpected(),
        })
    }

    /// `${ … }`, with the index of the byte behind it.
    pub(super) fn interpolation(&mut self) -> Parsed<(Part<'s>, usize)> {
        let outside = std::mem::take(&mut self.pending);
        let open = self.step();
        self.pending = trivia::before_first(self.text, open.end, self.here().start);
        let expr = self.expr()?;
        if !self.is(T::RBrace) {
            return self.unexpected();
        }
        let close = self.step();
        let after = std::mem::replace(&mut self.pending, outside);
        Ok((Part::Interpolation(Box::new(Whole { expr, after })), close.end))
    }
}

/// `left op right`, where a chain of `+`, which groups to the left, is turned so that its first operand is
/// on top: rules of layout look at it.
fn combine<'s>(left: Expr<'s>, op: Token<'s>, right: Expr<'s>) -> Expr<'s> {
    match left {
        Expr::Binary(mut chain) if op.value == "+" && chain.op.value == "+" => {
            let rest = std::mem::replace(
                &mut chain.right,
                Expr::Term(Term::Word(Leaf {
                    around: Around::default(),
                    value: Cow::Borrowed(""),
                })),
            );
            chain.right = Expr::Binary(Box::new(Binary { left: rest, op, right }));
            Expr::Binary(chain)
        }
        left => Expr::Binary(Box::new(Binary { left, op, right })),
    }
}
