//! What developers do many times a day: shells of a flake, and formatting. The flake is made for it, so that both sides
//! can build it without the network: its shell, and the `bash` of its nixpkgs, are made by the machine's own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::cases::{Case, Store};
use super::own_variables;
use crate::sides::Side;

/// The flake with a shell. `NIXPKGS` stands for the other one's folder, and `SYSTEM` in both for what they are for.
const FLAKE: &str = r#"{
  inputs.nixpkgs.url = "git+file://NIXPKGS";
  outputs = { self, nixpkgs }: {
    devShells.SYSTEM.default = derivation {
      name = "shell";
      system = "SYSTEM";
      builder = "/bin/bash";
      args = [ "-c" ": > $out" ];
      outputs = [ "out" ];
      GREETING = "hello";
    };
  };
}
"#;

/// Where `nix develop` looks for a shell that people can use.
const NIXPKGS: &str = r#"{
  outputs = { self }: {
    legacyPackages.SYSTEM.bashInteractive = derivation {
      name = "bash";
      system = "SYSTEM";
      builder = "/bin/bash";
      args = [ "-c" "/bin/mkdir -p $out/bin; /bin/ln -s /bin/bash $out/bin/bash" ];
    };
  };
}
"#;

/// How many files of nixpkgs are formatted.
const FORMATTED: usize = 4_000;

/// The cases; what they need is made below `scratch` when one of them is to run: see [`prepare`].
pub fn cases(scratch: &Path) -> Vec<Case> {
    let flake = scratch.join("flake").display().to_string();
    let case = |name: &str, what: &str, args: &[&str]| {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Case::new(name, what, "nix", args, Store::Own)
    };
    vec![
        case("develop", "`nix develop -c true`, not the first", &["develop", &flake, "-c", "true"]),
        case("dev-env", "`nix print-dev-env`, not the first", &["print-dev-env", &flake]),
        case("flake-show", "`nix flake show`, not the first", &["flake", "show", &flake]),
    ]
}

/// The case of the formatter, which the reference has not.
pub fn formatting(scratch: &Path) -> Case {
    let what = format!("{FORMATTED} files of nixpkgs formatted, as they are already");
    let args = vec!["fmt".to_owned()];
    let mut case = Case::new("format", &what, "nix", args, Store::Own);
    case.folder = Some(scratch.join("formatted"));
    case.alone = true;
    case
}

/// Makes the flake below `scratch`, locked by our own side.
pub fn prepare(ours: &Side, scratch: &Path) -> Result<(), String> {
    let (flake, nixpkgs) = (scratch.join("flake"), scratch.join("nixpkgs"));
    let system = format!("{}-linux", std::env::consts::ARCH);
    for (folder, text) in [(&nixpkgs, NIXPKGS), (&flake, FLAKE)] {
        let text = text.replace("NIXPKGS", &nixpkgs.display().to_string());
        write(&folder.join("flake.nix"), &text.replace("SYSTEM", &system))?;
        finish(Command::new("git").arg("init").arg("--quiet").arg(folder))?;
        commit(folder)?;
    }
    let variables = own_variables(&scratch.join("ours"))?;
    let variables: Vec<(&str, &str)> = variables.iter().map(|(k, v)| (*k, v.as_str())).collect();
    finish(ours.command("nix", &variables).args(["flake", "lock"]).arg(&flake))?;
    commit(&flake)
}

/// Copies files of nixpkgs to where they are formatted.
pub fn prepare_formatting(nixpkgs: &Path, scratch: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    super::cases::nix_files(&nixpkgs.join("pkgs/by-name"), &mut files)?;
    files.sort();
    files.truncate(FORMATTED);
    let folder = scratch.join("formatted");
    write(&folder.join("flake.nix"), "{ outputs = _: { }; }\n")?;
    for (number, file) in files.iter().enumerate() {
        let to = folder.join(format!("{number}.nix"));
        fs::copy(file, &to).map_err(|e| format!("cannot copy '{file}': {e}"))?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .map_err(|e| format!("cannot write '{}': {e}", file.display()))
}

fn commit(folder: &Path) -> Result<(), String> {
    let git = || {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args([
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
        ]);
        git
    };
    finish(git().args(["add", "."]))?;
    finish(git().args(["commit", "--quiet", "--message", "bench"]))
}

fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("cannot run {command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
