//! Sessions of `nix repl` and of the debugger from a pipe, as snapshots in `snapshots/`. A difference fails;
//! `INSTA_UPDATE=always cargo test -p firn-cli --test repl` takes over what is printed now, for review in the
//! commit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Case {
    dir: tempfile::TempDir,
}

fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    case.write("conf/nix.conf", "build-users-group =\nsubstituters =\nsandbox = false\n");
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What a command prints when it is given `input`, without colours and with this case's folder named `/case`.
    fn session(&self, args: &[&str], input: &str) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_firn"))
            .arg("nix")
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_REMOTE", self.path("root"))
            .env("_NIX_TEST_RAW_MARKDOWN", "1")
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let mut text = String::new();
        for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            text.push_str(&format!("--- {name}\n{}", String::from_utf8(bytes).unwrap()));
        }
        text.push_str(&format!("--- {}\n", output.status));
        let text = text.replace(self.path("").to_str().unwrap().trim_end_matches('/'), "/case");
        without_colours(&text)
    }
}

fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str(piece.split_once('m').map_or("", |(_, rest)| rest));
    }
    out
}

#[test]
fn values_and_bindings() {
    let input = r#"1 + 1
{ a = 1; b = { c = 2; }; f = x: x; g = map; h = map (x: x); e = throw "no"; p = /x; n = null; l = [ 1 ]; }
:p { a = 1; b = { c = 2; }; }
:p let x = { y = { a = 1; }; inherit x; }; in x
:p "a\nb"
x = 5
x
a = { b = 1; c = 2; }
inherit (a) b c; d.e = x
b + c + d.e
x = x + 1
x
1 +
2
# nothing yet

:t "s"
:t map
{ a = throw "deep"; }
"#;
    insta::assert_snapshot!("repl-values", case().session(&["repl"], input));
}

#[test]
fn errors_leave_the_session_alive() {
    let input = r#"foo
1 + "a"
x = y
{ a = 1; }.b
:foo
:te maybe
:a 1
:ll
:l ./missing.nix
:lf
:b 1
:doc 1
:p (
)
let f = x: f x; in f 1
builtins.seq 1 2
"#;
    insta::assert_snapshot!("repl-errors", case().session(&["repl"], input));
}

#[test]
fn files_are_loaded_and_loaded_again() {
    let case = case();
    case.write("set.nix", "{ n ? 1 }: { a = n; \"with spaces\" = 2; }");
    let input = ":l ./set.nix\na\n:ll\n:r\na\n:a { b = 1; }\nb\n:r\nb\n";
    insta::assert_snapshot!("repl-files", case.session(&["repl", "--argstr", "n", "x"], input));
    let shown = case.session(&["repl", "--file", "set.nix"], "a\n");
    insta::assert_snapshot!("repl-file-flag", shown);
    let shown = case.session(&["repl", "--expr", "{ a.b.c = 1; }", "a", "a.b"], "b\nc\n");
    insta::assert_snapshot!("repl-expr-flag", shown);
}

#[test]
fn documentation() {
    let case = case();
    let text = "{\n  /** Doubles *x*. */\n  double = x: x * 2;\n  /** A number. */\n  sub.n = 1;\n  functor.__functor = self: /** Called. */ x: x;\n}\n";
    case.write("lib.nix", text);
    let input = ":doc builtins.genList\n:doc map\nlib = import ./lib.nix\n:doc lib.double\n:doc lib.sub.n\n:doc lib.sub.m\n:doc lib.functor\nf = /** Typed. */ x: y: x\n:doc f\n:doc f 1\n";
    insta::assert_snapshot!("repl-doc", case.session(&["repl"], input));
}

#[test]
fn the_debugger_shows_steps_and_names() {
    let case = case();
    case.write(
        "fails.nix",
        "let\n  f = x: let y = x + 1; in g { inherit y; };\n  g = { y, z ? 2 }: with { q = 5; }; if y == 2 then throw \"oh no\" else z + q;\n  a.b = f 1;\nin a.b\n",
    );
    let eval = ["eval", "--debugger", "--file", "fails.nix"];
    insta::assert_snapshot!("debugger", case.session(&eval, ":bt\n:env\ny\n:st 3\nx\n:c\n"));
    let stops = ["eval", "--debugger", "--expr", "let x = 1; in builtins.break (x + 1)"];
    let shown = case.session(&stops, "x\n:c\n");
    assert!(shown.contains("nix-repl> x\n1\n\nnix-repl> :c\n2\n"), "{shown}");
    assert!(shown.contains("info: breakpoint reached"), "{shown}");
    let tried = "builtins.tryEval (let x = 1; in throw \"no\")";
    let shown = case.session(&["eval", "--debugger", "--expr", tried], "x\n:c\n");
    assert!(shown.contains("in a 'tryEval' call"), "{shown}");
    let shown = case.session(&["eval", "--debugger", "--ignore-try", "--expr", tried], "");
    assert!(shown.contains("--- stdout\n{ success = false; value = false; }"), "{shown}");
}

#[test]
fn steps_can_be_taken() {
    let text = "let f = x: x + 1; in builtins.break (f 1)";
    let shown = case().session(&["eval", "--debugger", "--expr", text], ":s\n:s\n:st\nx\n:c\n");
    assert!(shown.contains("while calling 'f'"), "{shown}");
    assert!(shown.contains("nix-repl> x\n1\n"), "{shown}");
    assert!(shown.contains("nix-repl> :c\n2\n"), "{shown}");
}
