//! Forms that can have any type: bindings, branches, calls, selections, and what evaluates on the way.
//! And functions.

use super::{
    Bool, Grammar, Int, IntSet, List, Node, Set, Str, Strs, ToAny, ToBool, ToInt, ToStr, Type,
};

impl Grammar<'_> {
    pub(super) fn general(&mut self, kind: Type, depth: usize) -> Node {
        match self.rng.below(22) {
            0 | 1 => {
                let (a, b) = (self.of(Bool, depth), self.of(kind, depth));
                Node::template("if % then % else %", vec![a, b, self.of(kind, depth)])
            }
            2..=4 => self.let_in(kind, depth),
            5 => {
                let name = self.name();
                let value = self.of(kind, depth);
                let set = binding(name, value);
                let set = Node::sequence("{", vec![set], "}");
                Node::template("with %; %", vec![set, Node::atom(name)])
            }
            6 => {
                let (a, b) = (self.of(Bool, depth), self.of(kind, depth));
                Node::template("assert %; %", vec![a, b])
            }
            7..=9 => self.call(kind, depth),
            10 | 11 => {
                // selection from a literal
                let name = self.name();
                let mut bindings = vec![binding(name, self.of(kind, depth))];
                if self.rng.chance(50) {
                    let other = self.names(3).into_iter().find(|n| *n != name).unwrap_or("w");
                    let t = self.any_type();
                    bindings.push(binding(other, self.of(t, depth)));
                }
                let recursive = if self.rng.chance(30) { "rec {" } else { "{" };
                let set = Node::sequence(recursive, bindings, "}");
                let set =
                    if recursive == "{" { set } else { Node::template("(%)", vec![set]).atomic() };
                let selected = if self.rng.chance(10) { self.name() } else { name };
                match self.rng.below(5) {
                    0 => {
                        let key = Node::atom(format!("{selected:?}"));
                        Node::template("builtins.getAttr % %", vec![key, set])
                    }
                    1 => {
                        let t = if self.rng.chance(80) { kind } else { self.any_type() };
                        let other = self.of(t, depth);
                        Node::template(&format!("%.{selected} or %"), vec![set, other])
                    }
                    2 => Node::template(
                        &format!("%.${{%}}"),
                        vec![set, Node::atom(format!("{selected:?}"))],
                    ),
                    _ => Node::template(&format!("%.{selected}"), vec![set]).atomic(),
                }
            }
            12 => {
                let t = self.any_type();
                let (a, b) = (self.of(t, depth), self.of(kind, depth));
                let f = self.rng.pick(&["builtins.seq", "builtins.deepSeq"]);
                Node::template(&format!("{f} % %"), vec![a, b])
            }
            13 => {
                let tried = Node::template("builtins.tryEval %", vec![self.of(kind, depth)]);
                match self.rng.below(4) {
                    0 => {
                        let t = tried.clone();
                        let other = self.of(kind, depth);
                        Node::template("if %.success then %.value else %", vec![tried, t, other])
                    }
                    _ => Node::template("%.value", vec![tried]),
                }
            }
            14 => {
                let (list, t) = (self.list(List, depth), self.of(kind, depth));
                let list = Node::template("[ % ] ++ %", vec![t, list]);
                let index = if self.rng.chance(90) { Node::atom("0") } else { self.of(Int, depth) };
                match self.rng.below(2) {
                    0 => Node::template("builtins.head %", vec![list]),
                    _ => Node::template("builtins.elemAt % %", vec![list, index]),
                }
            }
            15 => {
                let names = self.names(2);
                let list = self.of(List, depth);
                let start = self.of(kind, depth);
                let body = self.with(&[(names[0], kind)], |g| g.of(kind, depth));
                let step = Node::template(&format!("{}: {}: %", names[0], names[1]), vec![body]);
                Node::template("builtins.foldl' % % %", vec![step, start, list])
            }
            16 => match self.rng.below(6) {
                0 => Node::template("throw %", vec![self.of(Str, depth)]),
                1 => Node::template(
                    "builtins.addErrorContext \"here\" %",
                    vec![self.of(kind, depth)],
                ),
                2 => Node::template("abort %", vec![self.of(Str, depth)]),
                _ => self.of(kind, depth),
            },
            17 => {
                // `inherit` in its two forms
                let name = self.name();
                let value = self.of(kind, depth);
                let set = Node::sequence("{", vec![binding(name, value)], "}");
                let inherit = Node::template(&format!("inherit (%) {name};"), vec![set]).piece();
                let all = Node::sequence("let", vec![inherit], "in");
                Node::template(&format!("% {name}"), vec![all])
            }
            18 => {
                let (set, name) = (self.of(Set, depth), self.name());
                let other = self.of(kind, depth);
                Node::template(&format!("%.{name} or %"), vec![set, other])
            }
            19 => {
                let name = self.name();
                let key = Node::atom(format!("{name:?}"));
                let value = self.of(kind, depth);
                let pair =
                    Node::template("[ { name = %; value = %; } ]", vec![key, value]).atomic();
                Node::template(&format!("(builtins.listToAttrs %).{name}"), vec![pair]).atomic()
            }
            20 => {
                let names = self.names(2);
                let t = self.any_type();
                let argument = self.of(t, depth);
                let body = self.with(&[(names[0], t)], |g| g.of(kind, depth));
                let function = Node::template(&format!("self: {}: %", names[0]), vec![body]);
                let set = Node::template("{ __functor = %; }", vec![function]).atomic();
                Node::template("% %", vec![set, argument])
            }
            _ => self.of(kind, depth),
        }
    }

    fn let_in(&mut self, kind: Type, depth: usize) -> Node {
        let count = 1 + self.rng.below(3);
        let names = self.names(count);
        let types: Vec<_> = names.iter().map(|n| (*n, self.any_type())).collect();
        let recursive = self.rng.chance(60);
        let mut bindings = Vec::new();
        for (i, (name, t)) in types.iter().enumerate() {
            // mostly those before it, so that not all is infinite recursion
            let visible = if recursive { &types[..i] } else { &[] };
            let value = self.with(visible, |g| g.of(*t, depth));
            bindings.push(binding(name, value));
        }
        let body = self.with(&types, |g| g.of(kind, depth));
        Node::template("% %", vec![Node::sequence("let", bindings, "in"), body])
    }

    fn call(&mut self, kind: Type, depth: usize) -> Node {
        match self.rng.below(4) {
            0 | 1 => {
                let name = self.name();
                let t = self.any_type();
                let argument = self.of(t, depth);
                let body = self.with(&[(name, t)], |g| g.of(kind, depth));
                Node::template(
                    "% %",
                    vec![Node::template(&format!("{name}: %"), vec![body]), argument],
                )
            }
            _ => {
                let (pattern, given) = self.pattern(depth, kind);
                Node::template("% %", vec![pattern, given])
            }
        }
    }

    /// A function that takes a set apart, and a set for it (mostly a fitting one).
    fn pattern(&mut self, depth: usize, kind: Type) -> (Node, Node) {
        let count = self.rng.below(4);
        let names = self.names(count);
        let types: Vec<_> = names.iter().map(|n| (*n, self.any_type())).collect();
        let open = self.rng.chance(35);
        let whole = (self.rng.chance(25)).then_some("args");
        let mut formals = Vec::new();
        let mut given = Vec::new();
        for (name, t) in &types {
            if self.rng.chance(40) {
                let value = self.with(&types, |g| g.of(*t, depth));
                formals.push(Node::template(&format!("{name} ? %,"), vec![value]).piece());
                if self.rng.chance(40) {
                    let v = self.of(*t, depth);
                    given.push(binding(name, v));
                }
            } else {
                formals.push(Node::atom(format!("{name},")).piece());
                if !self.rng.chance(5) {
                    let v = self.of(*t, depth);
                    given.push(binding(name, v));
                }
            }
        }
        if self.rng.chance(if open { 40 } else { 4 }) {
            let name = self.name();
            if !names.contains(&name) {
                let t = self.any_type();
                let v = self.of(t, depth);
                given.push(binding(name, v));
            }
        }
        let mut bound = types.clone();
        bound.extend(whole.map(|w| (w, Set)));
        let body = self.with(&bound, |g| g.of(kind, depth));
        let close = match (open, whole) {
            (true, Some(w)) => format!("... }}@{w}"),
            (true, None) => "... }".into(),
            (false, Some(w)) => format!("}}@{w}"),
            (false, None) => "}".into(),
        };
        let head = Node::sequence("{", formals, &close).piece();
        let function = Node::template("%: %", vec![head, body]);
        (function, Node::sequence("{", given, "}"))
    }

    /// A function of one argument.
    pub(super) fn function(&mut self, kind: Type, depth: usize) -> Node {
        let result = match kind {
            ToInt => Int,
            ToStr => Str,
            ToBool => Bool,
            _ => self.any_type(),
        };
        let partial: &[(&str, Type)] = match kind {
            ToInt => &[
                ("builtins.add %", Int),
                ("builtins.mul %", Int),
                ("builtins.sub %", Int),
                ("builtins.bitAnd %", Int),
            ],
            ToStr => &[
                ("builtins.concatStringsSep %", Str),
                ("builtins.hashString \"md5\"", Str),
                ("builtins.substring 0 %", Int),
            ],
            ToBool => &[
                ("builtins.elem %", Type::Any),
                ("builtins.lessThan %", Int),
                ("builtins.hasAttr %", Str),
                ("builtins.all %", ToBool),
            ],
            _ => &[
                ("map %", ToAny),
                ("builtins.filter %", ToBool),
                ("builtins.elemAt %", List),
                ("builtins.mapAttrs (_: %)", ToAny),
                ("builtins.removeAttrs %", Set),
                ("builtins.intersectAttrs %", Set),
                ("builtins.genList %", ToInt),
                ("builtins.split %", Str),
                ("builtins.concatMap (x: [ x % ])", IntSet),
                ("builtins.catAttrs %", Str),
            ],
        };
        match self.rng.below(10) {
            0..=2 => {
                let (template, t) = self.rng.pick(partial);
                if template.contains('%') {
                    let argument = self.of(t, depth);
                    Node::template(template, vec![argument])
                } else {
                    Node::template(template, vec![])
                }
            }
            3 => self.pattern(depth, result).0,
            _ => {
                let name = self.name();
                let t = self.rng.pick(&[Int, Int, Str, Set, List, Strs]);
                let body = self.with(&[(name, t)], |g| g.of(result, depth));
                Node::template(&format!("{name}: %"), vec![body])
            }
        }
    }
}

/// `NAME = VALUE;`
pub(super) fn binding(name: &str, value: Node) -> Node {
    Node::template(&format!("{name} = %;"), vec![value]).piece()
}
