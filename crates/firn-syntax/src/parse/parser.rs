//! Expressions: precedence climbing over the lexer's tokens.
//!
//! A token is read only when it is needed to decide something, so that errors come out in the order in which
//! C++ Nix finds them.

use super::automaton::{self, Verdict};
use super::binds::OpenAttrs;
use super::grammar::{Assoc, NEGATE_LEVEL, NOT_LEVEL, precedence};
use super::lexer::Lexer;
use super::token::{T, Token};
use super::{Options, ParseError, Warning};
use crate::ast::{
    Ast, AttrName, AttrPathId, AttrsId, BinaryOp, ConcatPart, Expr, ExprId, Formal, OptExprId,
    Range, Str, Tables,
};
use crate::source::{Pos, Source};
use crate::stack;
use crate::symbol::{Symbol, sym};
use std::path::Path;
use std::sync::Arc;

/// Nesting that is parsed on the caller's stack.
const ORDINARY_NESTING: u32 = 150;

/// Parsing cannot go on; the reason is in [`Parser::failure`].
pub(super) struct Stop;

pub(super) type Parsed<T> = Result<T, Stop>;

pub(super) enum Failure {
    /// The text is not in the language.
    Syntax,
    Message(String, Pos),
    /// More stack is needed than there may be.
    TooDeep,
}

pub(super) struct Parser<'s> {
    pub(super) lexer: Lexer<'s>,
    ahead: Option<Token>,
    pub(super) ast: Ast,
    /// Height of each node's tree.
    pub(super) heights: Vec<u32>,
    pub(super) failure: Failure,
    pub(super) base_dir: &'s Path,
    pub(super) options: &'s Options,
    nesting: u32,
    nesting_limit: u32,
    /// Elements of lists and arguments under construction.
    exprs: Vec<ExprId>,
    /// Attribute paths under construction.
    pub(super) names: Vec<AttrName>,
    pub(super) parts: Vec<ConcatPart>,
    pub(super) pieces: Vec<super::strings::Piece>,
    pub(super) formals: Vec<Formal>,
    /// Attribute sets under construction, and those that are free for reuse.
    pub(super) open: Vec<OpenAttrs>,
    pub(super) free: Vec<u32>,
}

/// Parses a source, on as much stack as its nesting takes.
pub(super) fn parse(
    source: &Arc<Source>,
    base_dir: &Path,
    options: &Options,
) -> Result<Ast, ParseError> {
    let fail = |message: String, pos| ParseError {
        message,
        pos,
        source: Arc::clone(source),
        warnings: Vec::new(),
    };
    if source.text().len() >= Str::SIDE as usize {
        return Err(fail("the text is too long: sources are limited to 2 GiB".into(), Pos::NONE));
    }
    let attempt = |limit| Parser::new(source, base_dir, options, limit).run();
    let mut limit = ORDINARY_NESTING;
    let mut result = attempt(limit);
    while matches!(result, Err((Failure::TooDeep, _))) && limit < stack::MAX_DEPTH {
        // Rare enough to start over.
        limit = (limit * 20).min(stack::MAX_DEPTH);
        result = stack::with_parser_depth(limit, || attempt(limit));
    }
    let (failure, warnings) = match result {
        Ok(ast) => return Ok(ast),
        Err(failure) => failure,
    };
    let mut error = match failure {
        Failure::Message(message, pos) => fail(message, pos),
        Failure::TooDeep => fail(
            format!("the expression is nested too deeply: the limit is {}", stack::MAX_DEPTH),
            Pos::NONE,
        ),
        Failure::Syntax => match automaton::judge(source.text(), options.pipe_operators) {
            Verdict::Syntax { message, pos } => fail(message, Pos(pos)),
            Verdict::Lexical(error) => fail(error.message, error.pos),
            Verdict::Accepted => fail("syntax error".into(), Pos::NONE),
        },
    };
    error.warnings = warnings;
    Err(error)
}

impl<'s> Parser<'s> {
    fn new(
        source: &'s Arc<Source>,
        base_dir: &'s Path,
        options: &'s Options,
        nesting_limit: u32,
    ) -> Parser<'s> {
        let text = source.text();
        // About one node for 8 bytes of typical text.
        let nodes = text.len() / 8;
        let mut tables = Tables::spare();
        tables.nodes.reserve(nodes);
        tables.positions.reserve(nodes);
        let mut lexer = Lexer::new(text, options.pipe_operators);
        lexer.side = tables.side;
        lexer.docs = tables.docs;
        Parser {
            lexer,
            ahead: None,
            ast: Ast {
                source: Arc::clone(source),
                root: ExprId(0),
                depth: 0,
                nodes: tables.nodes,
                positions: tables.positions,
                exprs: tables.exprs,
                parts: tables.parts,
                names: tables.names,
                paths: tables.paths,
                attrs: tables.attrs,
                bindings: tables.bindings,
                dynamic: tables.dynamic,
                sources: tables.sources,
                formals: tables.formals,
                lambdas: tables.lambdas,
                docs: Vec::new(),
                side: Vec::new(),
                warnings: Vec::new(),
            },
            heights: Vec::with_capacity(nodes),
            failure: Failure::Syntax,
            base_dir,
            options,
            nesting: 0,
            nesting_limit,
            exprs: Vec::new(),
            names: Vec::new(),
            parts: Vec::new(),
            pieces: Vec::new(),
            formals: Vec::new(),
            open: Vec::new(),
            free: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Ast, (Failure, Vec<Warning>)> {
        let Ok(root) = self.expr().and_then(|root| self.expect(T::End).map(|_| root)) else {
            return Err((self.failure, std::mem::take(&mut self.ast.warnings)));
        };
        self.ast.root = root;
        self.ast.depth = self.height(root);
        self.ast.side = std::mem::take(&mut self.lexer.side);
        self.ast.docs = std::mem::take(&mut self.lexer.docs);
        if self.ast.side.len() >= Str::SIDE as usize {
            let message = "the text's strings are too long".into();
            let warnings = std::mem::take(&mut self.ast.warnings);
            return Err((Failure::Message(message, Pos::NONE), warnings));
        }
        Ok(self.ast)
    }

    // Tokens

    #[inline(always)]
    pub(super) fn peek(&mut self) -> Parsed<Token> {
        if let Some(token) = self.ahead {
            return Ok(token);
        }
        let token = self.lexer.next();
        if token.kind == T::Error {
            return self.lexical();
        }
        self.ahead = Some(token);
        Ok(token)
    }

    #[cold]
    fn lexical<R>(&mut self) -> Parsed<R> {
        if let Some(error) = self.lexer.error.take() {
            self.failure = Failure::Message(error.message, error.pos);
        }
        Err(Stop)
    }

    /// Takes the token that was peeked at.
    #[inline(always)]
    pub(super) fn bump(&mut self) {
        self.ahead = None;
    }

    #[inline(always)]
    pub(super) fn expect(&mut self, kind: T) -> Parsed<Token> {
        let token = self.peek()?;
        if token.kind != kind {
            return self.syntax();
        }
        self.bump();
        Ok(token)
    }

    #[cold]
    pub(super) fn syntax<R>(&mut self) -> Parsed<R> {
        self.failure = Failure::Syntax;
        Err(Stop)
    }

    #[cold]
    pub(super) fn message<R>(&mut self, message: String, pos: Pos) -> Parsed<R> {
        self.failure = Failure::Message(message, pos);
        Err(Stop)
    }

    #[cold]
    fn too_deep<R>(&mut self) -> Parsed<R> {
        self.failure = Failure::TooDeep;
        Err(Stop)
    }

    #[inline(always)]
    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > self.nesting_limit { self.too_deep() } else { Ok(()) }
    }

    #[inline(always)]
    pub(super) fn leave(&mut self) {
        self.nesting -= 1;
    }

    // Nodes

    #[inline(always)]
    pub(super) fn height(&self, id: ExprId) -> u32 {
        self.heights[id.0 as usize]
    }

    /// Adds a node whose highest child has the given height.
    #[inline(always)]
    pub(super) fn add(&mut self, expr: Expr, pos: u32, below: u32) -> Parsed<ExprId> {
        let id = ExprId(self.ast.nodes.len() as u32);
        self.ast.nodes.push(expr);
        self.ast.positions.push(Pos(pos));
        self.heights.push(below + 1);
        // Walks over the tree may be deeper than the nesting of the text: `a + a + a`.
        if below >= stack::MAX_DEPTH {
            return self.too_deep();
        }
        Ok(id)
    }

    fn max_height(&self, ids: &[ExprId]) -> u32 {
        ids.iter().map(|id| self.height(*id)).max().unwrap_or(0)
    }

    /// Moves what was pushed since `base` into the arena.
    fn seal_exprs(&mut self, base: usize) -> (Range, u32) {
        let below = self.max_height(&self.exprs[base..]);
        let range = seal(&mut self.exprs, base, &mut self.ast.exprs);
        (range, below)
    }

    fn call(&mut self, function: ExprId, args: &[ExprId], pos: u32) -> Parsed<ExprId> {
        let start = self.ast.exprs.len() as u32;
        self.ast.exprs.extend_from_slice(args);
        let below = self.max_height(args).max(self.height(function));
        let args = Range { start, len: args.len() as u32 };
        self.add(Expr::Call { function, args }, pos, below)
    }

    /// A call of a variable that stands for an operator.
    fn operator_call(&mut self, name: Symbol, args: [ExprId; 2], pos: u32) -> Parsed<ExprId> {
        let function = self.add(Expr::Var(name), pos, 0)?;
        self.call(function, &args, pos)
    }

    /// Applies `function` to the arguments pushed since `base`. A call takes further arguments itself.
    fn apply(&mut self, function: ExprId, base: usize, pos: u32) -> Parsed<ExprId> {
        let mut function = function;
        let mut pos = pos;
        if let Expr::Call { function: inner, args } = self.ast.expr(function) {
            pos = self.ast.pos(function).0;
            let args = args.start as usize..(args.start + args.len) as usize;
            self.exprs.splice(base..base, self.ast.exprs[args].iter().copied());
            function = inner;
        }
        let (args, below) = self.seal_exprs(base);
        let below = below.max(self.height(function));
        self.add(Expr::Call { function, args }, pos, below)
    }

    // Expressions

    /// A whole expression.
    pub(super) fn expr(&mut self) -> Parsed<ExprId> {
        self.enter()?;
        let result = self.function();
        self.leave();
        result
    }

    fn function(&mut self) -> Parsed<ExprId> {
        let token = self.peek()?;
        match token.kind {
            T::Id => {
                self.bump();
                let name = symbol(token);
                match self.peek()?.kind {
                    T::Colon => {
                        self.bump();
                        let body = self.expr()?;
                        self.lambda(token.start, Some(name), None, body)
                    }
                    T::At => {
                        self.bump();
                        self.expect(T::LBrace)?;
                        let pattern = self.formals(None)?;
                        self.expect(T::Colon)?;
                        self.pattern_lambda(token.start, Some(name), pattern)
                    }
                    _ => {
                        let var = self.variable(token)?;
                        self.operation(Some((var, token.start)))
                    }
                }
            }
            T::LBrace => {
                self.bump();
                self.brace(token)
            }
            T::Assert => {
                self.bump();
                let cond = self.expr()?;
                self.expect(T::Semicolon)?;
                let body = self.expr()?;
                let below = self.height(cond).max(self.height(body));
                self.add(Expr::Assert { cond, body }, token.start, below)
            }
            T::With => {
                self.bump();
                let attrs = self.expr()?;
                self.expect(T::Semicolon)?;
                let body = self.expr()?;
                let below = self.height(attrs).max(self.height(body));
                self.add(Expr::With { attrs, body }, token.start, below)
            }
            T::Let => {
                self.bump();
                if self.peek()?.kind == T::LBrace {
                    let first = self.old_let(token.start)?;
                    return self.operation(Some((first, token.start)));
                }
                let open = self.open_attrs();
                self.binds(open, None)?;
                self.expect(T::In)?;
                let body = self.expr()?;
                if !self.open[open as usize].dynamic.is_empty() {
                    let message = "dynamic attributes not allowed in let".into();
                    return self.message(message, Pos(token.start));
                }
                let (attrs, below) = self.close_attrs(open, false)?;
                let below = below.max(self.height(body));
                self.add(Expr::Let { attrs, body }, token.start, below)
            }
            T::If => {
                self.bump();
                let cond = self.expr()?;
                self.expect(T::Then)?;
                let then_expr = self.expr()?;
                self.expect(T::Else)?;
                let else_expr = self.expr()?;
                let below =
                    self.height(cond).max(self.height(then_expr)).max(self.height(else_expr));
                self.add(Expr::If { cond, then_expr, else_expr }, token.start, below)
            }
            _ => self.operation(None),
        }
    }

    /// Operators and pipes. The first simple expression may be read already.
    pub(super) fn operation(&mut self, first: Option<(ExprId, u32)>) -> Parsed<ExprId> {
        let mut left = self.op(0, first)?;
        match self.peek()?.kind {
            T::PipeInto => loop {
                let pipe = self.peek()?;
                if pipe.kind != T::PipeInto {
                    return Ok(left);
                }
                self.bump();
                let function = self.op(0, None)?;
                let base = self.exprs.len();
                self.exprs.push(left);
                left = self.apply(function, base, pipe.start)?;
            },
            T::PipeFrom => {
                let mut pending = vec![];
                loop {
                    let pipe = self.peek()?;
                    if pipe.kind != T::PipeFrom {
                        break;
                    }
                    self.bump();
                    pending.push((left, pipe.start));
                    left = self.op(0, None)?;
                }
                for (function, pos) in pending.into_iter().rev() {
                    let base = self.exprs.len();
                    self.exprs.push(left);
                    left = self.apply(function, base, pos)?;
                }
                Ok(left)
            }
            _ => Ok(left),
        }
    }

    /// An operation of operators that bind at least as tightly as `level`.
    fn op(&mut self, level: u8, first: Option<(ExprId, u32)>) -> Parsed<ExprId> {
        let (mut left, mut left_pos) = match first {
            Some((first, pos)) => (self.application(Some((first, pos)))?, pos),
            None => {
                let token = self.peek()?;
                let e = match token.kind {
                    T::Not => {
                        self.bump();
                        let e = self.operand(NOT_LEVEL)?;
                        let below = self.height(e);
                        self.add(Expr::Not(e), token.start, below)?
                    }
                    T::Minus => {
                        self.bump();
                        let e = self.operand(NEGATE_LEVEL)?;
                        let zero = self.add(Expr::Int(0), token.start, 0)?;
                        self.operator_call(sym::SUB, [zero, e], token.start)?
                    }
                    _ => self.application(None)?,
                };
                (e, token.start)
            }
        };
        let mut blocked = 0;
        loop {
            let token = self.peek()?;
            let Some((token_level, assoc)) = precedence(token.kind) else { return Ok(left) };
            if token_level < level {
                return Ok(left);
            }
            if token_level == blocked {
                return self.syntax();
            }
            self.bump();
            let pos = token.start;
            if token.kind == T::Question {
                let (path, below) = self.attr_path()?;
                let below = below.max(self.height(left));
                left = self.add(Expr::HasAttr { subject: left, path }, pos, below)?;
                continue;
            }
            blocked = if assoc == Assoc::None { token_level } else { 0 };
            let right_pos = self.peek()?.start;
            let right = self.operand(token_level + u8::from(assoc != Assoc::Right))?;
            left = self.binary(token.kind, left, right, pos, left_pos, right_pos)?;
            left_pos = left_pos.min(pos);
        }
    }

    fn operand(&mut self, level: u8) -> Parsed<ExprId> {
        self.enter()?;
        let result = self.op(level, None);
        self.leave();
        result
    }

    fn binary(
        &mut self,
        operator: T,
        lhs: ExprId,
        rhs: ExprId,
        pos: u32,
        left_pos: u32,
        right_pos: u32,
    ) -> Parsed<ExprId> {
        let op = match operator {
            T::Eq => BinaryOp::Eq,
            T::NotEq => BinaryOp::NotEq,
            T::And => BinaryOp::And,
            T::Or => BinaryOp::Or,
            T::Implies => BinaryOp::Implies,
            T::Update => BinaryOp::Update,
            T::Concat => BinaryOp::Concat,
            T::Plus => {
                let start = self.ast.parts.len() as u32;
                self.ast.parts.push(ConcatPart { pos: Pos(left_pos), expr: lhs });
                self.ast.parts.push(ConcatPart { pos: Pos(right_pos), expr: rhs });
                let parts = Range { start, len: 2 };
                let below = self.height(lhs).max(self.height(rhs));
                return self.add(Expr::ConcatStrings { force_string: false, parts }, pos, below);
            }
            T::Minus => return self.operator_call(sym::SUB, [lhs, rhs], pos),
            T::Star => return self.operator_call(sym::MUL, [lhs, rhs], pos),
            T::Slash => return self.operator_call(sym::DIV, [lhs, rhs], pos),
            T::Less => return self.operator_call(sym::LESS_THAN, [lhs, rhs], pos),
            T::Greater => return self.operator_call(sym::LESS_THAN, [rhs, lhs], pos),
            T::LessEq | T::GreaterEq => {
                let args = if operator == T::LessEq { [rhs, lhs] } else { [lhs, rhs] };
                let less = self.operator_call(sym::LESS_THAN, args, pos)?;
                let below = self.height(less);
                return self.add(Expr::Not(less), pos, below);
            }
            _ => return self.syntax(),
        };
        let below = self.height(lhs).max(self.height(rhs));
        self.add(Expr::Binary { op, lhs, rhs }, pos, below)
    }

    fn application(&mut self, first: Option<(ExprId, u32)>) -> Parsed<ExprId> {
        let pos = match first {
            Some((_, pos)) => pos,
            None => self.peek()?.start,
        };
        let (function, _) = self.select(first)?;
        let base = self.exprs.len();
        while starts_simple(self.peek()?.kind) {
            let arg = self.uncursed_select()?;
            self.exprs.push(arg);
        }
        if self.exprs.len() == base {
            return Ok(function);
        }
        self.apply(function, base, pos)
    }

    /// A selection in a place where `x or` will mean something else in the future.
    fn uncursed_select(&mut self) -> Parsed<ExprId> {
        let start = self.peek()?.start;
        let (e, cursed) = self.select(None)?;
        if let Some(end) = cursed {
            let source = Arc::clone(&self.ast.source);
            let text = String::from_utf8_lossy(&source.text()[start as usize..end as usize]);
            let message = format!(
                "at {}: This expression uses `or` as an identifier in a way that will change in a future Nix release.\n\
                 Wrap this entire expression in parentheses to preserve its current meaning:\n    ({text})\n\
                 Give feedback at https://github.com/NixOS/nix/pull/11121",
                source.describe(Pos(start))
            );
            self.ast.warnings.push(Warning { message, pos: Pos(start), placed: true });
        }
        Ok(e)
    }

    /// A simple expression with an attribute path; for `x or` also where it ends.
    fn select(&mut self, first: Option<(ExprId, u32)>) -> Parsed<(ExprId, Option<u32>)> {
        let (subject, pos) = match first {
            Some(first) => first,
            None => self.simple()?,
        };
        match self.peek()?.kind {
            T::Dot => {
                self.bump();
                let (path, mut below) = self.attr_path()?;
                let mut default = OptExprId::NONE;
                if self.peek()?.kind == T::OrKeyword {
                    self.bump();
                    self.enter()?;
                    let e = self.uncursed_select()?;
                    self.leave();
                    below = below.max(self.height(e));
                    default = OptExprId::some(e);
                }
                let below = below.max(self.height(subject));
                Ok((self.add(Expr::Select { subject, path, default }, pos, below)?, None))
            }
            T::OrKeyword => {
                let end = self.peek()?.end;
                self.bump();
                let or = self.add(Expr::Var(sym::OR), pos, 0)?;
                Ok((self.call(subject, &[or], pos)?, Some(end)))
            }
            _ => Ok((subject, None)),
        }
    }

    fn variable(&mut self, token: Token) -> Parsed<ExprId> {
        let name = symbol(token);
        let expr = if name == sym::CUR_POS { Expr::CurPos } else { Expr::Var(name) };
        self.add(expr, token.start, 0)
    }

    fn simple(&mut self) -> Parsed<(ExprId, u32)> {
        let token = self.peek()?;
        let pos = token.start;
        self.bump();
        let e = match token.kind {
            T::Id => self.variable(token)?,
            T::Int => self.add(Expr::Int(token.value as i64), pos, 0)?,
            T::Float => self.add(Expr::Float(f64::from_bits(token.value)), pos, 0)?,
            T::Quote => self.string(pos)?,
            T::IndOpen => self.ind_string(pos)?,
            T::Path | T::HomePath => self.path(token)?,
            T::SearchPath => {
                let path = self.add(Expr::Var(sym::NIX_PATH), pos, 0)?;
                let name = Str { start: token.start + 1, len: token.end - token.start - 2 };
                let name = self.add(Expr::String(name), pos, 0)?;
                self.operator_call(sym::FIND_FILE, [path, name], pos)?
            }
            T::Uri => {
                self.lint_url(token)?;
                self.add(Expr::String(piece(token)), pos, 0)?
            }
            T::LParen => {
                let e = self.expr()?;
                self.expect(T::RParen)?;
                e
            }
            T::Let => self.old_let(pos)?,
            T::Rec => {
                self.expect(T::LBrace)?;
                self.nested_set(pos, true)?
            }
            T::LBrace => {
                if self.peek()?.kind == T::RBrace {
                    self.bump();
                    self.empty_set(pos)?
                } else {
                    self.nested_set(pos, false)?
                }
            }
            T::LBracket => {
                self.enter()?;
                let base = self.exprs.len();
                while self.peek()?.kind != T::RBracket {
                    let item = self.uncursed_select()?;
                    self.exprs.push(item);
                }
                self.bump();
                self.leave();
                let (items, below) = self.seal_exprs(base);
                self.add(Expr::List(items), pos, below)?
            }
            _ => return self.syntax(),
        };
        Ok((e, pos))
    }

    fn nested_set(&mut self, pos: u32, recursive: bool) -> Parsed<ExprId> {
        self.enter()?;
        let set = self.attr_set(pos, recursive, None);
        self.leave();
        set
    }

    pub(super) fn empty_set(&mut self, pos: u32) -> Parsed<ExprId> {
        let id = AttrsId(self.ast.attrs.len() as u32);
        self.ast.attrs.push(Default::default());
        self.add(Expr::Attrs(id), pos, 0)
    }

    /// After `{`: bindings and the closing brace. Other than `rec { }`, `{ }` comes here only with bindings.
    pub(super) fn attr_set(
        &mut self,
        pos: u32,
        recursive: bool,
        first: Option<Token>,
    ) -> Parsed<ExprId> {
        let open = self.open_attrs();
        self.binds(open, first)?;
        self.expect(T::RBrace)?;
        let (attrs, below) = self.close_attrs(open, recursive)?;
        self.add(Expr::Attrs(attrs), pos, below)
    }

    /// After `let`, before `{`: the old form, which selects `body` from a recursive set.
    fn old_let(&mut self, pos: u32) -> Parsed<ExprId> {
        self.expect(T::LBrace)?;
        let subject = self.nested_set(pos, true)?;
        let base = self.names.len();
        self.names.push(AttrName::Static(sym::BODY));
        let path = self.seal_path(base);
        let below = self.height(subject);
        let select = Expr::Select { subject, path, default: OptExprId::NONE };
        self.add(select, Pos::NONE.0, below)
    }

    pub(super) fn seal_path(&mut self, base: usize) -> AttrPathId {
        let range = seal(&mut self.names, base, &mut self.ast.names);
        self.ast.paths.push(range);
        AttrPathId(self.ast.paths.len() as u32 - 1)
    }
}

/// Moves what was pushed onto `stack` since `base` to the end of `table`.
pub(super) fn seal<T: Copy>(stack: &mut Vec<T>, base: usize, table: &mut Vec<T>) -> Range {
    let start = table.len() as u32;
    table.extend_from_slice(&stack[base..]);
    stack.truncate(base);
    Range { start, len: table.len() as u32 - start }
}

pub(super) fn symbol(token: Token) -> Symbol {
    Symbol::from_index(token.value as u32)
}

/// The bytes of a string-like token.
pub(super) fn piece(token: Token) -> Str {
    let value = token.value & !super::lexer::INDENTED;
    Str { start: value as u32, len: (value >> 32) as u32 }
}

fn starts_simple(kind: T) -> bool {
    matches!(
        kind,
        T::Id
            | T::Int
            | T::Float
            | T::Quote
            | T::IndOpen
            | T::Path
            | T::HomePath
            | T::SearchPath
            | T::Uri
            | T::LParen
            | T::Let
            | T::Rec
            | T::LBrace
            | T::LBracket
    )
}
