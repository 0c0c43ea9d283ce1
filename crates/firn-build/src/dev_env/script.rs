//! The bash code that brings an environment up in a shell that is already running.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{DevEnvironment, NotAnEnvironment, Variable};

/// Variables that stay as the user's shell has them.
const KEPT: [&str; 15] = [
    "BASHOPTS",
    "HOME",
    "NIX_BUILD_TOP",
    "NIX_ENFORCE_PURITY",
    "NIX_LOG_FD",
    "NIX_REMOTE",
    "PPID",
    "SHELLOPTS",
    "SSL_CERT_FILE",
    "TEMP",
    "TEMPDIR",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
];

/// Another one of them, which bash does not let anybody set.
const READ_ONLY: &str = "UID";

/// Variables whose old values are put behind the new ones: for commands, and for their completions.
const JOINED: [&str; 2] = ["PATH", "XDG_DATA_DIRS"];

/// Where things are that a build has elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The folder that stands for the build's outputs.
    pub outputs: &'a Path,
    /// A folder for the files with structured attributes.
    pub attrs: &'a Path,
    /// Further texts to replace, mostly store paths by folders.
    pub redirects: &'a BTreeMap<String, String>,
    /// The folder that stands for that of the build itself; without one the shell makes its own when it starts.
    pub top: Option<&'a Path>,
}

/// The code and the files that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The code.
    pub text: String,
    /// Files to be written before it runs.
    pub files: Vec<(PathBuf, String)>,
}

/// A word as bash reads it.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Script {
    /// The code with everything where a build has it.
    #[must_use]
    pub fn unplaced(env: &DevEnvironment) -> String {
        plain(env, None)
    }

    /// The code for an environment.
    ///
    /// # Errors
    /// If the environment does not say which outputs the build has, or where its structured attributes are.
    pub fn new(env: &DevEnvironment, places: Places<'_>) -> Result<Self, NotAnEnvironment> {
        let mut text = plain(env, places.top);
        let mut replaced: BTreeMap<String, String> = BTreeMap::new();
        for (name, path) in env.outputs()? {
            replaced.insert(path, places.outputs.join(name).to_string_lossy().into_owned());
        }
        for (from, to) in places.redirects {
            replaced.entry(from.clone()).or_insert_with(|| to.clone());
        }
        let mut files = Vec::new();
        if let Some((json, shell)) = &env.structured {
            for (variable, name, contents) in [
                ("NIX_ATTRS_SH_FILE", ".attrs.sh", shell),
                ("NIX_ATTRS_JSON_FILE", ".attrs.json", json),
            ] {
                let file = places.attrs.join(name);
                let there = env
                    .text(variable)
                    .ok_or_else(|| NotAnEnvironment(format!("it has no variable '{variable}'")))?;
                replaced.insert(there.to_owned(), file.to_string_lossy().into_owned());
                files.push((file, contents.clone()));
            }
        }
        for (from, to) in &replaced {
            if !from.is_empty() && from != to {
                text = text.replace(from, to);
            }
        }
        Ok(Self { text, files })
    }
}

/// The code before anything is replaced in it.
fn plain(env: &DevEnvironment, top: Option<&Path>) -> String {
    let mut out = String::from("unset shellHook\n");
    let mut line = |text: std::fmt::Arguments<'_>| {
        // a string takes everything
        let _ = writeln!(out, "{text}");
    };
    for name in JOINED {
        line(format_args!("{name}=${{{name}:-}}"));
        line(format_args!("nix_saved_{name}=\"${name}\""));
    }
    for (name, variable) in &env.variables {
        if KEPT.contains(&name.as_str()) || name == READ_ONLY {
            continue;
        }
        match variable {
            Variable::Text { exported, value } => {
                line(format_args!("{name}={}", quote(value)));
                if *exported {
                    line(format_args!("export {name}"));
                }
            }
            Variable::Array(items) => {
                let items: String = items.iter().map(|i| quote(i) + " ").collect();
                line(format_args!("declare -a {name}=({items})"));
            }
            Variable::Associative(items) => {
                let items: String =
                    items.iter().map(|(k, v)| format!("[{}]={} ", quote(k), quote(v))).collect();
                line(format_args!("declare -A {name}=({items})"));
            }
        }
    }
    for (name, body) in &env.functions {
        line(format_args!("{name} ()\n{{\n{body}}}"));
    }
    for name in JOINED {
        line(format_args!("{name}=\"${name}${{nix_saved_{name}:+:$nix_saved_{name}}}\""));
    }
    match top {
        Some(top) => line(format_args!("export NIX_BUILD_TOP={}", quote(&top.to_string_lossy()))),
        None => line(format_args!("export NIX_BUILD_TOP=\"$(mktemp -d -t nix-shell.XXXXXX)\"")),
    }
    for name in ["TMP", "TMPDIR", "TEMP", "TEMPDIR"] {
        line(format_args!("export {name}=\"$NIX_BUILD_TOP\""));
    }
    line(format_args!("eval \"${{shellHook:-}}\""));
    out
}
