//! The first and the last token of a part of the tree.

use super::{Around, Expr, Name, Parameter, Selector, Term};

impl<'s> Expr<'s> {
    pub fn first(&self) -> &Around<'s> {
        let mut expr = self;
        loop {
            expr = match expr {
                Expr::Term(term) => return term.first(),
                Expr::With(e) | Expr::Assert(e) => return &e.keyword.around,
                Expr::Let(e) => return &e.keyword.around,
                Expr::If(e) => return &e.if_keyword.around,
                Expr::Lambda(e) => return e.parameter.first(),
                Expr::Prefix(e) => return &e.op.around,
                Expr::Apply(e) => &e.function,
                Expr::Binary(e) => &e.left,
                Expr::HasAttr(e) => &e.subject,
            };
        }
    }

    pub fn first_mut(&mut self) -> &mut Around<'s> {
        let mut expr = self;
        loop {
            expr = match expr {
                Expr::Term(term) => return term.first_mut(),
                Expr::With(e) | Expr::Assert(e) => return &mut e.keyword.around,
                Expr::Let(e) => return &mut e.keyword.around,
                Expr::If(e) => return &mut e.if_keyword.around,
                Expr::Lambda(e) => return e.parameter.first_mut(),
                Expr::Prefix(e) => return &mut e.op.around,
                Expr::Apply(e) => &mut e.function,
                Expr::Binary(e) => &mut e.left,
                Expr::HasAttr(e) => &mut e.subject,
            };
        }
    }

    pub fn last_mut(&mut self) -> &mut Around<'s> {
        let mut expr = self;
        loop {
            expr = match expr {
                Expr::Term(term) => return term.last_mut(),
                Expr::With(e) | Expr::Assert(e) => &mut e.body,
                Expr::Let(e) => &mut e.body,
                Expr::If(e) => &mut e.else_expr,
                Expr::Lambda(e) => &mut e.body,
                Expr::Prefix(e) => &mut e.operand,
                Expr::Apply(e) => &mut e.argument,
                Expr::Binary(e) => &mut e.right,
                Expr::HasAttr(e) => match e.path.last_mut() {
                    Some(selector) => return selector.name.around_mut(),
                    None => return &mut e.mark.around,
                },
            };
        }
    }
}

impl<'s> Term<'s> {
    pub fn first(&self) -> &Around<'s> {
        let mut term = self;
        loop {
            term = match term {
                Term::Word(token) => return &token.around,
                Term::String(leaf) | Term::Indented(leaf) => return &leaf.around,
                Term::Path(leaf) => return &leaf.around,
                Term::List(list) => return &list.open.around,
                Term::Set(set) => return &set.keyword.as_ref().unwrap_or(&set.open).around,
                Term::Paren(paren) => return &paren.open.around,
                Term::Select(select) => &select.subject,
            };
        }
    }

    pub fn first_mut(&mut self) -> &mut Around<'s> {
        let mut term = self;
        loop {
            term = match term {
                Term::Word(token) => return &mut token.around,
                Term::String(leaf) | Term::Indented(leaf) => return &mut leaf.around,
                Term::Path(leaf) => return &mut leaf.around,
                Term::List(list) => return &mut list.open.around,
                Term::Set(set) => return &mut set.keyword.as_mut().unwrap_or(&mut set.open).around,
                Term::Paren(paren) => return &mut paren.open.around,
                Term::Select(select) => &mut select.subject,
            };
        }
    }

    pub fn last_mut(&mut self) -> &mut Around<'s> {
        let mut term = self;
        loop {
            term = match term {
                Term::Word(token) => return &mut token.around,
                Term::String(leaf) | Term::Indented(leaf) => return &mut leaf.around,
                Term::Path(leaf) => return &mut leaf.around,
                Term::List(list) => return &mut list.close.around,
                Term::Set(set) => return &mut set.close.around,
                Term::Paren(paren) => return &mut paren.close.around,
                Term::Select(select) => {
                    let super::Select { subject, path, default } = &mut **select;
                    match (default, path.last_mut()) {
                        (Some((_, default)), _) => default,
                        (None, Some(selector)) => return selector.name.around_mut(),
                        (None, None) => subject,
                    }
                }
            };
        }
    }
}

impl<'s> Parameter<'s> {
    fn first(&self) -> &Around<'s> {
        match self {
            Parameter::Id(name) => &name.around,
            Parameter::Set { open, .. } => &open.around,
            Parameter::Both { first, .. } => first.first(),
        }
    }

    fn first_mut(&mut self) -> &mut Around<'s> {
        match self {
            Parameter::Id(name) => &mut name.around,
            Parameter::Set { open, .. } => &mut open.around,
            Parameter::Both { first, .. } => first.first_mut(),
        }
    }
}

impl<'s> Name<'s> {
    fn around_mut(&mut self) -> &mut Around<'s> {
        match self {
            Name::Id(token) => &mut token.around,
            Name::Interpolation(leaf) => &mut leaf.around,
            Name::String(leaf) => &mut leaf.around,
        }
    }
}

impl Selector<'_> {
    /// Whether the name is written plainly.
    pub fn is_plain(&self) -> bool {
        matches!(self.name, Name::Id(_))
    }
}
