//! `nix-store`, `nix-hash`, `nix-env` and `nix-collect-garbage` as a user calls them. Expected texts
//! and hashes are those that C++ Nix prints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    std::fs::create_dir(case.path("conf")).unwrap();
    std::fs::write(case.path("conf/nix.conf"), "build-users-group =\nsubstituters =\n").unwrap();
    std::fs::write(case.path("hello"), "hello\n").unwrap();
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command
            .args(line.split(' '))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_REMOTE", self.path("root"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Self::finish(self.command(line))
    }

    fn finish(mut command: Command) -> Ran {
        let output = command.output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    /// Runs what must succeed; gives its output without the last line's end.
    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}: {}", ran.err);
        ran.out.trim_end().to_owned()
    }

    /// Runs what must fail; gives what it says.
    fn fails(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_ne!(ran.status, 0, "{line}: {}", ran.out);
        ran.err
    }

    fn real(&self, path: &str) -> PathBuf {
        self.path("root").join(path.trim_start_matches('/'))
    }
}

#[test]
fn files_are_added_and_asked_about() {
    let case = case();
    let path = case.ok("nix-store --add hello");
    assert_eq!(path, "/nix/store/gwina1sjk7g95wq6fxc6b7s1hza53h74-hello");
    assert_eq!(std::fs::read(case.real(&path)).unwrap(), b"hello\n");
    assert_eq!(
        case.ok("nix-store --add-fixed sha256 hello"),
        "/nix/store/8zv8i345w2xn27jrxj4cyjc6x3b4am1q-hello"
    );
    assert_eq!(case.ok(&format!("nix-store -q --size {path}")), "120");
    assert_eq!(
        case.ok(&format!("nix-store -q --hash {path}")),
        "sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw"
    );
    assert_eq!(case.ok(&format!("nix-store -qR {path}")), path);
    assert_eq!(case.ok(&format!("nix-store -q --deriver {path}")), "unknown-deriver");
    assert_eq!(
        case.fails("nix-store -q -R /tmp"),
        "error: path \"/tmp\" is not in the Nix store\n"
    );
    let missing = "/nix/store/03q79mbx863014v1mfk4sm0kngvfi1wq-c";
    assert_eq!(
        case.fails(&format!("nix-store -q --references {missing}")),
        format!("error: path '{missing}' is not valid\n")
    );
}

#[test]
fn hashes_are_printed_in_every_way() {
    let case = case();
    for (line, hash) in [
        ("--flat --type md5", "b1946ac92492d2347c6235b4d2611184"),
        ("--flat --type sha1 --base32", "iwjz551fyw0cxcjgf4l6c879zabd6wpm"),
        ("--flat --type sha256 --base64", "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="),
        ("--flat --type sha256 --sri", "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="),
    ] {
        assert_eq!(case.ok(&format!("nix-hash {line} hello")), hash, "{line}");
    }
    assert_eq!(
        case.ok("nix-hash --to-sri --type sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
    assert!(case.fails("nix-hash --type foo x").starts_with(
        "error: unknown hash algorithm 'foo', expect 'blake3', 'md5', 'sha1', 'sha256', or 'sha512'\n"
    ));
    assert!(case.fails("nix-hash nofile").ends_with("nofile' does not exist\n"));
}

#[test]
fn wrong_calls_are_explained() {
    let case = case();
    for (line, message) in [
        ("nix-store --foo", "no operation specified"),
        ("nix-store --gc foo", "no arguments expected"),
        ("nix-store --gc --query", "only one operation may be specified"),
        ("nix-store -q --hash --size", "query type '--size' conflicts with earlier flag"),
        ("nix-store --gc --max-freed 12Q", "invalid unit specifier 'Q'"),
        ("nix-store -r --dry-run -j", "flag '-j' requires 1 argument(s), but only 0 were given"),
        ("nix-store --add-fixed", "first argument must be hash algorithm"),
        ("nix-collect-garbage bar", "unexpected argument 'bar'"),
        ("nix-collect-garbage --foo", "unrecognised flag '--foo'"),
        ("nix-env --list-generations x", "no arguments expected"),
        ("nix-env -G x", "expected a generation number"),
        ("nix-env --delete-generations x", "invalid generation number 'x'"),
    ] {
        let program = line.split(' ').next().unwrap();
        assert_eq!(
            case.fails(line),
            format!("error: {message}\nTry '{program} --help' for more information.\n"),
            "{line}"
        );
    }
    let ran = case.run("nix-store --option foo bar --init");
    assert_eq!((ran.status, ran.err.as_str()), (0, "warning: unknown setting 'foo'\n"));
}

#[test]
fn exports_go_through_pipes() {
    let case = case();
    let path = case.ok("nix-store --add hello");
    let mut export = case.command(&format!("nix-store --export {path}"));
    let archive = export.output().unwrap().stdout;
    std::fs::write(case.path("archive"), &archive).unwrap();
    let mut import = case.command("nix-store --import");
    import.env("NIX_REMOTE", case.path("other"));
    import.stdin(std::fs::File::open(case.path("archive")).unwrap());
    let ran = Case::finish(import);
    assert_eq!((ran.status, ran.out), (0, format!("{path}\n")), "{}", ran.err);
    assert!(case.path("other/nix/store").join(Path::new(&path).file_name().unwrap()).exists());
    let mut import = case.command("nix-store --import");
    import.stdin(std::fs::File::open(case.path("hello")).unwrap());
    assert_eq!(Case::finish(import).err, "error: unexpected end-of-file\n");
    // a NAR, out and in again
    let nar = case.command(&format!("nix-store --dump {}", case.real(&path).display()));
    let nar = { nar }.output().unwrap().stdout;
    assert_eq!(nar.len(), 120);
    std::fs::write(case.path("nar"), &nar).unwrap();
    let mut restore = case.command("nix-store --restore restored");
    restore.stdin(std::fs::File::open(case.path("nar")).unwrap());
    assert_eq!(Case::finish(restore).status, 0);
    assert_eq!(std::fs::read(case.path("restored")).unwrap(), b"hello\n");
}

#[test]
fn registrations_can_be_written_and_read() {
    let case = case();
    let path = case.ok("nix-store --add hello");
    let db = case.ok("nix-store --dump-db") + "\n";
    assert!(db.starts_with(&format!("{path}\n")) && db.ends_with("\n120\n\n0\n"), "{db:?}");
    std::fs::write(case.path("db"), &db).unwrap();
    // a new database beside the same contents
    std::fs::remove_dir_all(case.path("root/nix/var")).unwrap();
    assert!(case.fails(&format!("nix-store --check-validity {path}")).ends_with("is not valid\n"));
    let mut load = case.command("nix-store --load-db");
    load.stdin(std::fs::File::open(case.path("db")).unwrap());
    assert_eq!(Case::finish(load).status, 0);
    assert_eq!(case.ok(&format!("nix-store --check-validity {path}")), "");
    assert_eq!(case.ok("nix-store --verify --check-contents"), "");
    std::fs::remove_file(case.real(&path)).unwrap();
    std::fs::write(case.real(&path), "other").unwrap();
    let ran = case.run("nix-store --verify --check-contents");
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains(&format!("path '{path}' was modified! expected hash 'sha256:")));
    assert!(ran.err.ends_with("warning: not all store errors were fixed\n"));
    assert_eq!(case.run(&format!("nix-store --verify-path {path}")).status, 1);
}

#[test]
fn profiles_keep_paths_until_their_generations_go() {
    let case = case();
    let profile = case.text("p");
    let mut paths = Vec::new();
    for text in ["one", "two", "three"] {
        std::fs::write(case.path("hello"), text).unwrap();
        paths.push(case.ok("nix-store --add hello"));
        let path = &paths[paths.len() - 1];
        case.ok(&format!("nix-env -p {profile} --set {path}"));
    }
    let list = case.ok(&format!("nix-env -p {profile} --list-generations"));
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("   1   20") && lines[2].ends_with("   (current)"), "{list}");
    let ran = case.run(&format!("nix-env -p {profile} --rollback"));
    assert_eq!(ran.err, "switching profile from version 3 to 2\n");
    let ran = case.run(&format!("nix-env -p {profile} --delete-generations 2"));
    assert_eq!(ran.err, format!("error: cannot delete current version of profile \"{profile}\"\n"));
    case.ok(&format!("nix-env -p {profile} --delete-generations 1"));
    let roots = case.ok("nix-store --gc --print-roots");
    assert_eq!(
        roots,
        format!("\"{profile}-2-link\" -> {}\n\"{profile}-3-link\" -> {}", paths[1], paths[2])
    );
    assert_eq!(case.ok("nix-store --gc --print-dead"), paths[0]);
    assert_eq!(case.ok("nix-collect-garbage --dry-run"), "1 store paths would be deleted");
    let ran = case.run("nix-store --gc");
    assert_eq!(ran.out, "1 store paths deleted, 0.0 KiB freed\n");
    assert!(ran.err.contains(&format!("deleting '{}'\n", paths[0])));
    let err = case.fails(&format!("nix-store --delete {}", paths[1]));
    assert!(err.contains(&format!("Cannot delete path '{}' since it is still alive", paths[1])));
}

#[test]
fn roots_are_made_for_what_is_realised() {
    let case = case();
    let path = case.ok("nix-store --add hello");
    let ran = case.run(&format!("nix-store -r {path}"));
    assert_eq!(ran.out, format!("{path}\n"));
    assert_eq!(
        ran.err,
        "warning: you did not specify '--add-root'; the result might be removed by the garbage collector\n"
    );
    let root = case.text("result");
    assert_eq!(case.ok(&format!("nix-store -r {path} --add-root {root}")), root);
    assert_eq!(std::fs::read_link(&root).unwrap(), Path::new(&path));
    assert_eq!(case.ok(&format!("nix-store -q --roots {path}")), format!("{root} -> {path}"));
    assert_eq!(case.ok("nix-store --gc"), "0 store paths deleted, 0.0 KiB freed");
}

/// What evaluation adds is written behind its back; what it reads again is there all the same.
#[test]
fn sources_and_texts_that_evaluation_reads_again_are_there() {
    let case = case();
    std::fs::create_dir_all(case.path("tree/sub")).unwrap();
    std::fs::write(case.path("tree/sub/f.nix"), "{ n = 7; }\n").unwrap();
    let expression = r#"
let
  bare = builtins.unsafeDiscardStringContext;
  text = builtins.toFile "t" "see ${./hello}\n";
  kept = builtins.filterSource (path: type: baseNameOf path != "no") ./tree;
in
derivation {
  name = "d";
  system = "x";
  builder = "b";
  a = builtins.readFile (bare "${./hello}");
  b = (import (bare "${kept}" + "/sub/f.nix")).n;
  c = builtins.readFile (bare text);
  d = builtins.attrNames (builtins.readDir (bare "${./tree}"));
  e = builtins.pathExists (bare "${./tree}" + "/none");
  f = "${builtins.path { path = kept + "/sub"; name = "again"; }}";
  inherit text kept;
}"#;
    std::fs::write(case.path("d.nix"), expression).unwrap();
    let drv = case.ok("nix-instantiate d.nix");
    let shown: serde_json::Value = serde_json::from_str(
        &case.ok(&format!("nix --extra-experimental-features nix-command derivation show {drv}")),
    )
    .unwrap();
    let text = shown.to_string();
    for wanted in ["\"a\":\"hello\\n\"", "\"b\":\"7\"", "\"d\":\"sub\"", "\"e\":\"\""] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert_eq!(drv, "/nix/store/nk3h847a10zkv0cf1rn452f9zrc8517h-d.drv");
    assert_eq!(case.ok(&format!("nix-store -q --references {drv}")).lines().count(), 4);
    case.ok("nix-store --verify --check-contents");
    let there = std::fs::read_dir(case.real("/nix/store")).unwrap();
    let locks = there.filter(|e| e.as_ref().unwrap().path().extension() == Some("lock".as_ref()));
    assert_eq!(locks.count(), 0);
}

#[test]
fn names_that_differ_in_case_alone_can_have_numbers_on_disk() {
    let case = case();
    let tree = case.path("tree");
    std::fs::create_dir_all(tree.join("Dir")).unwrap();
    for name in ["FOO", "Foo", "foo", "Dir/x", "dir"] {
        std::fs::write(tree.join(name), name).unwrap();
    }
    let hack = "--option use-case-hack true";
    let dump = |line: &str| case.command(line).output().unwrap();
    let whole = dump("nix-store --dump tree").stdout;
    let restore = |line: &str, archive: &[u8]| {
        std::fs::write(case.path("archive"), archive).unwrap();
        let input = std::fs::File::open(case.path("archive")).unwrap();
        case.command(line).stdin(input).output().unwrap()
    };
    let done = restore(&format!("nix-store {hack} --restore out"), &whole);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut names: Vec<String> = std::fs::read_dir(case.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let numbered = ["Dir", "FOO", "Foo~nix~case~hack~1", "dir~nix~case~hack~1"];
    assert_eq!(names, [&numbered[..], &["foo~nix~case~hack~2"]].concat());
    assert!(case.path("out/Dir/x").exists());
    // it is the same archive again, and the same hash
    assert_eq!(dump(&format!("nix-store {hack} --dump out")).stdout, whole);
    let hash = case.ok("nix-hash --type sha256 tree");
    assert_eq!(case.ok(&format!("nix-hash {hack} --type sha256 out")), hash);
    assert_ne!(case.ok("nix-hash --type sha256 out"), hash);
    // a store has such names as well, and its hashes are those without
    std::fs::create_dir(case.path("more")).unwrap();
    restore(&format!("nix-store {hack} --restore more/tree"), &whole);
    let path = case.ok("nix-store --add tree");
    let other = case.text("other");
    let same = case.ok(&format!("nix-store {hack} --store {other} --add more/tree"));
    assert_eq!(same, path);
    assert!(case.path("other").join(&path[1..]).join("Foo~nix~case~hack~1").exists());
    case.ok(&format!("nix-store {hack} --store {other} --verify --check-contents"));
    // two that would be one
    std::fs::write(case.path("out/FOO~nix~case~hack~7"), "").unwrap();
    let told = case.fails(&format!("nix-store {hack} --dump out"));
    assert!(told.contains("file name collision between"), "{told}");
    let odd = case.path("odd");
    std::fs::create_dir(&odd).unwrap();
    for name in ["Test", "Test~nix~case~hack~1", "test"] {
        std::fs::write(odd.join(name), "").unwrap();
    }
    let failed =
        restore(&format!("nix-store {hack} --restore never"), &dump("nix-store --dump odd").stdout);
    let said = String::from_utf8_lossy(&failed.stderr);
    let told = "NAR contains file name 'test' that collides with case-hacked file name \
                'Test~nix~case~hack~1'";
    assert!(!failed.status.success() && said.contains(told), "{said}");
    // what is not asked for is not done
    let plain = restore("nix-store --restore plain", &whole);
    assert!(plain.status.success());
    assert!(case.path("plain/Foo").exists());
}
