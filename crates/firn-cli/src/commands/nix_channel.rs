//! `nix-channel`: named places of expressions, which are downloaded into a profile.
//!
//! The list is `~/.nix-channels`, a URL and a name on each line. What is there is unpacked by
//! `builtin:unpack-channel` and put into the profile `channels` by `nix-env`, as C++ Nix does.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use firn_eval::io::Fetch;
use firn_store::profile;

use crate::common::build::Workbench;
use crate::common::legacy::{self, Common, Failure, Outcome, Taken, fail, usage};

/// Makes the derivation that unpacks a channel.
const UNPACK: &str = r#"{ src, channelName, name }:
derivation {
  builder = "builtin:unpack-channel";
  system = "builtin";
  inherit name channelName src;
  preferLocalBuild = true;
}
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Remove,
    List,
    Update,
    ListGenerations,
    Rollback,
}

/// Runs `nix-channel`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-channel", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let (mut operation, mut instead, mut arguments) = (None, None, Vec::new());
    let common = Common::parse("nix-channel", args, |_, arg, _| {
        operation = Some(match arg {
            "--add" => Operation::Add,
            "--remove" => Operation::Remove,
            "--list" => Operation::List,
            "--update" => Operation::Update,
            "--list-generations" => Operation::ListGenerations,
            "--rollback" => Operation::Rollback,
            "--help" => {
                instead = Some(HELP.to_owned());
                return Ok(Taken::Yes);
            }
            "--version" => {
                instead = Some(format!("nix-channel (Nix) {}\n", crate::common::NIX_VERSION));
                return Ok(Taken::Yes);
            }
            _ if arg.starts_with('-') => return usage(format!("unsupported argument '{arg}'")),
            _ => {
                arguments.push(arg.to_owned());
                return Ok(Taken::Yes);
            }
        });
        Ok(Taken::Yes)
    })?;
    if let Some(text) = instead {
        return Ok(out.write_all(text.as_bytes())?);
    }
    let Some(operation) = operation else { return usage("no command specified") };
    let channels = Channels::new(&common)?;
    match (operation, &arguments[..]) {
        (Operation::Add, [url]) => {
            let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let name = name.strip_suffix("-unstable").unwrap_or(name);
            channels.add(url, name.strip_suffix("-stable").unwrap_or(name))
        }
        (Operation::Add, [url, name]) => channels.add(url, name),
        (Operation::Add, _) => usage("'--add' requires one or two arguments"),
        (Operation::Remove, [name]) => {
            let mut list = channels.read()?;
            list.remove(name);
            channels.write(&list)?;
            channels.nix_env(&["--uninstall", name])
        }
        (Operation::Remove, _) => usage("'--remove' requires one argument"),
        (Operation::List, []) => {
            for (name, url) in channels.read()? {
                writeln!(out, "{name} {url}")?;
            }
            Ok(())
        }
        (Operation::List, _) => usage("'--list' expects no arguments"),
        (Operation::Update, names) => channels.update(names),
        (Operation::ListGenerations, []) => channels.nix_env(&["--list-generations"]),
        (Operation::ListGenerations, _) => usage("'--list-generations' expects no arguments"),
        (Operation::Rollback, []) => channels.nix_env(&["--rollback"]),
        (Operation::Rollback, [to]) => channels.nix_env(&["--switch-generation", to]),
        (Operation::Rollback, _) => usage("'--rollback' has at most one argument"),
    }
}

struct Channels<'a> {
    common: &'a Common,
    list: PathBuf,
    profile: PathBuf,
    expressions: PathBuf,
}

impl<'a> Channels<'a> {
    fn new(common: &'a Common) -> Outcome<Self> {
        let xdg = common.settings.bool("use-xdg-base-directories");
        let layout = firn_store::layout::StoreLayout::from_environment(&common.env)?;
        let profile = profile::profiles_dir(&layout, &common.env)?.join("channels");
        let (list, expressions) = if xdg {
            let state = common.env.state_dir()?;
            firn_store::fs::create_dirs(&state)?;
            (state.join("channels"), state.join("defexpr"))
        } else {
            let home = common.env.home()?;
            (home.join(".nix-channels"), home.join(".nix-defexpr"))
        };
        Ok(Self { common, list, profile, expressions })
    }

    fn read(&self) -> Outcome<BTreeMap<String, String>> {
        match std::fs::read_to_string(&self.list) {
            Ok(text) => Ok(parse_list(&text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => fail(format!("reading '{}': {e}", self.list.display())),
        }
    }

    fn write(&self, list: &BTreeMap<String, String>) -> Outcome {
        let text: String = list.iter().map(|(name, url)| format!("{url} {name}\n")).collect();
        // not replaced: the file may be a link into somebody's dot files
        std::fs::write(&self.list, text)
            .map_err(|e| Failure::Message(format!("writing '{}': {e}", self.list.display())))
    }

    fn add(&self, url: &str, name: &str) -> Outcome {
        if !["file://", "http://", "https://"].iter().any(|s| url.starts_with(s)) {
            return fail(format!("invalid channel URL '{url}'"));
        }
        let mut chars = name.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !good {
            return fail(format!("invalid channel identifier '{name}'"));
        }
        let mut list = self.read()?;
        list.insert(name.to_owned(), url.to_owned());
        self.write(&list)
    }

    /// Runs `nix-env` on the profile.
    fn nix_env(&self, args: &[&str]) -> Outcome {
        let program = std::env::current_exe()
            .map_err(|e| Failure::Message(format!("finding this program: {e}")))?;
        let mut command = Command::new(program);
        command.arg("nix-env").arg("--profile").arg(&self.profile).args(args);
        command.stdin(Stdio::null());
        let status =
            command.status().map_err(|e| Failure::Message(format!("starting 'nix-env': {e}")))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(Failure::Exit(u8::try_from(code).unwrap_or(1))),
            None => fail(format!("'nix-env' was ended by a signal: {status}")),
        }
    }

    /// Downloads channels, all if none are named, and makes the profile of what is known of all.
    fn update(&self, names: &[String]) -> Outcome {
        let store = self.common.open_store()?;
        let bench = Workbench::with(
            store.clone(),
            self.common.build_options(),
            self.common.display(),
            &self.common.settings,
        );
        let fetching = bench.fetching();
        let fetch = |url: &str| {
            let what = Fetch { url, name: base_name(url), unpack: false, hash: None };
            let path = fetching.file(&what).map_err(Failure::Message)?;
            Ok::<_, Failure>(store.store_dir().print(&path))
        };
        let mut expressions = Vec::new();
        for (name, url) in self.read()? {
            // a version in the URL is shown by `nix-env -q`
            let full = match version_of(base_name(&url)) {
                Some(version) => format!("{name}{version}"),
                None => name.clone(),
            };
            if !names.is_empty() && !names.contains(&name) {
                let there = std::fs::read_link(self.profile.join(&name)).ok();
                let Some(there) = there.as_deref().and_then(Path::parent) else { continue };
                expressions.push(format!(
                    "f: rec {{ name = \"{full}\"; type = \"derivation\"; outputs = [\"out\"]; \
                     system = \"builtin\"; outPath = builtins.storePath \"{}\"; \
                     out = {{ inherit outPath; }};}}",
                    there.display()
                ));
                continue;
            }
            let is_tarball =
                |u: &str| [".tar.gz", ".tar.bz2", ".tar.xz"].iter().any(|end| u.ends_with(end));
            let tarball = if is_tarball(&url) {
                fetch(&url)?
            } else {
                match fetch(&format!("{url}/nixexprs.tar.xz")) {
                    Ok(path) => path,
                    Err(_) => fetch(&format!("{url}/nixexprs.tar.bz2"))?,
                }
            };
            expressions.push(format!(
                "f: f {{ name = \"{full}\"; channelName = \"{name}\"; src = builtins.storePath \"{tarball}\";  }}"
            ));
        }
        let _ = writeln!(std::io::stderr(), "unpacking {} channels...", expressions.len());
        drop(bench);
        let mut file = tempfile::NamedTempFile::with_suffix(".nix")
            .map_err(|e| Failure::Message(format!("making a temporary file: {e}")))?;
        file.write_all(UNPACK.as_bytes())
            .map_err(|e| Failure::Message(format!("writing a temporary file: {e}")))?;
        let path = file.path().to_string_lossy().into_owned();
        let mut args = vec!["--file", &path, "--install", "--remove-all", "--from-expression"];
        args.extend(expressions.iter().map(String::as_str));
        args.push("--quiet");
        self.nix_env(&args)?;
        if self.expressions.is_symlink() {
            // as it was before there were several channels
            std::fs::remove_file(&self.expressions).map_err(|e| {
                Failure::Message(format!("removing '{}': {e}", self.expressions.display()))
            })?;
        }
        firn_store::fs::create_dirs(&self.expressions)?;
        Ok(firn_store::fs::replace_symlink(&self.profile, &self.expressions.join("channels"))?)
    }
}

fn base_name(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// `-1.0` of `name-1.0`: from the first dash that a digit follows.
fn version_of(name: &str) -> Option<&str> {
    let bytes = name.as_bytes();
    let at = bytes.windows(2).position(|w| w[0] == b'-' && w[1].is_ascii_digit())?;
    name.get(at..)
}

/// The channels of a list, by name.
fn parse_list(text: &str) -> BTreeMap<String, String> {
    let mut list = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(url) = words.next().filter(|w| !w.starts_with('#')) else { continue };
        let url = url.trim_end_matches('/');
        let name = words.next().unwrap_or_else(|| base_name(url));
        list.insert(name.to_owned(), url.to_owned());
    }
    list
}

const HELP: &str = "\
Usage: nix-channel OPERATION

      --add URL [NAME]            add a channel
      --remove NAME               remove a channel
      --list                      list the channels
      --update [NAME…]            download channels, all if none are named
      --list-generations          list the generations of what was downloaded
      --rollback [N]              go back to the generation before, or to a certain one
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let list = parse_list("# mine\nhttps://a.org/nixos-24.05/ nixos\n\nfile:///x/foo\n");
        let list: Vec<_> = list.iter().map(|(n, u)| (n.as_str(), u.as_str())).collect();
        assert_eq!(list, [("foo", "file:///x/foo"), ("nixos", "https://a.org/nixos-24.05")]);
    }

    #[test]
    fn versions_are_found() {
        assert_eq!(version_of("nixos-24.05"), Some("-24.05"));
        assert_eq!(version_of("nixos-unstable"), None);
    }
}
