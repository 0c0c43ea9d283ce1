//! The two programs that conformance and benchmarks compare: ours and the reference, and how to call
//! a command of each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dist;

/// What calling without a reference says.
const NO_REFERENCE: &str = "there is no reference to compare with: set NIX_REFERENCE to a folder with C++ Nix's \
     commands (nix-instantiate and the others), or to a command that runs what follows it where they are";

/// How one side's commands are called.
#[derive(Clone, Debug)]
pub enum Side {
    /// A folder that holds the commands.
    Folder(PathBuf),
    /// Words that come before a command's name.
    Prefix(Vec<String>),
}

impl Side {
    /// Our own: those of `FIRN_DIST` if it is set (as tests have it), else newly built.
    pub fn ours() -> Result<Side, String> {
        Ok(Side::Folder(dist_folder()?.join("bin")))
    }

    /// The reference that `NIX_REFERENCE` names, if it does.
    pub fn reference_if_any() -> Result<Option<Side>, String> {
        match std::env::var("NIX_REFERENCE") {
            Ok(text) if !text.trim().is_empty() => Side::parse(&text).map(Some),
            _ => Ok(None),
        }
    }

    /// The reference that `NIX_REFERENCE` names.
    pub fn reference() -> Result<Side, String> {
        Side::reference_if_any()?.ok_or_else(|| NO_REFERENCE.to_owned())
    }

    fn parse(text: &str) -> Result<Side, String> {
        let folder = Path::new(text);
        if folder.is_dir() {
            let wanted = folder.join("nix-instantiate");
            return if wanted.exists() {
                Ok(Side::Folder(folder.to_owned()))
            } else {
                Err(format!("NIX_REFERENCE is '{text}', but there is no '{}'", wanted.display()))
            };
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match words.first() {
            Some(program) if program.contains('/') && !Path::new(program).exists() => {
                Err(format!("NIX_REFERENCE names '{program}', which does not exist"))
            }
            Some(_) => Ok(Side::Prefix(words)),
            None => Err(NO_REFERENCE.to_owned()),
        }
    }

    /// `sh -c` where this side's commands run, to be given a script and its arguments.
    pub fn shell(&self) -> Command {
        let mut words = match self {
            Side::Folder(_) => Vec::new(),
            Side::Prefix(prefix) => prefix.clone(),
        };
        words.extend(["sh".to_owned(), "-c".to_owned()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    /// A command of this side. Variables are set by `env`, because a prefix may lead into another root
    /// with variables of its own.
    pub fn command(&self, name: &str, variables: &[(&str, &str)]) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Side::Prefix(prefix) = self {
            words.extend(prefix.iter().map(OsString::from));
        }
        words.push("env".into());
        words.extend(variables.iter().map(|(k, v)| OsString::from(format!("{k}={v}"))));
        match self {
            Side::Folder(folder) => words.push(folder.join(name).into()),
            Side::Prefix(_) => words.push(name.into()),
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }
}

/// What is installed: `FIRN_DIST` if it is set, else newly built.
pub fn dist_folder() -> Result<PathBuf, String> {
    match std::env::var_os("FIRN_DIST") {
        Some(folder) => {
            let folder = PathBuf::from(folder);
            if folder.join("bin/firn").exists() {
                Ok(folder)
            } else {
                Err(format!("FIRN_DIST is '{}', where there is no bin/firn", folder.display()))
            }
        }
        None => dist::build(),
    }
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn a_reference_is_a_folder_or_a_prefix() {
        assert!(Side::parse("/dev").is_err_and(|e| e.contains("/dev/nix-instantiate")));
        assert!(Side::parse("/nowhere/program run").is_err_and(|e| e.contains("/nowhere/program")));
        let Ok(side) = Side::parse("sudo -u somebody") else { panic!("a prefix") };
        let command = side.command("nix-store", &[("A", "b")]);
        let words: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        assert_eq!(command.get_program(), "sudo");
        assert_eq!(words, ["-u", "somebody", "env", "A=b", "nix-store"]);
    }
}
