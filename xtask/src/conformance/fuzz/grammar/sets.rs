//! Sets: literals in all their forms, and what works on sets.

use super::forms::binding;
use super::{
    Any, Bool, Float, Grammar, Int, IntSet, Ints, List, Lists, Node, Path, Set, Sets, Str, Strs,
    ToAny, ToBool, ToStr, Type,
};

impl Grammar<'_> {
    pub(super) fn set(&mut self, kind: Type, depth: usize) -> Node {
        const FORMS: &[(&str, &[Type])] = &[
            ("% // %", &[Set, Set]),
            ("% // { b = %; }", &[Set, Any]),
            ("builtins.mapAttrs (n: v: [ n v ]) %", &[Set]),
            ("builtins.mapAttrs (n: %) %", &[ToAny, Set]),
            ("builtins.removeAttrs % %", &[Set, Strs]),
            ("builtins.intersectAttrs % %", &[Set, Set]),
            ("builtins.listToAttrs (map (name: { inherit name; value = %; }) %)", &[Any, Strs]),
            ("builtins.listToAttrs %", &[Sets]),
            ("builtins.zipAttrsWith (n: v: [ n v ]) %", &[Sets]),
            ("builtins.groupBy % %", &[ToStr, List]),
            ("builtins.groupBy toString %", &[List]),
            ("builtins.partition % %", &[ToBool, List]),
            ("builtins.functionArgs %", &[ToAny]),
            ("builtins.tryEval %", &[Any]),
            ("builtins.parseDrvName %", &[Str]),
            ("builtins.getContext %", &[Str]),
            ("builtins.fromJSON (builtins.toJSON %)", &[Set]),
            ("builtins.unsafeGetAttrPos % %", &[Str, Set]),
            ("%.c or %", &[Set, Set]),
            ("builtins.head %", &[Sets]),
            ("{ __toString = self: %; x = %; }", &[Str, Any]),
            ("{ __functor = self: %; }", &[ToAny]),
            ("{ outPath = %; }", &[Str]),
            ("let { body = { a = %; }; }", &[Any]),
            ("rec { a = %; b = a; __overrides = { a = %; }; }", &[Any, Any]),
            ("builtins.foldl' (a: i: a // { ${toString i} = i; }) % %", &[Set, Ints]),
            (
                "builtins.mapAttrs (_: builtins.length) (builtins.groupBy builtins.typeOf %)",
                &[List],
            ),
            ("builtins.listToAttrs (builtins.concatLists %)", &[Lists]),
            ("builtins.intersectAttrs { a = 1; c = %; x = 2; } %", &[Float, Set]),
            ("builtins.readDir (dirOf % + \"/a\")", &[Path]),
        ];
        const INTS: &[(&str, &[Type])] = &[
            ("% // %", &[IntSet, IntSet]),
            ("builtins.mapAttrs (n: v: v + %) %", &[Int, IntSet]),
            (
                "builtins.listToAttrs (map (i: { name = \"a${toString i}\"; value = i; }) %)",
                &[Ints],
            ),
            ("builtins.removeAttrs % [ \"a\" ]", &[IntSet]),
            ("builtins.mapAttrs (_: builtins.length) %", &[Set]),
        ];
        if self.rng.chance(15) {
            return self.format_reader();
        }
        if self.rng.chance(45) {
            return self.set_literal(kind, depth);
        }
        self.form(if kind == IntSet { INTS } else { FORMS }, depth)
    }

    fn set_literal(&mut self, kind: Type, depth: usize) -> Node {
        let recursive = self.rng.chance(25);
        let count = self.rng.below(5);
        let names = self.names(count);
        let element = |g: &mut Self| if kind == IntSet { Int } else { g.any_type() };
        let types: Vec<_> = names.iter().map(|n| (*n, element(self))).collect();
        let mut bindings = Vec::new();
        for (i, (name, t)) in types.iter().enumerate() {
            let visible = if recursive { &types[..i] } else { &[] };
            let value = self.with(visible, |g| g.of(*t, depth));
            let piece = match self.rng.below(24) {
                0 => binding(&format!("\"{name}\""), value),
                1 => {
                    let key = if self.rng.chance(80) {
                        Node::atom(format!("\"{name}\""))
                    } else {
                        self.of(Str, depth)
                    };
                    Node::template("${%} = %;", vec![key, value]).piece()
                }
                2 => binding(&format!("{name}.{}", self.rng.pick(super::NAMES)), value),
                3 => {
                    // the same set in two bindings
                    let t = self.any_type();
                    let other = self.of(t, depth);
                    Node::template(&format!("{name}.p = %; {name}.q = %;"), vec![value, other])
                        .piece()
                }
                4 => match self.scope.last() {
                    Some((variable, _)) if !names.contains(variable) => {
                        Node::atom(format!("inherit {variable};")).piece()
                    }
                    _ => binding(name, value),
                },
                5 => {
                    let set = Node::sequence("{", vec![binding(name, value)], "}");
                    Node::template(&format!("inherit (%) {name};"), vec![set]).piece()
                }
                6 => {
                    let t = if self.rng.chance(70) { Bool } else { Any };
                    let condition = self.of(t, depth);
                    Node::template(
                        &format!("${{if % then \"{name}\" else null}} = %;"),
                        vec![condition, value],
                    )
                    .piece()
                }
                _ => binding(name, value),
            };
            bindings.push(piece);
        }
        let open = if recursive { "rec {" } else { "{" };
        let set = Node::sequence(open, bindings, "}");
        if recursive { Node::template("(%)", vec![set]).atomic() } else { set }
    }
}
