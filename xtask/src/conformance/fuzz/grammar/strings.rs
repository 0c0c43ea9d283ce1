//! Strings with their contexts, and paths.

use super::super::tree::quoted;
use super::{Any, Bool, Float, Grammar, Int, List, Lists, Node, Path, Set, Str, Strs, ToAny, Type};

impl Grammar<'_> {
    pub(super) fn string_literal(&mut self) -> Node {
        let text = match self.rng.below(10) {
            0 => self.version(),
            1 => self.subject(),
            2 => (self.rng.pick(&[
                "é", "日本", "a\nb", "\t", "a\"b", "\\", "${x}", "$", "''", "<&>'", " a  b ",
            ]))
            .to_owned(),
            3 => (self.rng.pick(&[
                "/",
                "/a/b",
                "a/b/",
                "..",
                "./x.nix",
                "/nix/store",
                "foo.tar.gz",
                "//x//y/",
            ]))
            .to_owned(),
            4 => {
                (self.rng.pick(&["1", "-5", "1.5", "true", "null", "a1", "md5", "sha256", "0x10"]))
                    .to_owned()
            }
            _ => (self.rng.pick(&[
                "a",
                "b",
                "c",
                "x",
                "",
                "ab",
                "foo",
                "hello world",
                "key",
                "name",
            ]))
            .to_owned(),
        };
        Node::atom(quoted(&text))
    }

    pub(super) fn string(&mut self, depth: usize) -> Node {
        const FORMS: &[(&str, &[Type])] = &[
            ("% + %", &[Str, Str]),
            ("% + %", &[Str, Path]),
            ("toString %", &[Any]),
            ("toString %", &[Int]),
            ("toString %", &[Float]),
            ("toString %", &[List]),
            ("builtins.substring % % %", &[Int, Int, Str]),
            ("builtins.concatStringsSep % %", &[Str, Strs]),
            ("builtins.replaceStrings % % %", &[Strs, Strs, Str]),
            ("builtins.replaceStrings [ \"a\" \"\" ] [ \"b\" % ] %", &[Str, Str]),
            ("builtins.toJSON %", &[Any]),
            ("builtins.toJSON %", &[Set]),
            ("builtins.toXML %", &[Any]),
            ("builtins.typeOf %", &[Any]),
            ("baseNameOf %", &[Str]),
            ("baseNameOf %", &[Path]),
            ("dirOf %", &[Str]),
            ("builtins.hashString \"md5\" %", &[Str]),
            ("builtins.hashString \"sha1\" %", &[Str]),
            ("builtins.hashString \"sha256\" %", &[Str]),
            ("builtins.hashString \"sha512\" %", &[Str]),
            ("builtins.hashString % %", &[Str, Str]),
            ("builtins.head %", &[Strs]),
            ("builtins.unsafeDiscardStringContext %", &[Str]),
            ("builtins.unsafeDiscardOutputDependency %", &[Str]),
            ("builtins.addDrvOutputDependencies %", &[Str]),
            ("builtins.placeholder %", &[Str]),
            ("builtins.toFile \"f\" %", &[Str]),
            ("builtins.toFile % \"text\"", &[Str]),
            ("builtins.readFile %", &[Path]),
            ("builtins.readFileType %", &[Path]),
            ("builtins.hashFile \"sha256\" %", &[Path]),
            ("(builtins.parseDrvName %).name", &[Str]),
            ("(builtins.parseDrvName %).version", &[Str]),
            ("toString (builtins.match % %)", &[Str, Str]),
            ("builtins.toJSON (builtins.split % %)", &[Str, Str]),
            ("builtins.concatStringsSep \"-\" (builtins.splitVersion %)", &[Str]),
            ("% %", &[super::ToStr, Any]),
            ("builtins.toJSON (builtins.getContext %)", &[Str]),
            ("builtins.appendContext % { }", &[Str]),
            ("builtins.appendContext % %", &[Str, Set]),
            ("builtins.toJSON (builtins.fromJSON %)", &[Str]),
            ("(derivation { name = %; system = \"s\"; builder = %; }).drvPath", &[Str, Str]),
            (
                "(derivation { name = \"n\"; system = \"s\"; builder = \"b\"; args = %; x = %; }).outPath",
                &[Strs, Any],
            ),
            ("\"${derivation { name = \"n\"; system = %; builder = \"b\"; }}\"", &[Str]),
            (
                "(derivation { name = \"n\"; system = \"s\"; builder = \"b\"; outputs = %; }).drvPath",
                &[Strs],
            ),
            (
                "(derivation { name = \"n\"; system = \"s\"; builder = \"b\"; __structuredAttrs = %; x = %; }).drvPath",
                &[Bool, Any],
            ),
            (
                "(derivation ({ name = \"n\"; system = \"s\"; builder = \"b\"; } // %)).drvPath",
                &[Set],
            ),
            ("toString (builtins.filterSource (_: _: %) %)", &[Bool, Path]),
            ("builtins.path { path = %; name = %; }", &[Path, Str]),
            ("toString (map % %)", &[ToAny, List]),
            ("builtins.concatStringsSep \",\" (builtins.concatLists %)", &[Lists]),
        ];
        match self.rng.below(12) {
            0..=2 => self.interpolation(depth),
            3 => self.conversion(),
            4 => self.regular(),
            5 => {
                let (a, b) = (quoted(&self.version()), quoted(&self.version()));
                match self.rng.below(3) {
                    0 => Node::atom(format!("toString (builtins.compareVersions {a} {b})")),
                    1 => Node::atom(format!("builtins.toJSON (builtins.parseDrvName {a})")),
                    _ => Node::atom(format!("builtins.toJSON (builtins.splitVersion {a})")),
                }
                .group()
            }
            _ => self.form(FORMS, depth),
        }
    }

    /// `"…${…}…"` and `''…''`.
    fn interpolation(&mut self, depth: usize) -> Node {
        let t = self.rng.pick(&[Str, Str, Str, Path, Set, Any, Int]);
        let t = if self.rng.chance(70) { Str } else { t };
        let (a, b) = (self.of(t, depth), self.of(Str, depth));
        match self.rng.below(5) {
            0 => Node::template("\"${%}\"", vec![a]),
            1 => Node::template("\"a${%}b$${%}\"", vec![a, Node::atom("x")]),
            2 => Node::template("''  x${%}'' + ''y''${${%}''", vec![a, b]),
            3 => Node::template("\"${%}-${%}\"", vec![a, b]),
            _ => Node::template("''a ${%} ''", vec![a]),
        }
    }

    /// A match or split of a random regular expression with a text that it may fit.
    fn regular(&mut self) -> Node {
        let (pattern, subject) = (quoted(&self.regex(3)), quoted(&self.subject()));
        let name = self.rng.pick(&["match", "split"]);
        Node::atom(format!("builtins.toJSON (builtins.{name} {pattern} {subject})")).group()
    }

    /// A hash in one form, as another.
    fn conversion(&mut self) -> Node {
        let algorithm = self.rng.pick(&["md5", "sha1", "sha256", "sha512", "blake3"]);
        let form = self.rng.pick(&["base16", "nix32", "base32", "base64", "sri", "hex"]);
        let to = self.rng.pick(&["base16", "nix32", "base64", "sri"]);
        let text = quoted(&self.subject());
        let hash = format!("(builtins.hashString \"{algorithm}\" {text})");
        let first = format!(
            "(builtins.convertHash {{ hash = {hash}; hashAlgo = \"{algorithm}\"; toHashFormat = \"{to}\"; }})"
        );
        let algo = if self.rng.chance(50) {
            format!("hashAlgo = \"{algorithm}\";")
        } else {
            String::new()
        };
        Node::atom(format!(
            "builtins.convertHash {{ hash = {first}; {algo} toHashFormat = \"{form}\"; }}"
        ))
        .group()
    }

    pub(super) fn path_literal(&mut self) -> Node {
        let name = self.rng.pick(&[
            "",
            "/a",
            "/a/b.txt",
            "/a/..",
            "/missing",
            "/data.json",
            "/./a",
            "/c.nix",
        ]);
        Node::atom(match self.rng.below(6) {
            0 => "/a/b".to_owned(),
            _ => format!("{}{name}", self.files),
        })
    }

    pub(super) fn path(&mut self, depth: usize) -> Node {
        const FORMS: &[(&str, &[Type])] = &[
            ("% + %", &[Path, Str]),
            ("% + (\"/\" + %)", &[Path, Str]),
            ("% + %", &[Path, Path]),
            ("dirOf %", &[Path]),
            ("/a + %", &[Str]),
        ];
        if self.rng.chance(20) {
            let inner = self.of(Str, depth);
            return Node::template(&format!("{}/${{%}}", self.files), vec![inner]);
        }
        self.form(FORMS, depth)
    }
}
