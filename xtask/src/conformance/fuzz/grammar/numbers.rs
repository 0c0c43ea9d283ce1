//! Numbers and truth values.

use super::{
    Any, Bool, Float, Grammar, Int, IntSet, Ints, List, Node, Null, Path, Set, Str, Strs, ToBool,
    ToInt, Type,
};

impl Grammar<'_> {
    pub(super) fn int_literal(&mut self) -> Node {
        let text = match self.rng.below(12) {
            0 => (self.rng.pick(&[
                "9223372036854775807",
                "4611686018427387904",
                "2147483648",
                "(-9223372036854775807 - 1)",
                "(-1)",
                "(-7)",
            ]))
            .into(),
            1 => self.rng.below(100_000).to_string(),
            _ => self.rng.below(10).to_string(),
        };
        Node::atom(text)
    }

    pub(super) fn float_literal(&mut self) -> Node {
        Node::atom(self.rng.pick(&[
            "0.5",
            "1.0",
            "2.25",
            "0.1",
            "1.0e10",
            "1.5e300",
            "3.14159265358979",
            "100000.0",
            "1000000.0",
            "123456789.125",
            "0.0001",
            "1.0e-7",
            ".5",
            "(-0.0)",
            "(-2.5)",
            "0.3",
            "9007199254740993.0",
            "1.0e20",
        ]))
    }

    pub(super) fn int(&mut self, depth: usize) -> Node {
        const FORMS: &[(&str, &[Type])] = &[
            ("% + %", &[Int, Int]),
            ("% - %", &[Int, Int]),
            ("% * %", &[Int, Int]),
            ("% / %", &[Int, Int]),
            ("-%", &[Int]),
            ("builtins.add % %", &[Int, Int]),
            ("builtins.sub % %", &[Int, Int]),
            ("builtins.mul % %", &[Int, Int]),
            ("builtins.div % %", &[Int, Int]),
            ("builtins.bitAnd % %", &[Int, Int]),
            ("builtins.bitOr % %", &[Int, Int]),
            ("builtins.bitXor % %", &[Int, Int]),
            ("builtins.length %", &[List]),
            ("builtins.stringLength %", &[Str]),
            ("builtins.ceil %", &[Float]),
            ("builtins.floor %", &[Float]),
            ("builtins.compareVersions % %", &[Str, Str]),
            ("builtins.foldl' builtins.add 0 %", &[Ints]),
            ("builtins.foldl' (a: b: a * 3 + b) % %", &[Int, Ints]),
            ("builtins.head %", &[Ints]),
            ("builtins.elemAt % %", &[Ints, Int]),
            ("% %", &[ToInt, Any]),
            ("%.a", &[IntSet]),
            ("%.b or %", &[IntSet, Int]),
            ("builtins.fromJSON (toString %)", &[Int]),
            ("builtins.length (builtins.attrNames %)", &[Set]),
        ];
        self.form(FORMS, depth)
    }

    pub(super) fn float(&mut self, depth: usize) -> Node {
        const FORMS: &[(&str, &[Type])] = &[
            ("% + %", &[Float, Int]),
            ("% + %", &[Int, Float]),
            ("% - %", &[Float, Float]),
            ("% * %", &[Float, Float]),
            ("% / %", &[Float, Int]),
            ("% / %", &[Float, Float]),
            ("-%", &[Float]),
            ("builtins.mul % %", &[Float, Int]),
            ("builtins.fromJSON (builtins.toJSON %)", &[Float]),
        ];
        self.form(FORMS, depth)
    }

    pub(super) fn boolean(&mut self, depth: usize) -> Node {
        const FORMS: &[(&str, &[Type])] = &[
            ("% == %", &[Any, Any]),
            ("% == %", &[Int, Float]),
            ("% == %", &[Set, Set]),
            ("% == %", &[List, List]),
            ("% != %", &[Str, Str]),
            ("% < %", &[Int, Int]),
            ("% <= %", &[Int, Float]),
            ("% > %", &[Str, Str]),
            ("% >= %", &[Ints, Ints]),
            ("% < %", &[Strs, Strs]),
            ("% < %", &[Path, Path]),
            ("% && %", &[Bool, Bool]),
            ("% || %", &[Bool, Bool]),
            ("% -> %", &[Bool, Bool]),
            ("!%", &[Bool]),
            ("% ? a", &[Set]),
            ("% ? a.b", &[Set]),
            ("% ? ${%}", &[Set, Str]),
            ("builtins.elem % %", &[Any, List]),
            ("builtins.all % %", &[ToBool, Ints]),
            ("builtins.any % %", &[ToBool, Strs]),
            ("builtins.hasAttr % %", &[Str, Set]),
            ("builtins.isAttrs %", &[Any]),
            ("builtins.isList %", &[Any]),
            ("builtins.isFunction %", &[Any]),
            ("builtins.isString %", &[Any]),
            ("builtins.isPath %", &[Any]),
            ("builtins.isFloat %", &[Any]),
            ("builtins.isBool %", &[Any]),
            ("isNull %", &[Null]),
            ("builtins.lessThan % %", &[Int, Int]),
            ("builtins.match % % != null", &[Str, Str]),
            ("builtins.pathExists %", &[Path]),
            ("builtins.hasContext %", &[Str]),
            ("(builtins.tryEval %).success", &[Any]),
            ("% %", &[ToBool, Any]),
        ];
        self.form(FORMS, depth)
    }

    /// One of several templates, with expressions of the types it wants.
    pub(super) fn form(&mut self, forms: &[(&str, &[Type])], depth: usize) -> Node {
        let (template, types) = self.rng.pick(forms);
        let children = types.iter().map(|t| self.of(*t, depth)).collect();
        Node::template(template, children)
    }
}
