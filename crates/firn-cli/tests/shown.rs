//! What the commands print, as snapshots in `snapshots/`: help, progress without a terminal, tables, and
//! what is said of bad input. A difference fails; `INSTA_UPDATE=always cargo test -p firn-cli --test shown`
//! takes over what is printed now, for review in the commit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Case {
    dir: tempfile::TempDir,
}

fn case() -> Case {
    let case = Case { dir: tempfile::tempdir().unwrap() };
    std::fs::create_dir(case.path("conf")).unwrap();
    // one thread: how many steps are folded in an error can differ by one or two with several
    let conf = "build-users-group =\nsubstituters =\nsandbox = false\nconnect-timeout = 2\ndownload-attempts = 1\neval-cores = 1\n";
    std::fs::write(case.path("conf/nix.conf"), conf).unwrap();
    case
}

impl Case {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The command with words from a line, in an environment of its own.
    fn command(&self, line: &str) -> Command {
        let distribution = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../distribution");
        let mut command = Command::new(env!("CARGO_BIN_EXE_firn"));
        command
            .args(line.split(' '))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_REMOTE", self.path("root"))
            .env("FIRN_DISTRIBUTION", distribution.canonicalize().unwrap())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// What a command prints and how it ends, with this case's folder named `/case`.
    fn shown(&self, line: &str) -> String {
        self.finish(line, self.command(line))
    }

    fn finish(&self, line: &str, mut command: Command) -> String {
        let output = command.output().unwrap();
        let mut text = format!("$ {line}\n");
        for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            if !bytes.is_empty() {
                let said = String::from_utf8(bytes).unwrap();
                text.push_str(&format!("--- {name}\n{said}"));
                if !said.ends_with('\n') {
                    text.push('\n');
                }
            }
        }
        text.push_str(&format!("--- {}\n", output.status));
        let distribution = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../distribution");
        text.replace(self.path("").to_str().unwrap().trim_end_matches('/'), "/case")
            .replace(distribution.canonicalize().unwrap().to_str().unwrap(), "/distribution")
    }
}

/// The words that begin the indented lines of `firn --help`: all commands.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .filter(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn help() {
    let case = case();
    let help = case.shown("--help");
    insta::assert_snapshot!("help", help);
    let commands = commands(&help);
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        let name = format!("help-{command}");
        insta::assert_snapshot!(name, case.shown(&format!("{command} --help")));
    }
}

#[test]
fn wrong_calls() {
    let case = case();
    let lines = [
        "nix-buidl",
        "nix-build --foo",
        "nix-instantiate --eval --arg x",
        "nix-store",
        "nix-hash --type foo x",
        "nixos-rebuild",
        "nixos-rebuild swich",
        "os",
        "os try",
    ];
    let shown: Vec<String> = lines.iter().map(|line| case.shown(line)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn missing_files() {
    let case = case();
    let lines = [
        "nix-build",
        "nix-build missing.nix",
        "nix-instantiate --eval ./missing.nix",
        "nix-instantiate --eval -E <missing>",
        "nix-instantiate --eval -E import(./missing.nix)",
        "nix-store --add missing",
        "nixos-rebuild build -I nixos-config=./missing.nix",
    ];
    let shown: Vec<String> = lines.iter().map(|line| case.shown(line)).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn syntax_errors() {
    let case = case();
    case.write("semicolon.nix", "{\n  a = 1\n  b = 2;\n}\n");
    case.write("brace.nix", "{\n  a = [ 1 2 ;\n}\n");
    case.write("string.nix", "let\n  x = \"not closed;\nin x\n");
    case.write("twice.nix", "{\n  a.b = 1;\n  a.b = 2;\n}\n");
    case.write("unbound.nix", "let\n  version = 1;\nin\nverison + 1\n");
    let shown: Vec<String> = ["semicolon", "brace", "string", "twice", "unbound"]
        .iter()
        .map(|name| case.shown(&format!("nix-instantiate --eval {name}.nix")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn evaluation_errors() {
    let case = case();
    case.write("name.nix", "let\n  services.nginx.enable = true;\nin\nservices.ngnix.enable\n");
    case.write("argument.nix", "let\n  f = { name, version }: name;\nin\nf { name = 1; }\n");
    case.write("add.nix", "let\n  port = 80;\nin\n\"http://localhost:\" + port\n");
    case.write("loop.nix", "let\n  a = b;\n  b = a;\nin a\n");
    let shown: Vec<String> = ["name", "argument", "add", "loop"]
        .iter()
        .map(|name| case.shown(&format!("nix-instantiate --eval {name}.nix")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn option_errors() {
    let case = case();
    // stands for the program that a system is given, which only an installed one has beside it
    case.write("program", "");
    case.write(
        "type.nix",
        r#"{
  nixpkgs.config.firn.binary = ./program;
  boot.loader.grub.enable = false;
  fileSystems."/" = { device = "/dev/vda1"; fsType = "ext4"; };
  services.openssh.enable = true;
  networking.firewall.allowedTCPPorts = "80";
}
"#,
    );
    case.write(
        "unknown.nix",
        "{\n  nixpkgs.config.firn.binary = ./program;\n  services.ngnix.enable = true;\n}\n",
    );
    let shown: Vec<String> = ["type", "unknown"]
        .iter()
        .map(|name| {
            case.shown(&format!(
                "nixos-rebuild build -I nixos-config={}.nix",
                case.path(name).display()
            ))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

/// A derivation that a fetch of `url` makes.
fn fetch(url: &str) -> String {
    format!(
        "derivation {{\n  name = \"source\";\n  system = \"builtin\";\n  builder = \"builtin:fetchurl\";\n  url = \"{url}\";\n  outputHashMode = \"flat\";\n  outputHash = \"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\";\n}}\n"
    )
}

#[test]
fn failed_downloads() {
    let case = case();
    case.write("unreachable.nix", &fetch("http://127.0.0.1:9/source"));
    case.write("missing.nix", &fetch("file:///nowhere/source"));
    let shown: Vec<String> = ["unreachable", "missing"]
        .iter()
        .map(|name| case.shown(&format!("nix-build --no-out-link {name}.nix")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    // the port is in the derivation and so in its hash
    let port = serve("hello\n");
    case.write("mismatch.nix", &fetch(&format!("http://127.0.0.1:{port}/source")));
    let mismatch = case.shown("nix-build --no-out-link mismatch.nix");
    insta::assert_snapshot!("hash_mismatch", without_hashes(&mismatch));
}

/// Answers every request with this text for as long as the test runs; gives the port.
fn serve(text: &'static str) -> u16 {
    use std::io::{BufRead as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = std::io::BufReader::new(stream.try_clone().unwrap());
            let _ = request.lines().find(|line| line.as_ref().is_ok_and(String::is_empty));
            let length = text.len();
            // whoever asked may be gone
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
            );
        }
    });
    port
}

#[cfg(target_arch = "x86_64")]
/// A program for x86-64 that is one illegal instruction: an ELF header, a program header, and it.
fn crashing_program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |bytes: &mut Vec<u8>, n: u16| bytes.extend(n.to_le_bytes());
    let word = |bytes: &mut Vec<u8>, n: u32| bytes.extend(n.to_le_bytes());
    let long = |bytes: &mut Vec<u8>, n: u64| bytes.extend(n.to_le_bytes());
    half(&mut bytes, 2); // an executable
    half(&mut bytes, 62); // for x86-64
    word(&mut bytes, 1);
    long(&mut bytes, 0x40_0078); // entry
    long(&mut bytes, 64); // program headers
    long(&mut bytes, 0);
    word(&mut bytes, 0);
    for n in [64, 56, 1, 0, 0, 0] {
        half(&mut bytes, n);
    }
    word(&mut bytes, 1); // PT_LOAD
    word(&mut bytes, 5); // readable and executable
    for n in [0, 0x40_0000, 0x40_0000, 122, 122, 0x1000] {
        long(&mut bytes, n);
    }
    bytes.extend([0x0f, 0x0b]); // ud2
    bytes
}

/// A text whose store paths have the hash `HASH`.
fn without_hashes(text: &str) -> String {
    let mut parts = text.split("/nix/store/");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push_str("/nix/store/HASH");
        out.push_str(part.get(32..).unwrap_or(part));
    }
    out
}

#[cfg(target_arch = "x86_64")]
#[test]
fn builds() {
    let case = case();
    let shell = |name: &str, script: &str| {
        format!(
            "derivation {{ name = \"{name}\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" {script:?} ]; }}"
        )
    };
    case.write("good.nix", &shell("good", "echo building; echo a result > $out"));
    case.write("failing.nix", &shell("failing", "echo a line of the log; exit 3"));
    std::fs::write(case.path("crash"), crashing_program()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(case.path("crash"), mode).unwrap();
    case.write(
        "killed.nix",
        "derivation { name = \"killed\"; system = \"x86_64-linux\"; builder = ./crash; }",
    );
    case.write("nothing.nix", &shell("nothing", "true"));
    case.write(
        "needs.nix",
        "derivation { name = \"needs\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; args = [ (import ./failing.nix) ]; }",
    );
    case.write(
        "foreign.nix",
        "derivation { name = \"foreign\"; system = \"m68k-linux\"; builder = \"/bin/sh\"; }",
    );
    let shown: Vec<String> = ["good", "good", "failing", "killed", "nothing", "needs", "foreign"]
        .iter()
        .map(|name| case.shown(&format!("nix-build --no-out-link {name}.nix")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
    insta::assert_snapshot!(
        "json_log",
        case.shown("nix-build --no-out-link --log-format internal-json failing.nix")
    );
}

#[test]
fn missing_qemu() {
    let case = case();
    case.write("configuration.nix", "{ }\n");
    let line = "os try --vm ./configuration.nix";
    let mut command = case.command(line);
    command.env("PATH", case.path("nothing"));
    insta::assert_snapshot!(case.finish(line, command));
}

#[test]
fn generations() {
    let case = case();
    let profile = case.path("profiles/system");
    std::fs::create_dir(case.path("profiles")).unwrap();
    for number in 1..=3 {
        let system = case.path(&format!("system-{number}"));
        std::fs::create_dir(&system).unwrap();
        std::fs::write(system.join("nixos-version"), format!("12.{number}")).unwrap();
        let link = case.path(&format!("profiles/system-{number}-link"));
        std::os::unix::fs::symlink(&system, &link).unwrap();
    }
    std::os::unix::fs::symlink("system-2-link", &profile).unwrap();
    let line = "nix-env --list-generations -p PROFILE";
    let mut command = case.command("nix-env --list-generations -p");
    command.arg(&profile);
    insta::assert_snapshot!(without_times(&case.finish(line, command)));
}

/// A text whose dates and times are the same on every day.
fn without_times(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}
