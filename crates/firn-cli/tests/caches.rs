//! Binary caches as a user meets them: copying, substitution, signatures, single files, closures in expressions,
//! the server. Expected texts are those that C++ Nix prints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Case {
    dir: tempfile::TempDir,
}

struct Ran {
    out: String,
    err: String,
    status: i32,
}

/// A store whose contents are in place, and an expression of two derivations.
fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    std::fs::create_dir(case.path("conf")).unwrap();
    std::fs::write(
        case.path("conf/nix.conf"),
        "build-users-group =\nsubstituters =\nsandbox = false\nextra-experimental-features = nix-command fetch-closure\n",
    )
    .unwrap();
    let expression = "let build = name: script: derivation {
        inherit name; system = builtins.currentSystem; builder = \"/bin/sh\";
        args = [ \"-c\" script ]; };
      in rec {
        low = build \"low\" \"echo low > $out\";
        top = build \"top\" \"echo top log; echo ${low} > $out\";
      }";
    std::fs::write(case.path("default.nix"), expression).unwrap();
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
            .env("PATH", "/usr/bin:/bin")
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("_NIX_IN_TEST", "1")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ran {
        let output = self.command(line).output().unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}: {}", ran.err);
        ran.out.trim_end().to_owned()
    }

    fn fails(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_ne!(ran.status, 0, "{line}: {}", ran.out);
        ran.err
    }

    /// Builds `top` and deletes everything afterwards, after `between`.
    fn top(&self, between: impl FnOnce(&str)) -> String {
        let top = self.ok("nix-build --no-out-link -A top");
        between(&top);
        self.ok("nix-collect-garbage");
        assert!(!std::path::Path::new(&top).exists());
        top
    }
}

#[test]
fn a_cache_in_a_folder_makes_the_round() {
    let case = case();
    let cache = format!("file://{}", case.text("cache"));
    let top = case.top(|top| {
        let ran = case.run(&format!("nix copy --to {cache}?compression=zstd {top}"));
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert!(ran.err.contains("copying 2 paths..."), "{}", ran.err);
        assert!(ran.err.contains(&format!("copying path '{top}' to '{cache}'")), "{}", ran.err);
    });
    let all = case.ok(&format!("nix path-info --all --store {cache}"));
    assert_eq!(all.lines().count(), 2);
    assert!(all.contains(&top));
    let json = case.ok(&format!("nix path-info --json --json-format 2 --store {cache} {top}"));
    for part in
        [r#""compression":"zstd""#, r#""downloadHash":"sha256-"#, r#""registrationTime":null"#]
    {
        assert!(json.contains(part), "{json}");
    }
    assert_eq!(
        case.ok(&format!("nix store ls -l --store {cache} {top}")).split_whitespace().next(),
        Some("-r--r--r--")
    );
    assert!(case.ok(&format!("nix store cat --store {cache} {top}")).ends_with("-low"));
    let info = case.run(&format!("nix store info --store {cache}")).err;
    assert_eq!(info, format!("Store URL: {cache}\nTrusted: 1\n"));
    // nothing is to be built where all is there, and nothing can be where it is not
    assert_eq!(case.ok(&format!("nix-build --no-out-link --store {cache} -A top")), top);
    let empty = format!("file://{}", case.text("empty"));
    let refused = case.fails(&format!("nix-build --no-out-link --store {empty} -A top"));
    assert!(refused.contains("must be built, but"), "{refused}");
    // unsigned, so it is not taken
    let refused = case.fails(&format!("nix copy --from {cache} {top}"));
    assert!(refused.contains("because it lacks a signature by a trusted key"), "{refused}");
    case.ok(&format!("nix copy --from {cache} --no-check-sigs {top}"));
    assert!(std::path::Path::new(&top).exists());
    case.ok(&format!("nix store verify -r --no-trust {top}"));
}

#[test]
fn builds_use_what_trusted_keys_signed() {
    let case = case();
    case.ok(&format!(
        "nix-store --generate-binary-cache-key k-1 {} {}",
        case.text("secret"),
        case.text("public")
    ));
    let public = std::fs::read_to_string(case.path("public")).unwrap().trim().to_owned();
    let cache = format!("file://{}", case.text("cache"));
    let top = case.top(|top| {
        case.ok(&format!("nix copy --to {cache}?secret-key={} {top}", case.text("secret")));
        case.ok(&format!("nix store copy-log --to {cache} {top}"));
    });
    let with = format!("--substituters {cache} --trusted-public-keys {public}");
    let planned = case.run(&format!("nix-build --dry-run -A top {with}")).err;
    assert!(planned.contains("these 2 paths will be fetched"), "{planned}");
    let ran = case.run(&format!("nix-build --no-out-link -A top {with}"));
    assert_eq!(ran.out.trim_end(), top, "{}", ran.err);
    assert!(ran.err.contains(&format!("copying path '{top}' from '{cache}'")), "{}", ran.err);
    assert!(!ran.err.contains("building"), "{}", ran.err);
    // the log was not made here
    std::fs::remove_dir_all(case.path("log")).unwrap();
    assert!(case.fails(&format!("nix log {top}")).contains("is not available"));
    let drv = case.ok("nix-instantiate -A top");
    assert_eq!(case.ok(&format!("nix log {drv} --substituters {cache}")), "top log");
    // without the key it is built
    case.ok("nix-collect-garbage");
    let ran = case.run(&format!("nix-build --no-out-link -A top --substituters {cache}"));
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("as it's not signed by any of the keys"), "{}", ran.err);
    assert!(ran.err.contains("building '"), "{}", ran.err);
}

#[test]
fn what_is_damaged_is_fetched_again() {
    use std::os::unix::fs::PermissionsExt;
    let case = case();
    let cache = format!("file://{}", case.text("cache"));
    let low = case.ok("nix-build --no-out-link -A low");
    case.ok(&format!("nix copy --to {cache} {low}"));
    let with = format!("--substituters {cache}?trusted=1");
    let repairs = [
        format!("nix-store --repair-path {low}"),
        format!("nix store repair {low}"),
        "nix-store --verify --check-contents --repair".to_owned(),
        "nix-build --no-out-link -A low --repair".to_owned(),
    ];
    for line in &repairs {
        for (with, built) in [(with.as_str(), false), ("--substituters ", true)] {
            std::fs::set_permissions(&low, PermissionsExt::from_mode(0o644)).unwrap();
            std::fs::write(&low, "damaged").unwrap();
            let ran = case.run(&format!("{line} {with}"));
            assert_eq!(ran.status, 0, "{line}: {}", ran.err);
            assert_eq!(std::fs::read_to_string(&low).unwrap(), "low\n", "{line}");
            let fetched = ran.err.contains(&format!("copying path '{low}' from '{cache}"));
            let rebuilt = ran.err.contains("repairing outputs of");
            assert_eq!((fetched, rebuilt), (!built, built), "{line} {with}: {}", ran.err);
        }
    }
}

#[test]
fn addresses_of_caches_are_checked() {
    let case = case();
    let cache = format!("file://{}", case.text("cache"));
    let ran = case.run(&format!("nix store info --store {cache}?bogus=1"));
    assert!(ran.err.starts_with("warning: unknown setting 'bogus'\n"), "{}", ran.err);
    let error = |params: &str| case.fails(&format!("nix store info --store {cache}?{params}"));
    assert!(
        error("compression=x").starts_with("error: option 'compression' has invalid value 'x'")
    );
    assert!(error("priority=x").starts_with("error: setting 'priority' has invalid value 'x'"));
    let unknown = case.fails("nix store info --store foo:///x");
    assert_eq!(unknown, "error: don't know how to open Nix store with scheme 'foo'\n");
}

#[test]
fn closures_can_be_fetched_in_expressions() {
    let case = case();
    let cache = format!("file://{}", case.text("cache"));
    let mut made = String::new();
    let top = case.top(|top| {
        case.ok(&format!("nix copy --to {cache} {top}"));
        let json = case.ok(&format!("nix store make-content-addressed --json {top}"));
        made = json.rsplit(':').next().unwrap().trim_matches(['"', '}']).to_owned();
        assert!(made.ends_with("-top") && made != top, "{json}");
    });
    let write = |text: String| std::fs::write(case.path("fetch.nix"), text).unwrap();
    let closure = |rest: &str| {
        format!("builtins.fetchClosure {{ fromStore = \"{cache}\"; fromPath = {top}; {rest} }}")
    };
    let eval = "nix eval --raw -f fetch.nix --no-require-sigs";
    write(closure(&format!("toPath = {made};")));
    assert_eq!(case.ok(eval), made);
    assert!(std::path::Path::new(&made).exists() && !std::path::Path::new(&top).exists());
    write(closure("toPath = \"\";"));
    let error = case.fails(eval);
    assert!(error.contains(&format!("content-addressed form yielded '{made}'")), "{error}");
    write(closure(""));
    assert!(
        case.fails(eval).contains("is input-addressed, but 'inputAddressed' is set to 'false'")
    );
    write(closure("inputAddressed = true;"));
    assert_eq!(case.ok(eval), top);
    write(closure("bogus = true;"));
    let error = case.fails(eval);
    assert!(
        error.contains("attribute 'bogus' isn't supported in call to 'fetchClosure'"),
        "{error}"
    );
    write(format!("builtins.fetchClosure {{ fromStore = \"local\"; fromPath = {top}; }}"));
    assert!(case.fails(eval).contains("only supports http:// and https:// stores"));
    write(format!("builtins.fetchClosure {{ fromStore = \"{cache}?x=1\"; fromPath = {top}; }}"));
    assert!(case.fails(eval).contains("does not support URL query parameters"));
}

#[test]
fn files_are_prefetched() {
    let case = case();
    std::fs::write(case.path("hello"), "hello\n").unwrap();
    let url = format!("file://{}", case.text("hello"));
    let shown = case.ok(&format!("nix-prefetch-url --print-path {url}"));
    let (hash, path) = shown.split_once('\n').unwrap();
    // computed with C++ Nix 2.34.8
    assert_eq!(hash, "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "hello\n");
    let ran = case.run(&format!("nix-prefetch-url {url} {}", "0".repeat(52)));
    assert_ne!(ran.status, 0);
    assert!(ran.err.contains("hash mismatch for"), "{}", ran.err);
}

#[test]
fn the_store_is_served() {
    let case = case();
    case.ok(&format!(
        "nix-store --generate-binary-cache-key k-1 {} {}",
        case.text("secret"),
        case.text("public")
    ));
    let public = std::fs::read_to_string(case.path("public")).unwrap().trim().to_owned();
    let top = case.ok("nix-build --no-out-link -A top");
    let mut server = case
        .command(&format!("serve --listen 127.0.0.1:0 --secret-key-file {}", case.text("secret")))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("serving the store at ").unwrap_or_else(|| panic!("{line}"));
    let url = url.trim_end_matches('/');
    // the same folder by name, other contents
    let mut ran = case.command(&format!(
        "nix copy --from {url} --to local?root={} --trusted-public-keys {public} {top}",
        case.text("other")
    ));
    let ran = ran.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let stopped = Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(stopped.success());
    assert!(server.wait().unwrap().success());
    assert!(ran.status.success(), "{said}");
    assert!(said.contains(&format!("copying path '{top}' from '{url}'")), "{said}");
}

#[test]
fn sources_that_are_damaged_are_fetched_again() {
    let case = case();
    let cache = format!("file://{}", case.text("cache"));
    std::fs::write(case.path("hello"), "hello\n").unwrap();
    let hello = case.ok("nix-store --add hello");
    case.ok(&format!("nix copy --to {cache} {hello}"));
    let damage = || {
        std::fs::remove_file(&hello).unwrap();
        std::fs::write(&hello, "damaged\n").unwrap();
    };
    damage();
    let alone = case.fails("nix-store --verify --check-contents --repair");
    assert!(alone.contains("was modified"), "{alone}");
    let ran = case.run(&format!(
        "nix-store --verify --check-contents --repair --option substituters {cache}"
    ));
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains(&format!("copying path '{hello}' from '{cache}'")), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(&hello).unwrap(), "hello\n");
    damage();
    case.ok(&format!("nix-store --repair-path {hello} --option substituters {cache}"));
    assert_eq!(std::fs::read_to_string(&hello).unwrap(), "hello\n");
    case.ok("nix-store --verify --check-contents");
}

#[test]
fn garbage_is_collected_however_long_the_paths_are() {
    let case = case();
    std::fs::write(case.path("hello"), "hello\n").unwrap();
    let root = case.path(&"x".repeat(120));
    let store = root.to_str().unwrap();
    let hello = case.ok(&format!("nix-store --store {store} --add hello"));
    case.ok(&format!("nix-store --store {store} --gc"));
    assert!(!root.join(hello.trim_start_matches('/')).exists());
}
