//! Mercurial repositories, by `fetchMercurial` and as flakes. Where the program `hg` is not installed, nothing is
//! tested, which is said. Expected values are those of C++ Nix.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

/// The commits of the repository `dep`.
const FIRST: &str = "841747db35975e851148e943246711500434f9ca";
const SECOND: &str = "d2ac88e3d51ac12aabc65414bec4442381f7adc0";

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    /// A folder with a repository of two commits; `None` without Mercurial.
    #[expect(clippy::print_stderr, reason = "why nothing is tested")]
    fn new() -> Option<Case> {
        if Command::new("hg").arg("--version").output().is_err() {
            eprintln!("not tested: the program 'hg' is not installed");
            return None;
        }
        let case = Case { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(case.path("home")).unwrap();
        case.write("conf/nix.conf", "build-users-group =\nsubstituters =\nflake-registry =\n");
        case.hg("", &["init", "dep"]);
        case.write("dep/flake.nix", "{ outputs = { self }: { five = import ./five.nix; }; }\n");
        case.write("dep/five.nix", "5\n");
        case.hg("dep", &["add", "-q"]);
        case.commit("dep", "first");
        case.write("dep/five.nix", "55\n");
        case.commit("dep", "second");
        case.write("dep/untracked", "");
        Some(case)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let dir = self.path("").display().to_string();
        std::fs::write(path, text.replace("DIR", dir.trim_end_matches('/'))).unwrap();
    }

    fn hg(&self, folder: &str, args: &[&str]) -> String {
        let output = Command::new("hg")
            .args(args)
            .env("HGRCPATH", "")
            .env("HGPLAIN", "")
            .env("HGUSER", "n <e@x>")
            .current_dir(self.path(folder))
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self, folder: &str, message: &str) {
        self.hg(folder, &["commit", "-m", message, "-d", "1000000000 0"]);
    }

    fn nix(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_firn"))
            .arg("nix")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("HGRCPATH", "")
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_REMOTE", format!("local?root={}", self.path("root").display()))
            .current_dir(self.path(""))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn fetch(&self, attributes: &str, of: &str) -> (String, String) {
        let url = format!("file://{}", self.path("dep").display());
        let text =
            format!("with builtins.fetchMercurial {{ url = \"{url}\"; {attributes} }}; {of}");
        let (status, out, err) = self.nix(&["eval", "--json", "--impure", "--expr", &text]);
        assert_eq!(status, Some(0), "{text}: {err}");
        (out.trim_end().to_owned(), err)
    }
}

const ALL: &str =
    "[ outPath rev shortRev revCount branch (builtins.attrNames (builtins.readDir outPath)) ]";

#[test]
fn commits_and_working_trees_are_fetched() {
    let Some(case) = Case::new() else { return };
    let files = r#"["five.nix","flake.nix"]"#;
    let commit = |path: &str, rev: &str, count: u32| {
        format!("[\"/nix/store/{path}\",\"{rev}\",\"{}\",{count},\"default\",{files}]", &rev[..12])
    };
    let (first, second) =
        ("cqq69pb0xm8iys66qn9ib7hrjrqsfrvh-source", "wc1pq0d376rq04sqlnjwvm6ghkr1kwmd-source");
    assert_eq!(case.fetch("", ALL).0, commit(second, SECOND, 1));
    assert_eq!(case.fetch(&format!("rev = \"{FIRST}\";"), ALL).0, commit(first, FIRST, 0));
    let named = case.fetch("rev = \"default\"; name = \"other\";", "outPath").0;
    assert!(named.ends_with("-other\""), "{named}");
    // files of a working tree that Mercurial knows
    case.write("dep/five.nix", "555\n");
    let (out, err) = case.fetch(
        "",
        "[ (import \"${outPath}/five.nix\") rev (builtins.attrNames (builtins.readDir outPath)) ]",
    );
    assert_eq!(out, format!("[555,\"{}\",{files}]", "0".repeat(40)));
    assert!(err.contains("Mercurial tree") && err.contains("is unclean"), "{err}");
    // a branch that is asked for is its commit
    assert_eq!(case.fetch("rev = \"default\";", ALL).0, commit(second, SECOND, 1));
    let url = case.path("dep").display().to_string();
    let text = format!("(builtins.fetchMercurial \"{url}\").outPath");
    let args = ["eval", "--impure", "--option", "allow-dirty", "false", "--expr", &text];
    let (status, _, err) = case.nix(&args);
    assert!(status == Some(1) && err.contains("is unclean"), "{err}");
    let (status, _, err) = case.nix(&["eval", "--expr", &text]);
    assert!(status == Some(1) && err.contains("requires a Mercurial revision"), "{err}");
}

#[test]
fn repositories_are_flakes_and_inputs() {
    let Some(case) = Case::new() else { return };
    case.hg("", &["init", "top"]);
    case.write(
        "top/flake.nix",
        "{ inputs.dep.url = \"hg+file://DIR/dep\"; outputs = { self, dep }: { five = dep.five; }; }\n",
    );
    case.hg("top", &["add", "-q"]);
    case.commit("top", "x");
    let top = format!("hg+file://{}", case.path("top").display());
    let (status, out, err) = case.nix(&["eval", &format!("{top}#five")]);
    assert_eq!((status, out.as_str()), (Some(0), "55\n"), "{err}");
    // the lock file is Mercurial's, too
    assert_eq!(case.hg("top", &["status"]), "A flake.lock\n");
    let text = std::fs::read_to_string(case.path("top/flake.lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
    let url = format!("file://{}", case.path("dep").display());
    assert_eq!(
        lock["nodes"]["dep"]["locked"],
        serde_json::json!({
            "narHash": "sha256-DgZfJlvwlU41n8yf8Wobywzkr8VJNQjjiLxEhmATQs8=", "ref": "default", "rev": SECOND, "revCount": 1, "type": "hg", "url": url,
        })
    );
    // what is locked stays
    case.write("dep/five.nix", "555\n");
    case.commit("dep", "third");
    let (_, out, err) = case.nix(&["eval", &format!("{top}#five")]);
    assert_eq!(out, "55\n", "{err}");
    let (status, _, err) = case.nix(&["flake", "update", "--flake", &top, "--commit-lock-file"]);
    assert!(status == Some(0) && err.contains("• Updated input 'dep'"), "{err}");
    assert_eq!(case.hg("top", &["status"]), "");
    let (_, out, _) = case.nix(&["eval", &format!("{top}#five")]);
    assert_eq!(out, "555\n");
}
