//! `nix` as a user calls it: files and expressions, flakes, the store. Expected texts and hashes are those
//! that C++ Nix prints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

struct Case {
    dir: tempfile::TempDir,
}

struct Ran {
    out: String,
    err: String,
    status: i32,
}

fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    // answers are kept only for those who have a home
    std::fs::create_dir(case.path("home")).unwrap();
    case.write(
        "conf/nix.conf",
        "build-users-group =\nsubstituters =\nsandbox = false\nflake-registry =\n",
    );
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// Writes a file that was last changed at second 1000.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        self.date(name, 1000);
    }

    fn date(&self, name: &str, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let path = self.path(name);
        for path in path.ancestors().take_while(|p| *p != self.path("").as_path()) {
            std::fs::File::open(path).unwrap().set_modified(time).unwrap();
        }
    }

    fn run(&self, line: &str, input: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command
            .arg("nix")
            .args(line.split(' '))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_REMOTE", format!("local?root={}", self.path("root").display()))
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    /// Runs what must succeed; gives its output without the last line's end.
    fn ok(&self, line: &str) -> String {
        let ran = self.run(line, "");
        assert_eq!(ran.status, 0, "{line}: {}", ran.err);
        ran.out.trim_end().to_owned()
    }

    /// Runs what must fail; gives what it says.
    fn fails(&self, line: &str) -> String {
        let ran = self.run(line, "");
        assert_ne!(ran.status, 0, "{line}: {}", ran.out);
        ran.err
    }
}

#[test]
fn expressions_are_evaluated() {
    let case = case();
    case.write(
        "x.nix",
        "{ a = 1; b = [ 1 2 { c = \"x\"; } ]; f = { n ? 3 }: n; bad = throw \"no\"; }",
    );
    assert_eq!(case.ok("eval -f x.nix b"), "[ 1 2 { c = \"x\"; } ]");
    assert_eq!(case.ok("eval --json -f x.nix b"), "[1,2,{\"c\":\"x\"}]");
    assert_eq!(case.ok("eval -f x.nix f --argstr n y"), "\"y\"");
    assert_eq!(case.ok("eval --raw --expr \"a\"+\"b\""), "ab");
    assert_eq!(case.ok("eval -f x.nix a --apply builtins.typeOf"), "\"int\"");
    assert_eq!(
        case.fails("eval -f x.nix c"),
        "error: attribute 'c' in selection path 'c' not found\n       Did you mean one of a, b or f?\n"
    );
    assert!(case.fails("eval -f x.nix bad").ends_with("error: no\n"));
    let long = case.fails("eval --raw --json -f x.nix a");
    assert!(long.contains("--raw and --json are mutually exclusive"), "{long}");
}

#[test]
fn mistyped_commands_are_told() {
    let case = case();
    assert_eq!(
        case.fails("stroe gc"),
        "error: 'stroe' is not a recognised command\n       Did you mean store?\nTry 'nix --help' for more information.\n"
    );
    assert!(case.fails("store gg").contains("Did you mean one of gc or ls?"));
    assert!(case.fails("store gc --foo").contains("unrecognised flag '--foo'"));
    for (call, hint) in [
        ("build --no-lnk", "unrecognised flag '--no-lnk'\n       Did you mean --no-link?\n"),
        ("build --stoer /x", "\n       Did you mean --store?\n"),
        ("build --max-job 1", "\n       Did you mean --max-jobs?\n"),
        (
            "eval --option sandbx true --expr x",
            "unknown setting 'sandbx'\n       Did you mean sandbox?\n",
        ),
    ] {
        let said = case.fails(call);
        assert!(said.contains(hint), "{call}: {said}");
    }
    assert!(case.ok("store gc --help").starts_with("Usage: nix store gc"));
}

#[test]
fn hashes_and_keys_are_converted() {
    let case = case();
    let empty = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(
        case.ok(&format!("hash convert --to nix32 {empty}")),
        "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
    );
    assert!(
        case.fails(&format!("hash convert --from base16 {empty}"))
            .contains("has format 'sri', but '--from base16' was specified")
    );
    case.write("empty", "");
    assert_eq!(case.ok("hash file empty"), empty);
    let secret = case.ok("key generate-secret --key-name cache-1");
    let public = case.run("key convert-secret-to-public", &secret);
    assert!(public.out.starts_with("cache-1:"), "{}", public.err);
}

#[test]
fn archives_are_listed() {
    let case = case();
    case.write("t/d/x", "#!/bin/sh\n");
    case.write("t/f", "hi\n");
    let archive = Command::new(env!("CARGO_BIN_EXE_firn"))
        .args(["nix", "nar", "pack", "t"])
        .current_dir(case.dir.path())
        .output()
        .unwrap();
    std::fs::write(case.path("t.nar"), archive.stdout).unwrap();
    assert_eq!(case.ok("nar ls -R t.nar /"), "./d\n./d/x\n./f");
    assert_eq!(
        case.ok("nar ls --json t.nar /f"),
        "{\"narOffset\":600,\"size\":3,\"type\":\"regular\"}"
    );
    assert_eq!(case.ok("nar cat t.nar /f"), "hi");
    assert!(case.fails("nar cat t.nar /d").contains("NAR does not contain regular file '/d'"));
    assert!(case.fails("nar ls t.nar /g").contains("does not exist"));
    std::fs::write(case.path("bad.nar"), "no archive").unwrap();
    assert!(case.fails("nar ls bad.nar /").contains("bad.nar"));
}

#[test]
fn the_store_is_asked() {
    let case = case();
    case.write("hello", "hello\n");
    let path = case.ok("store add hello");
    assert_eq!(path, "/nix/store/gwina1sjk7g95wq6fxc6b7s1hza53h74-hello");
    assert_eq!(case.ok(&format!("path-info -s {path}")), format!("{path}\t        120"));
    let info: serde_json::Value =
        serde_json::from_str(&case.ok(&format!("path-info --json --json-format 2 {path}")))
            .unwrap();
    let info = &info["info"]["gwina1sjk7g95wq6fxc6b7s1hza53h74-hello"];
    assert_eq!(info["narSize"], 120);
    assert_eq!(info["ca"]["method"], "nar");
    assert_eq!(case.ok(&format!("store cat {path}")), "hello");
    assert_eq!(case.ok("store path-from-hash-part gwina1sjk7g95wq6fxc6b7s1hza53h74"), path);
    case.ok("store verify --all");
    assert!(case.ok(&format!("store delete {path}")).starts_with("1 store paths deleted"));
    assert!(case.fails(&format!("store cat {path}")).contains("is not valid"));
}

const INNER: &str = "{ description = \"c\"; outputs = { self }: { x = 3; lib.f = v: v + 1; }; }\n";

fn flakes() -> Case {
    let case = case();
    case.write("c/flake.nix", INNER);
    case.write("a/sub/flake.nix", "{ outputs = { self }: { s = 7; }; }\n");
    let url = case.path("c").display().to_string();
    case.write(
        "a/flake.nix",
        &format!(
            "{{ description = \"top\";\n  inputs.c.url = \"path:{url}\";\n  inputs.sub.url = \"./sub\";\n  \
             inputs.t = {{ url = \"path:{url}\"; flake = false; }};\n  \
             outputs = {{ self, c, sub, t }}: {{ v = c.x + sub.s; packages.x86_64-linux.hello = \
             derivation {{ name = \"h\"; system = \"x86_64-linux\"; builder = \"b\"; }}; }};\n}}\n"
        ),
    );
    case
}

#[test]
fn flakes_are_locked_as_the_reference_does() {
    let case = flakes();
    let ran = case.run("eval ./a#v", "");
    assert_eq!(ran.out, "10\n", "{}", ran.err);
    let shown = format!(
        "• Added input 'c':\n    'path:{}?lastModified=1000&narHash=sha256-%2BU8E61IO4WkUiSh8YgxFzLOby4MAykWUgrkSrvc5FOE%3D' (1970-01-01)\n• Added input 'sub':\n    'path:./sub'\n",
        case.path("c").display()
    );
    assert!(ran.err.contains(&shown), "{}", ran.err);
    let locked = format!(
        r#""locked": {{
        "lastModified": 1000,
        "narHash": "sha256-+U8E61IO4WkUiSh8YgxFzLOby4MAykWUgrkSrvc5FOE=",
        "path": "{0}",
        "type": "path"
      }},
      "original": {{
        "path": "{0}",
        "type": "path"
      }}"#,
        case.path("c").display()
    );
    let expected = format!(
        r#"{{
  "nodes": {{
    "c": {{
      {locked}
    }},
    "root": {{
      "inputs": {{
        "c": "c",
        "sub": "sub",
        "t": "t"
      }}
    }},
    "sub": {{
      "locked": {{
        "path": "./sub",
        "type": "path"
      }},
      "original": {{
        "path": "./sub",
        "type": "path"
      }},
      "parent": []
    }},
    "t": {{
      "flake": false,
      {locked}
    }}
  }},
  "root": "root",
  "version": 7
}}
"#
    );
    assert_eq!(std::fs::read_to_string(case.path("a/flake.lock")).unwrap(), expected);
    // what is locked stays, whatever has become of it
    case.write("c/flake.nix", "{ outputs = { self }: { x = 5; }; }\n");
    assert_eq!(case.ok("eval ./a#v"), "10");
    let trees: serde_json::Value =
        serde_json::from_str(&case.ok("flake archive ./a --json")).unwrap();
    let tree = trees["inputs"]["c"]["path"].as_str().unwrap();
    case.ok(&format!("store delete --ignore-liveness {tree}"));
    // the evaluation cache needs no tree
    assert_eq!(case.ok("eval ./a#v"), "10");
    let changed = case.fails("eval ./a#v --option eval-cache false");
    assert!(changed.contains("NAR hash mismatch in input"), "{changed}");
    assert_eq!(std::fs::read_to_string(case.path("a/flake.lock")).unwrap(), expected);
    case.ok("flake update c --flake ./a");
    case.ok("flake update t --flake ./a");
    assert_eq!(case.ok("eval ./a#v"), "12");
    case.write("d/flake.nix", "{ outputs = { self }: { x = 20; }; }\n");
    case.ok("flake update c --flake ./a --override-input c ./d");
    assert_eq!(case.ok("eval ./a#v"), "27");
    case.write("d/flake.nix", "{ outputs = { self }: { x = 20; }; }\n");
    case.ok("flake update c --flake ./a --override-input c ./d");
    assert_eq!(case.ok("eval ./a#v"), "27");
    let refused = case.fails(
        "eval ./a#v --recreate-lock-file --no-update-lock-file --override-input c ./nowhere",
    );
    assert!(refused.contains("nowhere"), "{refused}");
}

#[test]
fn flakes_are_shown_and_checked() {
    let case = flakes();
    case.ok("flake lock ./a");
    assert_eq!(
        case.ok("flake show ./a --json"),
        "{\"packages\":{\"x86_64-linux\":{\"hello\":{\"description\":\"\",\"name\":\"h\",\"type\":\"derivation\"}}},\"v\":{\"type\":\"unknown\"}}"
    );
    let metadata: serde_json::Value =
        serde_json::from_str(&case.ok("flake metadata ./a --json")).unwrap();
    assert_eq!(metadata["description"], "top");
    assert_eq!(metadata["locked"]["type"], "path");
    let ran = case.run("flake check ./a", "");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(ran.err, "warning: unknown flake output 'v'\nall checks passed!\n");
    assert_eq!(
        case.fails("eval ./a#nope"),
        format!(
            "error: flake 'path:{}' does not provide attribute 'packages.x86_64-linux.nope', 'legacyPackages.x86_64-linux.nope' or 'nope'\n",
            case.path("a").display()
        )
    );
    assert!(case.fails("eval ./c/none#x").contains("c/none"));
    case.write("d/flake.nix", "{ outputs = 3; }");
    assert!(case.fails("eval ./d#x").contains("expected a function but got an integer"));
    case.write("e/flake.nix", "{ outputs = _: { }; other = 1; }");
    assert!(case.fails("eval ./e#x").contains("has an unsupported attribute 'other'"));
}

#[test]
fn checks_are_built() {
    let case = case();
    let flake = |script: &str| {
        format!(
            "{{ outputs = _: {{ checks.x86_64-linux.c = derivation {{ name = \"c\"; system = \"x86_64-linux\"; \
             builder = \"/bin/sh\"; args = [ \"-c\" \"{script}\" ]; }}; }}; }}"
        )
    };
    case.write("f/flake.nix", &flake("echo > $out"));
    let ran = case.run("flake check ./f", "");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("running 1 flake checks..."), "{}", ran.err);
    case.write("f/flake.nix", &flake("exit 3"));
    assert!(case.fails("flake check ./f").contains("builder failed with exit code 3"));
}

#[test]
fn templates_do_not_overwrite() {
    let case = case();
    case.write(
        "t/flake.nix",
        "{ outputs = _: { templates.default = { path = ./files; description = \"d\"; welcomeText = \"hello there\"; }; }; }",
    );
    case.write("t/files/a", "new\n");
    case.write("t/files/b/c", "c\n");
    let ran = case.run("flake new -t ./t made", "");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("hello there"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(case.path("made/b/c")).unwrap(), "c\n");
    std::fs::write(case.path("made/a"), "mine\n").unwrap();
    std::fs::remove_file(case.path("made/b/c")).unwrap();
    let refused = case.fails("flake new -t ./t made");
    assert!(refused.contains("refusing to overwrite") && refused.contains("made/a"), "{refused}");
    assert!(case.path("made/b/c").exists(), "what is in the way of nothing is written");
}

#[test]
fn names_are_looked_up_in_the_registry() {
    let case = flakes();
    case.ok("flake lock ./a");
    case.ok(&format!("registry add inner path:{}", case.path("c").display()));
    assert_eq!(
        case.ok("registry list"),
        format!("user   flake:inner path:{}", case.path("c").display())
    );
    assert_eq!(case.ok("eval inner#x"), "3");
    case.ok("registry remove inner");
    assert!(
        case.fails("eval inner#x")
            .contains("cannot find flake 'flake:inner' in the flake registries")
    );
}

/// A filter sees paths as expressions know them, also where the store's files are elsewhere.
#[test]
fn filters_of_flakes_see_their_own_paths() {
    let case = case();
    case.write(
        "f/flake.nix",
        "{ outputs = { self }: { names = builtins.attrNames (builtins.readDir (builtins.filterSource (path: _: path == toString ./kept || path == toString ./kept/inner) ./.)); }; }",
    );
    case.write("f/kept/inner", "");
    case.write("f/dropped", "");
    assert_eq!(case.ok("eval ./f#names"), "[ \"kept\" ]");
}

#[test]
fn derivations_from_json_must_be_right() {
    let case = case();
    let text = "derivation { name = \"x\"; builder = \"/b\"; system = \"s\"; }";
    case.write("x.nix", text);
    let drv = case.ok("eval --raw -f x.nix drvPath");
    let shown: serde_json::Value =
        serde_json::from_str(&case.ok("derivation show -f x.nix")).unwrap();
    let drvs = shown["derivations"].as_object().unwrap();
    let given = drvs.values().next().unwrap().clone();
    let add = |value: &serde_json::Value| case.run("derivation add", &value.to_string());
    assert_eq!(add(&given).out.trim_end(), drv);

    let mut renamed = given.clone();
    renamed["name"] = "y".into();
    let ran = add(&renamed);
    assert!(ran.status == 1 && ran.err.contains("derivation has incorrect output"), "{}", ran.err);

    let mut deferred = given.clone();
    deferred["outputs"]["out"].as_object_mut().unwrap().remove("path");
    assert_eq!(add(&deferred).out.trim_end(), drv);

    deferred["env"]["out"] = "/elsewhere".into();
    let ran = add(&deferred);
    assert!(ran.err.contains("incorrect environment variable 'out'"), "{}", ran.err);
}

#[test]
fn features_that_were_not_chosen_have_no_settings() {
    let case = case();
    let chosen = "--experimental-features nix-command";
    let fails = case.fails(&format!("config show {chosen} --flake-registry https://no"));
    assert_eq!(
        fails,
        "error: experimental Nix feature 'flakes' is disabled; add '--extra-experimental-features flakes' to enable it\n"
    );
    let fails = case.fails(&format!("config show {chosen} flake-registry"));
    assert_eq!(fails, "error: could not find setting 'flake-registry'\n");
    let both = ["--experimental-features", "nix-command flakes"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
    command.arg("nix").args(both).args(["config", "show", "flake-registry"]);
    let command = command.env_clear().env("HOME", case.path("home"));
    assert!(command.env("NIX_CONF_DIR", case.path("conf")).output().unwrap().status.success());
    assert_eq!(
        case.ok("config show --extra-experimental-features pipe-operators flake-registry"),
        ""
    );
}

#[test]
fn inputs_of_a_flake_are_names() {
    let case = case();
    let folder = case.path("named").display().to_string();
    case.write("named/flake.nix", "{ outputs = _: { one = 1; }; }");
    let text = format!("{{ inputs.named.url = \"path:{folder}\"; outputs = _: {{ }}; }}");
    case.write("from/flake.nix", &text);
    let from = case.path("from").display().to_string();
    assert_eq!(case.ok(&format!("eval --inputs-from path:{from} named#one")), "1");
    assert!(case.fails("eval named#one").contains("cannot find flake 'flake:named'"));
}

#[test]
fn locks_may_come_from_anywhere() {
    let case = case();
    let folder = case.path("in").display().to_string();
    case.write("in/flake.nix", "{ outputs = _: { }; }");
    let text = format!("{{ inputs.x.url = \"path:{folder}\"; outputs = _: {{ }}; }}");
    case.write("top/flake.nix", &text);
    let top = format!("path:{}", case.path("top").display());
    let lock = case.path("elsewhere.lock").display().to_string();
    case.ok(&format!("flake lock {top} --output-lock-file {lock}"));
    case.ok(&format!("flake metadata {top} --reference-lock-file {lock} --no-update-lock-file"));
}

#[test]
fn calls_are_told_of_as_they_are_written() {
    let case = case();
    case.write("x.nix", "let f = x: y: x; in builtins.tryEval (f 1 2)");
    let err = case.run("eval --trace-function-calls -f x.nix", "").err;
    let place = case.path("x.nix").display().to_string();
    let told: Vec<&str> = err
        .lines()
        .filter_map(|line| line.strip_prefix("function-trace ")?.rsplit_once(" at ").map(|l| l.0))
        .collect();
    let (outer, inner) = (format!("{place}:1:21"), format!("{place}:1:39"));
    let expected =
        [("entered", &outer), ("entered", &inner), ("exited", &inner), ("exited", &outer)]
            .map(|(what, place)| format!("{what} {place}"));
    assert_eq!(told, expected);
}

#[test]
fn events_are_logged_as_json() {
    let case = case();
    let text = "derivation { name = \"x\"; builder = \"/bin/sh\"; system = builtins.currentSystem; \
        args = [ \"-c\" \"echo '@nix {}'; echo > $out\" ]; }";
    case.write("x.nix", text);
    let log = case.path("log.json");
    let line = format!("build -vv --impure --no-link -f x.nix --json-log-path {}", log.display());
    let err = case.run(&line, "").err;
    let complaint = "warning: Unable to handle a JSON message from the derivation builder: ";
    assert!(err.contains(complaint), "{err}");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("{\"action\":\"msg\",\"level\":5,\"msg\":\"executing builder '/bin/sh'\"}")
    );
    let start = log.lines().find(|l| l.contains("-x.drv\",\"\",1,1],")).unwrap();
    assert!(start.contains("\"level\":3,\"parent\":0,"), "{start}");
}

#[test]
fn failed_builds_have_one_status() {
    let case = case();
    let text = "let drv = name: args: derivation { inherit name; builder = \"/bin/sh\"; \
        system = builtins.currentSystem; args = [ \"-c\" args ]; }; in { a = drv \"a\" \"exit 3\"; h = derivation { name = \"h\"; builder = \"/bin/sh\"; \
        system = builtins.currentSystem; args = [ \"-c\" \"echo > $out\" ]; \
        outputHash = builtins.hashString \"sha256\" \"\"; }; }";
    case.write("x.nix", text);
    let ran = case.run("build --impure --no-link -f x.nix h", "");
    assert_eq!(ran.status, 1, "{}", ran.err);
    let planned = case.ok("build --impure --dry-run --json -f x.nix a");
    let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
    assert!(planned[0]["outputs"]["out"].as_str().unwrap().ends_with("-a"), "{planned}");
}

#[test]
fn programs_of_other_systems_are_shown() {
    let case = case();
    let app = "{ type = \"app\"; program = \"/x\"; }";
    case.write("a/flake.nix", &format!("{{ outputs = _: {{ apps.other-system.x = {app}; }}; }}"));
    let expected = "{\"apps\":{\"other-system\":{\"x\":{\"type\":\"app\"}}}}";
    assert_eq!(case.ok("flake show ./a --json"), expected);
    case.write("a/flake.nix", "{ outputs = _: { apps.other-system.x = { }; }; }");
    assert!(case.fails("flake show ./a").ends_with("error: not an app definition\n"));
}

#[test]
fn checks_come_in_the_order_of_the_names() {
    let case = case();
    case.write(
        "a/flake.nix",
        "{ outputs = _: { zz-first = 1; nixosModule = 1; apps = throw \"apps\"; }; }",
    );
    let said = case.fails("flake check ./a");
    assert!(said.contains("unknown flake output 'zz-first'"), "{said}");
    assert!(said.ends_with("error: apps\n"), "{said}");
}

#[test]
fn answers_depend_on_what_is_done_about_literals() {
    let case = case();
    let warned = |flags: &str| {
        let line = format!("eval --impure {flags} --expr [a/b]");
        case.run(&line, "").err.contains("relative path literal")
    };
    assert!(warned("--warn-short-path-literals"));
    assert!(!warned("--warn-short-path-literals --lint-short-path-literals ignore"));
    assert!(warned("--warn-short-path-literals"));
}

#[test]
fn versions_come_from_a_list_that_is_named() {
    let case = case();
    let profile = case.path("profile").display().to_string();
    let fails = case.fails(&format!("upgrade-nix --profile {profile}"));
    assert!(fails.contains("name one with '--nix-store-paths-url'"), "{fails}");
    let path = "/nix/store/00000000000000000000000000000000-nix-9.9";
    case.write(
        "paths.nix",
        &format!("{{ x86_64-linux = \"{path}\"; aarch64-linux = \"{path}\"; }}"),
    );
    let url = format!("file://{}", case.path("paths.nix").display());
    let line = format!("upgrade-nix --profile {profile} --nix-store-paths-url {url}");
    let ran = case.run(&format!("{line} --dry-run"), "");
    assert!(ran.status == 0 && ran.err.contains("would upgrade to version 9.9"), "{}", ran.err);
    // it cannot be had
    assert!(case.fails(&line).contains(path));
    case.write("paths.nix", "{ }");
    let fails = case.fails(&format!("{line} --refresh"));
    assert!(fails.contains("not found"), "{fails}");
}
