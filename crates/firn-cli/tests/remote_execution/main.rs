//! Builds in a cluster that speaks the Remote Execution API, as users see them: always in a small server that is part
//! of this test, and in BuildBox's where that is installed (`FIRN_BUILDBOX` names its folder).

#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "whoever runs the tests sees what was skipped")]

mod buildbox;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use server::Server;

/// Whether builders can be run here as in a cluster; says so if not.
fn available() -> bool {
    let found = firn_build::sandbox::support(&firn_build::sandbox::Launcher::new(
        env!("CARGO_BIN_EXE_firn"),
        ["__sandbox-child"],
    ));
    let ready = found.user_namespaces && busybox().is_some();
    if !ready {
        eprintln!("SKIPPED: this machine has no busybox or grants no user namespaces");
    }
    ready
}

fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"].iter().map(PathBuf::from).find(|path| path.exists())
}

const PACKAGES: &str = r#"
rec {
  make = name: attrs: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/bin";
  } // attrs // { args = [ "-ec" ("PATH=/bin\n" + attrs.script) ]; });

  base = make "base" {
    outputs = [ "out" "dev" "link" "file" ];
    script = ''
      echo building base
      echo to the other stream >&2
      busybox mkdir -p $out/bin $out/empty/inner
      echo "self $out, also $dev" > $out/text
      printf '#!/bin/sh\necho ran\n' > $out/bin/program
      busybox chmod 755 $out/bin/program
      busybox ln -s /nowhere/at/all $out/absolute
      busybox ln -s bin/program $out/relative
      busybox dd if=/dev/zero bs=1024 count=3000 of=$out/large
      echo dev > $dev
      busybox ln -s $dev $link
      echo '#!/bin/sh' > $file
      busybox chmod 700 $file
    '';
  };
  middle = make "middle" {
    inherit (base) out dev link file;
    source = ./source;
    baseOut = base.out;
    baseLink = base.link;
    baseFile = base.file;
    script = ''
      busybox mkdir $out
      busybox find $baseOut $baseFile $source -exec busybox stat -c '%n %a %Y %F' {} + | busybox sort > $out/seen
      $baseFile
      $baseOut/bin/program > $out/ran
      read text < $baseLink
      echo "$text through a link to $baseLink" > $out/linked
    '';
  };
  top = make "top" {
    inherit middle;
    script = "echo $middle > $out; echo top $out >> $out";
  };
  ca = make "ca" {
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    inherit top;
    script = "busybox mkdir $out; echo $out $top > $out/self";
  };
  structured = make "structured" {
    __structuredAttrs = true;
    list = [ "a b" "c" ];
    script = ''
      out=$(busybox sed -n 's/.*"outputs":{"out":"\([^"]*\)".*/\1/p' < $NIX_ATTRS_JSON_FILE)
      busybox cat $NIX_ATTRS_SH_FILE > $out
    '';
  };
  fails = make "fails" { script = "echo before the end; echo seen >&2; exit 7"; };
  nothing = make "nothing" { script = "true"; };
  slow = make "slow" { script = "echo begun; busybox sleep 60"; };
  silent = make "silent" { script = "busybox sleep 60"; };
  chatty = make "chatty" { script = "while true; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"; };
  lasting = make "lasting" { script = "echo first; busybox sleep 2; echo second; echo x > $out"; };
  fixed = make "fixed" {
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" "here\n";
    script = "echo here > $out";
  };
  local = make "local" { preferLocalBuild = true; script = "echo l > $out"; };
  featured = make "featured" { requiredSystemFeatures = [ "special" ]; script = "echo f > $out"; };
  socket = make "socket" { script = "busybox mkfifo $out"; };
  odd = make "odd" { script = "busybox mkdir $out; echo x > $out/$(printf 'a\\377')"; };
  forbidden = make "forbidden" {
    inherit top;
    allowedReferences = [ ];
    script = "echo $top > $out";
  };
  many = make "many" {
    all = builtins.genList (n: make "part-${toString n}" {
      script = "busybox sleep 0.3; echo ${toString n} > $out";
    }) 30;
    script = "echo $all > $out";
  };
  view = make "view" {
    script = ''
      set +e
      if test -t 2; then log=terminal; fi
      {
        echo $log
        busybox id
        busybox ls /
        busybox ls $NIX_STORE | busybox sort
        busybox env | busybox sort
        busybox hostname
        busybox ip addr | busybox grep -c '^[0-9]'
        busybox pwd
        # /dev/kvm is there for those who ask for it
        busybox ls -la /etc /dev | busybox grep -v kvm | busybox awk '{ print $1, $9 }' | busybox sort
        busybox grep Seccomp: /proc/self/status
      } > $out 2>&1
      true
    '';
  };
}
"#;

/// A store, and a cluster for its builds.
pub struct Case {
    dir: tempfile::TempDir,
    /// The line of the cluster in the setting `builders`.
    pub builders: String,
}

pub struct Ran {
    pub out: String,
    pub err: String,
    pub status: i32,
}

impl Case {
    /// A store for this cluster; on this machine nothing is built.
    pub fn new(builders: &str) -> Self {
        let case = Self { dir: tempfile::tempdir().unwrap(), builders: builders.to_owned() };
        fs::create_dir(case.path("conf")).unwrap();
        case.settings("max-jobs = 0");
        fs::write(case.path("default.nix"), PACKAGES).unwrap();
        fs::create_dir_all(case.path("source/deep")).unwrap();
        fs::write(case.path("source/file"), "source\n").unwrap();
        fs::write(case.path("source/deep/program"), "#!/bin/sh\n").unwrap();
        let program = case.path("source/deep/program");
        fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        case
    }

    pub fn settings(&self, more: &str) {
        let busybox = busybox().unwrap();
        let settings = format!(
            "build-users-group =\nsubstituters =\nsandbox = true\nflake-registry =\n\
             experimental-features = nix-command ca-derivations\n\
             sandbox-paths = /bin/sh={0} /bin/busybox={0}\n\
             builders = {1}\n{more}\n",
            busybox.display(),
            self.builders
        );
        fs::write(self.path("conf/nix.conf"), settings).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command
            .args(line.split(' '))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Ran {
        let output = self.command(line).output().unwrap();
        Ran {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code().unwrap_or(-1),
        }
    }

    pub fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.status, 0, "{line}:\n{}", ran.err);
        ran
    }

    /// What builders saw and wrote down.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for entry in self.path("store").read_dir().unwrap() {
            let path = entry.unwrap().path();
            for file in [path.clone(), path.join("seen")] {
                if let (true, Ok(text)) = (file.is_file(), fs::read_to_string(&file)) {
                    texts.insert(file.display().to_string(), text);
                }
            }
        }
        texts
    }

    /// All valid paths that are no derivations, with the hashes of their contents and their references.
    pub fn contents(&self) -> BTreeMap<String, String> {
        let text = self.ok("nix-store --dump-db").out;
        let store = self.path("store").display().to_string();
        let text = text.replace(&store, "STORE");
        let mut lines = text.lines();
        let mut contents = BTreeMap::new();
        while let Some(path) = lines.next() {
            let (hash, size) = (lines.next().unwrap(), lines.next().unwrap());
            let _deriver = lines.next().unwrap();
            let count: usize = lines.next().unwrap().parse().unwrap();
            let references: Vec<&str> = lines.by_ref().take(count).collect();
            if !path.ends_with(".drv") {
                contents.insert(path.to_owned(), format!("{hash} {size} {references:?}"));
            }
        }
        contents
    }
}

fn cluster() -> Option<(Server, Case)> {
    if !available() {
        return None;
    }
    let server = Server::start();
    let case = Case::new(&format!("reapi://127.0.0.1:{}", server.port));
    Some((server, case))
}

/// Paths in a store elsewhere are others, so both are built in the same place, one after the other.
pub fn same_as_here(case: &Case, attributes: &str) {
    let line = format!("nix-build --no-out-link {attributes}");
    case.ok(&line);
    let elsewhere = case.contents();
    let texts = case.texts();
    case.ok("nix-store --gc");
    assert!(
        !case
            .path("store")
            .read_dir()
            .unwrap()
            .any(|e| { e.unwrap().file_name().to_string_lossy().ends_with("-top") })
    );
    let cluster = case.builders.clone();
    case.ok(&format!("{line} --option max-jobs 2 --option builders "));
    let here = case.contents();
    for (file, text) in case.texts() {
        let other = texts.get(&file).map(String::as_str).unwrap_or_default();
        assert_eq!(other, text, "{file}, built in {cluster}");
    }
    assert_eq!(elsewhere, here, "built in {cluster}");
    assert!(here.keys().any(|path| path.ends_with("-base-link")), "{here:#?}");
}

#[test]
fn a_chain_comes_out_as_on_this_machine() {
    let Some((server, case)) = cluster() else { return };
    same_as_here(&case, "-A top -A ca -A view -A structured");
    let behaviour = &server.behaviour;
    assert_eq!(behaviour.executed.load(Ordering::Relaxed), 6);
    let platform = behaviour.platform.lock().unwrap().clone();
    let names: Vec<&str> = platform.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ISA", "OSFamily"]);
}

#[test]
fn logs_are_kept_and_shown() {
    let Some((_server, case)) = cluster() else { return };
    let ran = case.ok("nix-build --no-out-link default.nix -A base");
    assert!(ran.err.contains("-base.drv' on 'reapi://127.0.0.1:"), "{}", ran.err);
    assert!(ran.err.contains("building base\nto the other stream\n"), "{}", ran.err);
    let log = case.ok(&format!("nix-store --read-log {}", ran.out.lines().next().unwrap())).out;
    assert!(log.starts_with("building base\nto the other stream\n"), "{log}");
}

#[test]
fn failures_are_those_of_the_builder() {
    let Some((server, case)) = cluster() else { return };
    for round in 1..=2 {
        let ran = case.run("nix build -f default.nix fails --no-link");
        assert_eq!(ran.status, 1, "{}", ran.err);
        for part in ["builder failed with exit code 7", "> before the end\n", "> seen\n"] {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
        // a failure that the cluster has kept is tried again
        assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), round);
    }
    let ran = case.run("nix-build --no-out-link -A fails");
    assert_eq!(ran.status, 100, "{}", ran.err);
    let ran = case.run("nix-build --no-out-link -A nothing");
    assert!(ran.err.contains("failed to produce output path for output 'out'"), "{}", ran.err);
    let ran = case.run("nix-build --no-out-link -A socket");
    assert!(ran.err.contains("has an unsupported type"), "{}", ran.err);
    let ran = case.run("nix-build --no-out-link -A forbidden");
    assert!(ran.err.contains("is not allowed to refer to the following paths"), "{}", ran.err);
}

#[test]
fn limits_are_kept() {
    let Some((_server, case)) = cluster() else { return };
    let ran = case.run("nix-build --no-out-link -A slow --timeout 1");
    assert!(ran.err.contains("timed out after 1 seconds"), "{}", ran.err);
    assert_eq!(ran.status, 101);
    let ran = case.run("nix-build --no-out-link -A silent --max-silent-time 1");
    assert!(ran.err.contains("timed out after 1 seconds"), "{}", ran.err);
    let ran = case.run("nix-build --no-out-link -A chatty --option max-build-log-size 100000");
    assert!(ran.err.contains("after writing more than 100000 bytes"), "{}", ran.err);
}

#[test]
fn known_results_are_not_made_again() {
    let Some((server, case)) = cluster() else { return };
    let executed = || server.behaviour.executed.load(Ordering::Relaxed);
    case.ok("nix-build --no-out-link -A top");
    let (first, contents) = (executed(), case.contents());
    assert_eq!(first, 3);
    case.ok("nix-store --gc");
    case.ok("nix-build --no-out-link -A top");
    assert_eq!((executed(), case.contents()), (first, contents));
    // to check means to run
    case.ok("nix-build --no-out-link -A top --check");
    assert_eq!(executed(), first + 1);
}

#[test]
fn inputs_are_sent_once() {
    let Some((server, case)) = cluster() else { return };
    let received = || server.behaviour.received.load(Ordering::Relaxed);
    case.ok("nix-build --no-out-link -A base");
    let before = received();
    assert!(before > 1_000_000, "with the runner");
    // the outputs that it needs were made there
    case.ok("nix-build --no-out-link -A middle");
    assert!(received() - before < 20_000, "{}", received() - before);
}

#[test]
fn a_broken_connection_is_mended() {
    let Some((server, case)) = cluster() else { return };
    server.behaviour.cuts.store(2, Ordering::Relaxed);
    let ran = case.ok("nix-build --no-out-link -A lasting");
    assert!(ran.err.contains("first\nsecond\n"), "{}", ran.err);
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 1);
    assert_eq!(server.behaviour.resumed.load(Ordering::Relaxed), 2);
}

#[test]
fn what_the_server_has_lost_is_sent_again() {
    let Some((server, case)) = cluster() else { return };
    server.behaviour.forget.store(true, Ordering::Relaxed);
    case.ok("nix-build --no-out-link -A top");
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 3);
    assert_eq!(server.behaviour.asked.load(Ordering::Relaxed), 4);
}

#[test]
fn wrong_contents_are_refused() {
    let Some((server, case)) = cluster() else { return };
    server.behaviour.corrupt.store(true, Ordering::Relaxed);
    let address = format!("{}?attempts=2", case.builders);
    let ran = case.run(&format!("nix-build --no-out-link -A base --option builders {address}"));
    assert_ne!(ran.status, 0);
    assert!(ran.err.contains("are not what that name says"), "{}", ran.err);
    assert!(ran.err.contains("on 'reapi://127.0.0.1:"), "{}", ran.err);
    let valid = case.contents();
    assert!(!valid.keys().any(|path| path.contains("-base")), "{valid:?}");
}

#[test]
fn a_server_that_fails_is_told_from_a_build_that_fails() {
    let Some((server, case)) = cluster() else { return };
    *server.behaviour.refuse.lock().unwrap() = Some("you may not".into());
    let ran = case.run("nix-build --no-out-link -A base");
    assert_eq!(ran.status, 1, "{}", ran.err);
    let expected = format!("-base.drv' on '{}': executing the action: you may not", case.builders);
    assert!(ran.err.contains(&expected), "{}", ran.err);
    // on this machine it goes
    let ran = case.ok("nix-build --no-out-link -A base --option max-jobs 1");
    assert!(ran.err.contains("you may not"), "{}", ran.err);
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 0);
    // nobody listens
    let nobody = "reapi://127.0.0.1:1?attempts=1";
    case.ok("nix-store --gc");
    let ran = case.run(&format!("nix-build --no-out-link -A base --option builders {nobody}"));
    assert!(ran.err.contains("connecting to 127.0.0.1, port 1: Connection refused"), "{}", ran.err);
    let ran = case.run("nix-build --no-out-link -A base --option builders reapi://h?x=1");
    assert!(ran.err.contains("there is no parameter 'x'"), "{}", ran.err);
}

#[test]
fn what_is_not_for_clusters_is_built_here() {
    let Some((server, case)) = cluster() else { return };
    case.settings("max-jobs = 2");
    case.ok("nix-build --no-out-link -A fixed -A local");
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 0);
    let ran = case.ok("nix-build --no-out-link -A odd");
    assert!(ran.err.contains("is not UTF-8, which the protocol wants"), "{}", ran.err);
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 1);
    // a cluster that has a feature that this machine has not
    let ran = case.run("nix-build --no-out-link -A featured");
    assert!(ran.err.contains("missing system features"), "{}", ran.err);
    let mut featured = case.command("nix-build --no-out-link -A featured --option builders");
    featured.arg(format!("{} - - 4 1 special", case.builders));
    assert!(featured.output().unwrap().status.success());
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 2);
    let platform = server.behaviour.platform.lock().unwrap().clone();
    assert_eq!(platform[2], ("nix-feature".to_owned(), "special".to_owned()));
}

#[test]
fn secrets_go_to_the_server_and_nowhere_else() {
    let Some((server, case)) = cluster() else { return };
    fs::write(case.path("headers"), "Authorization: Bearer s3cret\n").unwrap();
    let address = format!("{}?headers={}", case.builders, case.path("headers").display());
    let line = format!("nix-build --no-out-link -A base -vvvvv --option builders {address}");
    let ran = case.ok(&line);
    assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    let seen = server.behaviour.authorization.lock().unwrap().clone();
    assert_eq!(seen.as_deref(), Some("Bearer s3cret"));
}

#[test]
fn servers_by_tls_must_be_certified() {
    if !available() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("certificate"), dir.path().join("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no openssl to make a certificate with");
        return;
    }
    let server = Server::start_tls(&certificate, &key);
    let address = format!("reapis://127.0.0.1:{}", server.port);
    let case = Case::new(&format!("{address}?ca-file={}", certificate.display()));
    case.ok("nix-build --no-out-link -A local");
    case.ok("nix-store --gc");
    // by one whom this system does not know
    let strangers = format!("{address}?attempts=1");
    let mut ran = case.command("nix-build --no-out-link -A local --option builders");
    let output = ran.arg(strangers).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("certificate"), "{err}");
    assert_eq!(server.behaviour.executed.load(Ordering::Relaxed), 1);
}

#[test]
fn many_builds_run_at_a_time() {
    let Some((server, case)) = cluster() else { return };
    let ran = case.ok("nix-build --no-out-link -A many -vv");
    // on a machine so busy that a connection is given up, one may be asked for twice
    assert!(server.behaviour.executed.load(Ordering::Relaxed) >= 31, "{}", ran.err);
    let most = server.behaviour.most.load(Ordering::Relaxed);
    assert!(most > 4, "{most}");
    // no more than its line says
    case.ok("nix-store --gc");
    let server = Server::start();
    let mut few = case.command("nix-build --no-out-link -A many --option builders");
    few.arg(format!("reapi://127.0.0.1:{} - - 3", server.port));
    assert!(few.output().unwrap().status.success());
    assert!(server.behaviour.most.load(Ordering::Relaxed) <= 3);
}

#[test]
fn giving_up_cancels_the_execution() {
    let Some((server, case)) = cluster() else { return };
    let mut child = case
        .command("nix-build --no-out-link -A slow")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let wait = |what: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !what() {
            assert!(begin.elapsed() < Duration::from_secs(180));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait(&|| server.behaviour.executed.load(Ordering::Relaxed) == 1);
    Command::new("/bin/sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    child.wait().unwrap();
    wait(&|| server.behaviour.cancelled.load(Ordering::Relaxed) == 1);
    let left = |path: &Path| {
        path.read_dir().unwrap().any(|e| e.unwrap().path().to_string_lossy().contains(".chroot"))
    };
    assert!(!left(&case.path("store")));
}
