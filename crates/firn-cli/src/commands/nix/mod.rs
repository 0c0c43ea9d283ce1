//! `nix`: the table of its commands; each command or family of commands is a file of its own.

mod bundle;
mod cached;
mod call;
mod complete;
mod config;
mod copy;
mod daemon;
mod derivation;
mod develop;
mod edit;
mod environment;
mod eval;
mod examples;
mod flags;
mod flake;
mod flake_settings;
mod flakes;
mod format;
mod hash;
mod help;
mod installables;
mod key;
pub mod log;
pub mod manual;
mod nar;
mod path_info;
mod profile;
mod realisation;
mod realise;
mod registry;
mod repl;
mod run;
mod search;
mod shebang;
mod store;
mod upgrade;
mod why_depends;

pub use call::Stop;
pub use realise::legacy_failure as build_failure;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use call::Call;
use environment::ENVIRONMENT;
use flags::{EVALUATION, Flag, Given, INSTALLABLES, LOCKING, PATHS, flag, option};

use crate::common::legacy::{self, Common, Outcome, Taken};

/// A command of `nix`.
pub struct Command {
    /// Its words, as in `store gc`.
    path: &'static str,
    /// One line about it, without a full stop.
    about: &'static str,
    /// What its arguments are called.
    arguments: &'static str,
    /// Its flags.
    flags: &'static [&'static [Flag]],
    run: fn(&mut Call<'_>) -> Outcome,
}

/// Words that begin several commands, with what they have in common.
const FAMILIES: &[(&str, &str)] = &[
    ("config", "manipulate the Nix configuration"),
    ("env", "manipulate the process environment"),
    ("flake", "manage Nix flakes"),
    ("derivation", "work with derivations, Nix's notion of a build plan"),
    ("formatter", "build or run the formatter"),
    ("hash", "compute and convert cryptographic hashes"),
    ("key", "generate and convert Nix signing keys"),
    ("nar", "create or inspect NAR files"),
    ("profile", "manage Nix profiles"),
    ("realisation", "manipulate a Nix realisation"),
    ("registry", "manage the flake registry"),
    ("store", "manipulate a Nix store"),
];

/// All commands by their words.
#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { path: "build", about: "build a derivation or fetch a store path", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, realise::LINKS, realise::BUILD], run: realise::build },
    Command { path: "bundle", about: "bundle an application so that it works outside of the Nix store", arguments: "[installable]", flags: &[INSTALLABLES, EVALUATION, LOCKING, bundle::FLAGS], run: bundle::bundle },
    Command { path: "config check", about: "check your system for potential problems", arguments: "", flags: &[], run: config::check },
    Command { path: "config show", about: "show the Nix configuration or the value of a specific setting", arguments: "[name]", flags: &[JSON], run: config::show },
    Command { path: "copy", about: "copy paths between Nix stores", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, copy::FLAGS], run: copy::run },
    Command { path: "daemon", about: "daemon to perform store operations on behalf of non-root clients", arguments: "", flags: &[daemon::FLAGS], run: daemon::run },
    Command { path: "derivation add", about: "add a store derivation", arguments: "", flags: &[derivation::ADD], run: derivation::add },
    Command { path: "derivation show", about: "show the contents of a store derivation", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, RECURSIVE], run: derivation::show },
    Command { path: "develop", about: "run a bash shell that provides the build environment of a derivation", arguments: "[installable]", flags: &[INSTALLABLES, EVALUATION, LOCKING, ENVIRONMENT, develop::SHELLS, develop::FLAGS], run: develop::develop },
    Command { path: "edit", about: "open the Nix expression of a Nix package in $EDITOR", arguments: "installable", flags: &[INSTALLABLES, EVALUATION, LOCKING], run: edit::run },
    Command { path: "env shell", about: "run a shell in which the specified packages are available", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, ENVIRONMENT, run::COMMAND], run: run::shell },
    Command { path: "eval", about: "evaluate a Nix expression", arguments: "[installable]", flags: &[INSTALLABLES, EVALUATION, LOCKING, JSON, eval::FLAGS], run: eval::run },
    Command { path: "flake archive", about: "copy a flake and all its inputs to a store", arguments: "[flake-url]", flags: &[EVALUATION, LOCKING, JSON, flake::copy::ARCHIVE], run: flake::copy::archive },
    Command { path: "flake check", about: "check whether the flake evaluates and run its tests", arguments: "[flake-url]", flags: &[EVALUATION, LOCKING, flake::CHECK], run: flake::check::run },
    Command { path: "flake clone", about: "clone flake repository", arguments: "flake-url", flags: &[EVALUATION, LOCKING, flake::copy::CLONE], run: flake::copy::clone },
    Command { path: "flake info", about: "show flake metadata", arguments: "[flake-url]", flags: &[EVALUATION, LOCKING, JSON], run: flake::metadata::run },
    Command { path: "flake init", about: "create a flake in the current directory from a template", arguments: "", flags: &[EVALUATION, LOCKING, flake::init::FLAGS], run: flake::init::init },
    Command { path: "flake lock", about: "create missing lock file entries", arguments: "[flake-url]", flags: &[EVALUATION, LOCKING], run: flake::lock },
    Command { path: "flake metadata", about: "show flake metadata", arguments: "[flake-url]", flags: &[EVALUATION, LOCKING, JSON], run: flake::metadata::run },
    Command { path: "flake new", about: "create a flake in the specified directory from a template", arguments: "dest-dir", flags: &[EVALUATION, LOCKING, flake::init::FLAGS], run: flake::init::new },
    Command { path: "flake prefetch", about: "download the source tree denoted by a flake reference into the Nix store", arguments: "flake-url", flags: &[EVALUATION, LOCKING, JSON, flake::copy::PREFETCH], run: flake::copy::prefetch },
    Command { path: "flake show", about: "show the outputs provided by a flake", arguments: "[flake-url]", flags: &[EVALUATION, LOCKING, JSON, flake::SHOW], run: flake::show::run },
    Command { path: "flake update", about: "update flake lock file", arguments: "[inputs]…", flags: &[EVALUATION, LOCKING, flake::FLAKE], run: flake::update },
    Command { path: "fmt", about: "reformat your code in the standard style", arguments: "[args]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, JSON, format::CHECK], run: format::fmt },
    Command { path: "formatter build", about: "build the current flake's formatter", arguments: "", flags: &[INSTALLABLES, EVALUATION, LOCKING, realise::LINKS], run: format::build },
    Command { path: "formatter run", about: "reformat your code in the standard style", arguments: "[args]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, JSON], run: format::run },
    Command { path: "hash convert", about: "convert between hash formats", arguments: "hashes…", flags: &[hash::CONVERT], run: hash::convert },
    Command { path: "hash file", about: "print cryptographic hash of a regular file", arguments: "paths…", flags: &[hash::FORMATS], run: hash::file },
    Command { path: "hash path", about: "print cryptographic hash of the NAR serialisation of a path", arguments: "paths…", flags: &[hash::FORMATS, hash::MODE], run: hash::path },
    Command { path: "hash to-base16", about: "convert a hash to base-16 representation", arguments: "hashes…", flags: &[hash::TYPE], run: hash::to_base16 },
    Command { path: "hash to-base32", about: "convert a hash to base-32 representation", arguments: "hashes…", flags: &[hash::TYPE], run: hash::to_base32 },
    Command { path: "hash to-base64", about: "convert a hash to base-64 representation", arguments: "hashes…", flags: &[hash::TYPE], run: hash::to_base64 },
    Command { path: "hash to-sri", about: "convert a hash to SRI representation", arguments: "hashes…", flags: &[hash::TYPE], run: hash::to_sri },
    Command { path: "key convert-secret-to-public", about: "generate a public key for verifying store paths from a secret key read from standard input", arguments: "", flags: &[], run: key::convert },
    Command { path: "key generate-secret", about: "generate a secret key for signing store paths", arguments: "", flags: &[key::GENERATE], run: key::generate },
    Command { path: "log", about: "show the build log of the specified packages or paths, if available", arguments: "installable", flags: &[INSTALLABLES, EVALUATION, LOCKING], run: log::run },
    Command { path: "nar cat", about: "print the contents of a file inside a NAR file on stdout", arguments: "nar path", flags: &[], run: nar::cat },
    Command { path: "nar dump-path", about: "serialise a path to stdout in NAR format", arguments: "path", flags: &[], run: nar::pack },
    Command { path: "nar ls", about: "show information about a path inside a NAR file", arguments: "nar path", flags: &[JSON, nar::LS], run: nar::ls },
    Command { path: "nar pack", about: "serialise a path to stdout in NAR format", arguments: "path", flags: &[], run: nar::pack },
    Command { path: "path-info", about: "query information about store paths", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, JSON, path_info::FLAGS], run: path_info::run },
    Command { path: "print-dev-env", about: "print shell code that can be sourced by bash to reproduce the build environment of a derivation", arguments: "[installable]", flags: &[INSTALLABLES, EVALUATION, LOCKING, JSON, develop::SHELLS], run: develop::print_dev_env },
    Command { path: "profile add", about: "add a package to a profile", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, profile::PROFILE, profile::ADD], run: profile::add },
    Command { path: "profile diff-closures", about: "show the closure difference between each version of a profile", arguments: "", flags: &[profile::PROFILE], run: profile::diff_closures },
    Command { path: "profile history", about: "show all versions of a profile", arguments: "", flags: &[EVALUATION, profile::PROFILE], run: profile::history },
    Command { path: "profile list", about: "list packages in the profile", arguments: "", flags: &[EVALUATION, JSON, profile::PROFILE], run: profile::list },
    Command { path: "profile remove", about: "remove packages from a profile", arguments: "[elements]…", flags: &[EVALUATION, profile::PROFILE, profile::MATCH], run: profile::remove },
    Command { path: "profile rollback", about: "roll back to the previous version or a specified version of a profile", arguments: "", flags: &[profile::PROFILE, profile::DRY, profile::ROLLBACK], run: profile::rollback },
    Command { path: "profile upgrade", about: "upgrade packages using their most recent flake", arguments: "[elements]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, profile::PROFILE, profile::MATCH], run: profile::upgrade },
    Command { path: "profile wipe-history", about: "delete non-current versions of a profile", arguments: "", flags: &[profile::PROFILE, profile::DRY, profile::WIPE], run: profile::wipe_history },
    Command { path: "realisation info", about: "query information about one or several realisations", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, JSON], run: realisation::info },
    Command { path: "registry add", about: "add/replace flake in user flake registry", arguments: "from-url to-url", flags: &[EVALUATION, registry::FLAGS], run: registry::add },
    Command { path: "registry list", about: "list available Nix flakes", arguments: "", flags: &[EVALUATION], run: registry::list },
    Command { path: "registry pin", about: "pin a flake to its current version or to the current version of a flake URL", arguments: "url [locked]", flags: &[EVALUATION, registry::FLAGS], run: registry::pin },
    Command { path: "registry remove", about: "remove flake from user flake registry", arguments: "url", flags: &[EVALUATION, registry::FLAGS], run: registry::remove },
    Command { path: "registry resolve", about: "resolve flake references using the registry", arguments: "url…", flags: &[EVALUATION], run: registry::resolve },
    Command { path: "repl", about: "start an interactive environment for evaluating Nix expressions", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING], run: repl::run },
    Command { path: "run", about: "run a Nix application", arguments: "[installable] [args]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, ENVIRONMENT], run: run::run },
    Command { path: "search", about: "search for packages", arguments: "installable regex…", flags: &[INSTALLABLES, EVALUATION, LOCKING, JSON, search::FLAGS], run: search::run },
    Command { path: "shell", about: "run a shell in which the specified packages are available", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, ENVIRONMENT, run::COMMAND], run: run::shell },
    Command { path: "store add", about: "add a file or directory to the Nix store", arguments: "path", flags: &[store::add::FLAGS, store::add::MODE], run: store::add::add },
    Command { path: "store add-file", about: "deprecated alias for nix store add --mode flat", arguments: "path", flags: &[store::add::FLAGS], run: store::add::add_file },
    Command { path: "store add-path", about: "deprecated alias for nix store add", arguments: "path", flags: &[store::add::FLAGS, store::add::MODE], run: store::add::add },
    Command { path: "store cat", about: "print the contents of a file in the Nix store on stdout", arguments: "path", flags: &[], run: store::cat },
    Command { path: "store copy-log", about: "copy build logs between Nix stores", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, store::exchange::FROM_TO], run: store::exchange::copy_log },
    Command { path: "store copy-sigs", about: "copy store path signatures from substituters", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, store::exchange::SUBSTITUTERS], run: store::exchange::copy_sigs },
    Command { path: "store delete", about: "delete paths from the Nix store", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, store::DELETE], run: store::delete },
    Command { path: "store diff-closures", about: "show what packages and versions were added and removed between two closures", arguments: "before after", flags: &[INSTALLABLES, EVALUATION, LOCKING], run: why_depends::diff_closures },
    Command { path: "store dump-path", about: "serialise a store path to stdout in NAR format", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING], run: store::dump_path },
    Command { path: "store gc", about: "perform garbage collection on a Nix store", arguments: "", flags: &[store::GC], run: store::gc },
    Command { path: "store info", about: "test whether a store can be accessed", arguments: "", flags: &[JSON], run: store::info },
    Command { path: "store ls", about: "show information about a path in the Nix store", arguments: "path", flags: &[JSON, nar::LS], run: store::ls },
    Command { path: "store make-content-addressed", about: "rewrite a path or closure to content-addressed form", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, JSON, store::exchange::FROM_TO], run: store::exchange::make_content_addressed },
    Command { path: "store optimise", about: "replace identical files in the store by hard links", arguments: "", flags: &[], run: store::optimise },
    Command { path: "store path-from-hash-part", about: "get a store path from its hash part", arguments: "hash-part", flags: &[], run: store::path_from_hash_part },
    Command { path: "store ping", about: "test whether a store can be accessed", arguments: "", flags: &[JSON], run: store::info },
    Command { path: "store prefetch-file", about: "download a file into the Nix store", arguments: "url", flags: &[JSON, store::prefetch::FLAGS], run: store::prefetch::run },
    Command { path: "store repair", about: "repair store paths", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS], run: store::repair },
    Command { path: "store sign", about: "sign store paths with a local key", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, store::SIGN], run: store::sign },
    Command { path: "store verify", about: "verify the integrity of store paths", arguments: "[installables]…", flags: &[INSTALLABLES, EVALUATION, LOCKING, PATHS, store::VERIFY], run: store::verify },
    Command { path: "upgrade-nix", about: "upgrade Nix to the latest stable version", arguments: "", flags: &[upgrade::FLAGS], run: upgrade::run },
    Command { path: "why-depends", about: "show why a package has another package in its closure", arguments: "package dependency", flags: &[INSTALLABLES, EVALUATION, LOCKING, why_depends::FLAGS], run: why_depends::run },
];

/// Names that commands had before.
const ALIASES: &[(&str, &str)] = &[
    ("add-to-store", "store add-path"),
    ("cat-nar", "nar cat"),
    ("cat-store", "store cat"),
    ("copy-sigs", "store copy-sigs"),
    ("doctor", "config check"),
    ("dump-path", "store dump-path"),
    ("hash-file", "hash file"),
    ("hash-path", "hash path"),
    ("ls-nar", "nar ls"),
    ("ls-store", "store ls"),
    ("make-content-addressable", "store make-content-addressed"),
    ("optimise-store", "store optimise"),
    ("ping-store", "store info"),
    ("profile install", "profile add"),
    ("show-config", "config show"),
    ("show-derivation", "derivation show"),
    ("sign-paths", "store sign"),
    ("verify", "store verify"),
];

/// Of commands that can print JSON.
const JSON: &[Flag] = &[
    flag("json", None, "print JSON"),
    flag("pretty", None, "print JSON with line breaks"),
    flag("no-pretty", None, "print JSON on one line"),
];

/// Of commands that follow references.
const RECURSIVE: &[Flag] = &[flag("recursive", Some('r'), "include what they depend on")];

/// Before any command.
const GLOBAL: &[Flag] = &[
    flag("help", None, "show what a command does"),
    flag("version", None, "show the version"),
    flag("offline", None, "use no substituters, and what was fetched before"),
    flag("refresh", None, "take nothing that was fetched before for granted"),
    flag("print-build-logs", Some('L'), "print the logs of builds"),
    flag("no-print-build-logs", None, "do not"),
    flag("no-net", None, "as --offline"),
    flag("repair", None, "build or fetch again what is damaged"),
    option("cores", None, &["number"], "cores for each build"),
];

/// Runs `nix`.
pub fn run(name: &str, mut args: Vec<OsString>) -> ExitCode {
    if args.first().is_some_and(|arg| arg == "__build-remote") {
        args.remove(0);
        return crate::commands::build_remote::run(name, args);
    }
    legacy::run("nix", |out| {
        if let Some(word) = std::env::var_os(complete::VARIABLE) {
            // a shell asks, and has no use for anything that is not a number
            let word = word.to_str().and_then(|w| w.parse().ok()).unwrap_or(0);
            return complete::run(word, args, out);
        }
        let mut chosen = Chosen::default();
        let mut given = Given::default();
        let args = match shebang::expand(&args, &is_word)? {
            Some((args, dir)) => {
                given.base = Some(dir);
                args
            }
            None => args,
        };
        let common = Common::parse("nix", args, |common, arg, rest| {
            if arg.starts_with('-') && arg != "-" && !rest.only_arguments() {
                let mut groups: Vec<&'static [Flag]> = Vec::new();
                if let Some(command) = chosen.command {
                    groups.extend(command.flags);
                }
                groups.push(GLOBAL);
                if given.take(arg, &groups, rest)? {
                    return Ok(Taken::Yes);
                }
                if arg == "-k" {
                    common.keep_going()?;
                    return Ok(Taken::Yes);
                }
                groups.push(flags::COMMON);
                let own = groups.iter().flat_map(|group| group.iter()).map(|flag| flag.long);
                let settings = firn_store::settings::SETTINGS.iter().map(|s| s.name);
                let known: BTreeSet<String> =
                    own.chain(settings).map(|name| format!("--{name}")).collect();
                let hint = legacy::did_you_mean(known.iter().map(String::as_str), arg);
                return legacy::usage(format!("unrecognised flag '{arg}'{hint}"));
            }
            if chosen.command.is_none() {
                chosen.word(arg)?;
            } else {
                given.args.push(arg.to_owned());
            }
            Ok(Taken::Yes)
        })?;
        // these came with a feature of C++ Nix, and who leaves that out does not expect them
        let newer = ["print-build-logs", "offline", "refresh"].iter().any(|flag| given.has(flag));
        let settings = &common.settings;
        if newer && settings.chooses_features() && !settings.has_feature("nix-command") {
            return legacy::fail(legacy::disabled("nix-command"));
        }
        if given.has("version") {
            return Ok(write!(out, "{}", common.version()?)?);
        }
        let words = chosen.words.join(" ");
        let asked = given.has("help") || chosen.help;
        if !asked && words == "__dump-cli" {
            return help::dump(out);
        }
        let Some(command) = chosen.command.filter(|_| !asked) else {
            return help::print(out, chosen.command, &words, asked);
        };
        let mut call = Call::new(common, given, out)?;
        (command.run)(&mut call)
    })
}

/// Whether a command begins with this word: then it is not meant as a file.
fn is_word(word: &str) -> bool {
    COMMANDS.iter().any(|c| c.path.split(' ').next() == Some(word))
        || ALIASES.iter().any(|(old, _)| *old == word)
}

/// The command that words lead to.
#[derive(Default)]
struct Chosen {
    words: Vec<String>,
    /// Whether `help` stands before them.
    help: bool,
    command: Option<&'static Command>,
}

impl Chosen {
    /// Takes the next word.
    fn word(&mut self, word: &str) -> Outcome {
        if word == "help" && self.words.is_empty() {
            self.help = true;
            return Ok(());
        }
        self.words.push(word.to_owned());
        let mut words = self.words.join(" ");
        if let Some((_, now)) = ALIASES.iter().find(|(old, _)| *old == words) {
            words = (*now).to_owned();
        }
        self.command = COMMANDS.iter().find(|c| c.path == words);
        let family = FAMILIES.iter().any(|(name, _)| *name == words);
        if self.command.is_some() || family || words == "__dump-cli" {
            return Ok(());
        }
        let known: Vec<&str> = COMMANDS
            .iter()
            .map(|c| c.path)
            .filter(|path| path.split(' ').count() >= self.words.len())
            .collect();
        help::unknown(&self.words, &known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_whole() {
        let paths: Vec<&str> = COMMANDS.iter().map(|c| c.path).collect();
        let mut sorted = paths.clone();
        sorted.sort_unstable();
        assert_eq!(paths, sorted);
        for path in &paths {
            if let Some((family, _)) = path.split_once(' ') {
                assert!(FAMILIES.iter().any(|(name, _)| *name == family), "{path}");
            }
        }
    }

    #[test]
    fn no_command_has_a_flag_twice() {
        for command in COMMANDS {
            let mut seen = std::collections::BTreeSet::new();
            for flag in command.flags.iter().flat_map(|g| g.iter()) {
                assert!(seen.insert(flag.long), "--{} in {}", flag.long, command.path);
                if let Some(short) = flag.short {
                    assert!(seen.insert(short.to_string().leak()), "-{short} in {}", command.path);
                }
            }
        }
    }
}
