//! Lists.

use super::{
    Any, Grammar, Int, Ints, List, Lists, Node, Set, Sets, Str, Strs, ToAny, ToBool, ToInt, ToStr,
    Type,
};

impl Grammar<'_> {
    pub(super) fn list(&mut self, kind: Type, depth: usize) -> Node {
        const GENERAL: &[(&str, &[Type])] = &[
            ("% ++ %", &[List, List]),
            ("map % %", &[ToAny, Ints]),
            ("map % %", &[ToAny, Strs]),
            ("builtins.filter % %", &[ToBool, List]),
            ("builtins.tail %", &[List]),
            ("builtins.concatLists %", &[Lists]),
            ("builtins.concatMap (x: [ x ] ++ %) %", &[List, Ints]),
            ("builtins.genList % 3", &[ToAny]),
            ("builtins.genList % %", &[ToAny, Int]),
            ("builtins.attrValues %", &[Set]),
            ("builtins.split % %", &[Str, Str]),
            ("builtins.match % %", &[Str, Str]),
            ("builtins.catAttrs \"a\" %", &[Sets]),
            ("builtins.sort (a: b: %) %", &[super::Bool, List]),
            ("(builtins.partition % %).right", &[ToBool, List]),
            ("builtins.genericClosure { startSet = %; operator = %; }", &[Sets, ToAny]),
            (
                "builtins.genericClosure { startSet = [ { key = %; } ]; operator = item: if item.key < 4 then [ { key = item.key + 1; } { key = 2; } ] else [ ]; }",
                &[Int],
            ),
            (
                "builtins.genericClosure { startSet = map (k: { key = k; v = %; }) %; operator = _: [ ]; }",
                &[Any, List],
            ),
            ("builtins.fromJSON (builtins.toJSON %)", &[List]),
            ("builtins.zipAttrsWith (n: v: v) %", &[Sets]),
        ];
        const INTS: &[(&str, &[Type])] = &[
            ("map % %", &[ToInt, List]),
            ("builtins.sort builtins.lessThan %", &[Ints]),
            ("builtins.sort (a: b: a > b) %", &[Ints]),
            ("builtins.genList (i: i * i) 4", &[]),
            ("builtins.filter (i: i > %) %", &[Int, Ints]),
            ("% ++ %", &[Ints, Ints]),
            ("builtins.tail %", &[Ints]),
            ("map (x: x + %) %", &[Int, Ints]),
            ("builtins.catAttrs \"a\" %", &[Sets]),
        ];
        const STRS: &[(&str, &[Type])] = &[
            ("builtins.attrNames %", &[Set]),
            ("map % %", &[ToStr, List]),
            ("builtins.splitVersion %", &[Str]),
            ("builtins.sort builtins.lessThan %", &[Strs]),
            ("builtins.filter builtins.isString (builtins.split % %)", &[Str, Str]),
            ("% ++ %", &[Strs, Strs]),
            ("map (s: s + %) %", &[Str, Strs]),
            ("map toString %", &[List]),
        ];
        const SETS: &[(&str, &[Type])] = &[
            ("map (a: { inherit a; }) %", &[List]),
            ("map (key: { inherit key; a = %; }) %", &[Any, Strs]),
            (
                "builtins.attrValues (builtins.mapAttrs (name: value: { inherit name value; }) %)",
                &[Set],
            ),
            ("% ++ %", &[Sets, Sets]),
            ("map (i: { key = i; }) %", &[Ints]),
        ];
        const LISTS: &[(&str, &[Type])] = &[
            ("map (x: [ x % ]) %", &[Any, List]),
            ("builtins.filter builtins.isList (builtins.split % %)", &[Str, Str]),
            ("builtins.attrValues (builtins.groupBy % %)", &[ToStr, List]),
            ("% ++ %", &[Lists, Lists]),
        ];
        let (forms, element) = match kind {
            Ints => (INTS, Int),
            Strs => (STRS, Str),
            Sets => (SETS, Set),
            Lists => (LISTS, List),
            _ => (GENERAL, Any),
        };
        if self.rng.chance(40) {
            let count = self.rng.below(5);
            let elements = (0..count).map(|_| self.of(element, depth)).collect();
            return Node::sequence("[", elements, "]");
        }
        self.form(forms, depth)
    }
}
