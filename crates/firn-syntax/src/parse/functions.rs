//! Functions: set patterns, their names and their documentation comments.

use super::parser::{Parsed, Parser, seal, symbol};
use super::token::{T, Token};
use crate::ast::{Expr, ExprId, Formal, Lambda, LambdaId, OptExprId, Pattern, Range, quoted};
use crate::source::{DocComment, Pos};
use crate::symbol::Symbol;

impl Parser<'_> {
    pub(super) fn lambda(
        &mut self,
        pos: u32,
        arg: Option<Symbol>,
        pattern: Option<(Pattern, u32)>,
        body: ExprId,
    ) -> Parsed<ExprId> {
        let below = pattern.map_or(0, |(_, below)| below).max(self.height(body));
        let id = LambdaId(self.ast.lambdas.len() as u32);
        let pattern = pattern.map(|(pattern, _)| pattern);
        self.ast.lambdas.push(Lambda { arg, pattern, body, name: None, doc: None });
        let expr = self.add(Expr::Lambda(id), pos, below)?;
        if let Some(doc) = self.doc_at(pos) {
            self.set_doc(expr, doc);
        }
        Ok(expr)
    }

    /// The documentation comment before the token at a position.
    pub(super) fn doc_at(&self, pos: u32) -> Option<DocComment> {
        let docs = &self.lexer.docs;
        let at = docs.binary_search_by_key(&Pos(pos), |d| d.token).ok()?;
        Some(docs[at])
    }

    /// Documents a function, and the functions that it returns as far as they have no comment of their own.
    pub(super) fn set_doc(&mut self, mut expr: ExprId, doc: DocComment) {
        while let Expr::Lambda(id) = self.ast.expr(expr) {
            let lambda = &mut self.ast.lambdas[id.0 as usize];
            if lambda.doc.is_some() {
                return;
            }
            lambda.doc = Some(doc);
            expr = lambda.body;
        }
    }

    /// Names a function after what it is bound to, and the functions that it returns too.
    pub(super) fn set_name(&mut self, mut expr: ExprId, name: Symbol) {
        while let Expr::Lambda(id) = self.ast.expr(expr) {
            let lambda = &mut self.ast.lambdas[id.0 as usize];
            lambda.name = Some(name);
            expr = lambda.body;
        }
    }

    /// After `{`: a set pattern or an attribute set.
    pub(super) fn brace(&mut self, brace: Token) -> Parsed<ExprId> {
        let token = self.peek()?;
        match token.kind {
            T::Ellipsis => {
                let pattern = self.formals(None)?;
                self.after_pattern(brace.start, pattern)
            }
            T::Id => {
                self.bump();
                match self.peek()?.kind {
                    T::Comma | T::Question | T::RBrace => {
                        let pattern = self.formals(Some(token))?;
                        self.after_pattern(brace.start, pattern)
                    }
                    _ => {
                        let set = self.attr_set(brace.start, false, Some(token))?;
                        self.operation(Some((set, brace.start)))
                    }
                }
            }
            T::RBrace => {
                self.bump();
                if matches!(self.peek()?.kind, T::Colon | T::At) {
                    let pattern = Pattern { formals: Range::default(), ellipsis: false };
                    return self.after_pattern(brace.start, (pattern, 0));
                }
                let set = self.empty_set(brace.start)?;
                self.operation(Some((set, brace.start)))
            }
            _ => {
                let set = self.attr_set(brace.start, false, None)?;
                self.operation(Some((set, brace.start)))
            }
        }
    }

    fn after_pattern(&mut self, pos: u32, pattern: (Pattern, u32)) -> Parsed<ExprId> {
        let mut arg = None;
        if self.peek()?.kind == T::At {
            self.bump();
            arg = Some(symbol(self.expect(T::Id)?));
        }
        self.expect(T::Colon)?;
        self.pattern_lambda(pos, arg, pattern)
    }

    pub(super) fn pattern_lambda(
        &mut self,
        pos: u32,
        arg: Option<Symbol>,
        pattern: (Pattern, u32),
    ) -> Parsed<ExprId> {
        let body = self.expr()?;
        let formals = self.ast.formals(&pattern.0);
        if let Some(duplicate) = duplicate_formal(formals) {
            let message =
                format!("duplicate formal function argument '{}'", quoted(duplicate.name));
            return self.message(message, duplicate.pos);
        }
        if let Some(arg) = arg.filter(|arg| formals.iter().any(|f| f.name == *arg)) {
            let message = format!("duplicate formal function argument '{}'", quoted(arg));
            return self.message(message, Pos(pos));
        }
        if formals.len() > usize::from(u16::MAX) {
            let message = "too many formal arguments, implementation supports at most 65535";
            return self.message(message.into(), Pos(pos));
        }
        self.lambda(pos, arg, Some(pattern), body)
    }

    /// Formals up to and with the closing brace; the first name may be read already.
    pub(super) fn formals(&mut self, first: Option<Token>) -> Parsed<(Pattern, u32)> {
        let base = self.formals.len();
        let mut below = 0;
        let mut first = first;
        let mut ellipsis = false;
        loop {
            let token = match first.take() {
                Some(token) => token,
                None => {
                    let token = self.peek()?;
                    self.bump();
                    token
                }
            };
            match token.kind {
                T::RBrace => break,
                T::Ellipsis => {
                    ellipsis = true;
                    self.expect(T::RBrace)?;
                    break;
                }
                T::Id => {}
                _ => return self.syntax(),
            }
            let mut default = OptExprId::NONE;
            if self.peek()?.kind == T::Question {
                self.bump();
                let e = self.expr()?;
                below = below.max(self.height(e));
                default = OptExprId::some(e);
            }
            self.formals.push(Formal { name: symbol(token), pos: Pos(token.start), default });
            let token = self.peek()?;
            self.bump();
            match token.kind {
                T::Comma => {}
                T::RBrace => break,
                _ => return self.syntax(),
            }
        }
        let formals = seal(&mut self.formals, base, &mut self.ast.formals);
        Ok((Pattern { formals, ellipsis }, below))
    }
}

/// Of the names that occur twice the one that was first met anywhere, at its second place.
fn duplicate_formal(formals: &[Formal]) -> Option<Formal> {
    if formals.len() <= 16 {
        let unique = |i: usize| formals[..i].iter().all(|f| f.name != formals[i].name);
        if (0..formals.len()).all(unique) {
            return None;
        }
    }
    let mut sorted = formals.to_vec();
    sorted.sort_by_key(|f| (f.name, f.pos));
    sorted.windows(2).find(|w| w[0].name == w[1].name).map(|w| w[1])
}
