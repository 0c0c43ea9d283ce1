//! Flags of `nix` commands as a table: what parses them also prints the help and the completions.
//!
//! Flags of all commands (settings, `-v`, `--store`) are not here but in `common::legacy`.

use crate::common::legacy::{Arguments, Failure, Outcome, usage};

/// One flag.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its name without the dashes.
    pub long: &'static str,
    /// Its one-letter name.
    pub short: Option<char>,
    /// What its values are called; [`REST`] takes all arguments that follow.
    pub labels: &'static [&'static str],
    /// One line about it, without a full stop.
    pub about: &'static str,
}

/// The label of a flag that takes the rest of the command line.
pub const REST: &str = "command…";

/// A flag without values.
pub const fn flag(long: &'static str, short: Option<char>, about: &'static str) -> Flag {
    Flag { long, short, labels: &[], about }
}

/// A flag with values.
pub const fn option(
    long: &'static str,
    short: Option<char>,
    labels: &'static [&'static str],
    about: &'static str,
) -> Flag {
    Flag { long, short, labels, about }
}

/// Of commands that evaluate.
#[rustfmt::skip]
pub const EVALUATION: &[Flag] = &[
    option("arg", None, &["name", "expr"], "pass the value of an expression as argument to functions"),
    option("argstr", None, &["name", "string"], "pass a string as argument to functions"),
    option("arg-from-file", None, &["name", "path"], "pass a file's contents as argument to functions"),
    option("arg-from-stdin", None, &["name"], "pass standard input as argument to functions"),
    option("include", Some('I'), &["path"], "add to the search path of <…>"),
    flag("impure", None, "allow access to mutable paths, the environment and the present time"),
    option("eval-store", None, &["store-url"], "the store for evaluation, to read and write derivations"),
    option("override-flake", None, &["original-ref", "resolved-ref"], "use another flake in place of one"),
];

/// Of commands that take installables.
#[rustfmt::skip]
pub const INSTALLABLES: &[Flag] = &[
    option("file", Some('f'), &["file"], "installables are attribute paths in this file; '-' is standard input"),
    option("expr", None, &["expr"], "installables are attribute paths in this expression"),
];

/// Of commands that read flakes.
#[rustfmt::skip]
pub const LOCKING: &[Flag] = &[
    flag("recreate-lock-file", None, "write the lock file anew"),
    flag("no-update-lock-file", None, "fail if the lock file would have to change"),
    flag("no-write-lock-file", None, "do not write the changed lock file"),
    flag("no-registries", None, "look nothing up in registries"),
    flag("commit-lock-file", None, "commit the changed lock file"),
    option("update-input", None, &["input-path"], "update this input"),
    option("override-input", None, &["input-path", "flake-url"], "use another flake as this input"),
    option("reference-lock-file", None, &["flake-lock-path"], "read the locks from this file"),
    option("output-lock-file", None, &["flake-lock-path"], "write the locks to this file"),
    option("inputs-from", None, &["flake-url"], "use this flake's inputs as registry"),
];

/// Of commands whose arguments stand for store paths.
#[rustfmt::skip]
pub const PATHS: &[Flag] = &[
    flag("all", None, "all valid paths of the store"),
    flag("recursive", Some('r'), "the closures of the paths"),
    flag("derivation", None, "the derivations, not what they build"),
    flag("stdin", None, "read installables from standard input, one a line"),
];

/// Flags of every command of Nix. `common::legacy` takes them; they are here to be shown.
#[rustfmt::skip]
pub const COMMON: &[Flag] = &[
    flag("verbose", Some('v'), "say more; several times, say even more"),
    flag("quiet", None, "say less"),
    flag("debug", None, "say all that helps to find mistakes"),
    option("log-format", None, &["format"], "how to tell what goes on: raw, internal-json, bar or bar-with-logs"),
    option("max-jobs", Some('j'), &["jobs"], "how many builds run at once"),
    flag("keep-failed", Some('K'), "keep the folders of failed builds"),
    flag("keep-going", Some('k'), "go on with other builds when one fails"),
    option("store", None, &["store-url"], "the store to work on"),
    option("option", None, &["name", "value"], "set a setting, see 'nix config show'"),
];

impl Flag {
    /// Whether this is how it is written on a command line, `-x` or `--xyz`.
    pub fn is(&self, arg: &str) -> bool {
        match arg.strip_prefix("--") {
            Some(long) => long == self.long,
            None => {
                let mut chars = arg.chars();
                chars.next() == Some('-') && chars.next() == self.short && chars.next().is_none()
            }
        }
    }
}

/// What a command line gave.
#[derive(Debug, Clone, Default)]
pub struct Given {
    flags: Vec<(&'static str, Vec<String>)>,
    /// Arguments that are no flags.
    pub args: Vec<String>,
    /// What relative paths in arguments start from, if it is not the present folder.
    pub base: Option<std::path::PathBuf>,
}

impl Given {
    /// The folder that relative paths in arguments start from.
    pub fn base(&self) -> std::path::PathBuf {
        self.base.clone().unwrap_or_else(crate::common::eval::current_dir)
    }

    /// Whether a flag was given.
    pub fn has(&self, long: &str) -> bool {
        self.flags.iter().any(|(name, _)| *name == long)
    }

    /// The value of a flag, the last if there are several.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.all(long).last().and_then(|values| values.first()).map(String::as_str)
    }

    /// The values of each time that a flag was given.
    pub fn all(&self, long: &str) -> impl DoubleEndedIterator<Item = &[String]> {
        self.flags.iter().filter(move |(name, _)| *name == long).map(|(_, values)| &values[..])
    }

    /// All flags with their values, as they were given.
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.flags.iter().map(|(name, values)| (*name, &values[..]))
    }

    /// The flags of some groups with their values, as they were given.
    pub fn among(&self, groups: &[&[Flag]]) -> Vec<(&'static str, &[String])> {
        let wanted = |name: &str| groups.iter().any(|g| g.iter().any(|f| f.long == name));
        self.in_order().filter(|(name, _)| wanted(name)).collect()
    }

    /// Notes that a flag was given with these values.
    pub fn add(&mut self, flag: &Flag, values: Vec<String>) {
        self.flags.push((flag.long, values));
    }

    /// Takes a flag that is in one of `groups`.
    pub fn take(
        &mut self,
        arg: &str,
        groups: &[&'static [Flag]],
        rest: &mut Arguments,
    ) -> Outcome<bool> {
        let found = groups.iter().flat_map(|g| g.iter()).find(|f| f.is(arg));
        let Some(found) = found else { return Ok(false) };
        let mut values = Vec::new();
        for (n, label) in found.labels.iter().enumerate() {
            if *label == REST {
                values.extend(rest.remaining());
                if values.is_empty() {
                    return usage(format!("flag '{arg}' requires at least one argument"));
                }
                break;
            }
            match rest.next_value() {
                Some(value) => values.push(value),
                None => {
                    return Err(Failure::Usage(format!(
                        "flag '{arg}' requires {} argument(s), but only {n} were given",
                        found.labels.len()
                    )));
                }
            }
        }
        self.add(found, values);
        Ok(true)
    }
}
