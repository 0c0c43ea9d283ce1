//! The settings that a flake wants (`nixConfig`): which of them are allowed. Defined in the Nix manual, "nix
//! flake", "Flake format"; what the user has decided is in `~/.local/share/nix/trusted-settings.json`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use firn_event::{Level, Logger};

/// Settings that do no harm.
const HARMLESS: [&str; 6] = [
    "bash-prompt",
    "bash-prompt-prefix",
    "bash-prompt-suffix",
    "commit-lock-file-summary",
    "commit-lockfile-summary",
    "flake-registry",
];

/// For each setting, the values that the user trusts or does not.
type Decisions = BTreeMap<String, BTreeMap<String, bool>>;

/// The settings that flakes want and that are allowed.
#[derive(Debug, Clone, Default)]
pub struct Wanted(Arc<Mutex<Vec<(String, String)>>>);

impl Wanted {
    /// The settings, in their order; they are given once.
    pub fn allowed(&self) -> Vec<(String, String)> {
        match self.0.lock() {
            Ok(mut list) => std::mem::take(&mut *list),
            Err(_) => Vec::new(),
        }
    }

    /// Takes those of a flake's settings that are allowed: all of them with `accept`, else those that are
    /// harmless, or that the user trusts or says yes to.
    pub fn take(&self, settings: &[(String, String)], accept: bool, logger: &Logger) {
        for (name, value) in settings {
            let base = name.strip_prefix("extra-").unwrap_or(name);
            if accept || HARMLESS.contains(&base) || is_trusted(name, value, logger) {
                if let Ok(mut list) = self.0.lock() {
                    list.push((name.clone(), value.clone()));
                }
                continue;
            }
            logger.warn(format!(
                "ignoring untrusted flake configuration setting '{name}'.\nPass '--accept-flake-config' to trust it"
            ));
        }
    }
}

/// Where decisions are kept.
fn file() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let dir = var("NIX_DATA_HOME")
        .or_else(|| var("XDG_DATA_HOME").map(|d| d.join("nix")))
        .or_else(|| var("HOME").map(|d| d.join(".local/share/nix")))?;
    Some(dir.join("trusted-settings.json"))
}

fn read() -> Decisions {
    let text = file().and_then(|file| std::fs::read(file).ok());
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Whether the user trusts a setting; asks if there is somebody to ask.
fn is_trusted(name: &str, value: &str, logger: &Logger) -> bool {
    let mut decisions = read();
    if let Some(trusted) = decisions.get(name).and_then(|values| values.get(value)) {
        logger.message(
            Level::Info,
            format!(
                "Using saved setting for '{name} = {value}' from ~/.local/share/nix/trusted-settings.json."
            ),
        );
        return *trusted;
    }
    let shown: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let trusted = ask(&format!(
        "do you want to allow configuration setting '{name}' to be set to '{shown}' (y/N)?"
    ));
    let word = if trusted { "trusted" } else { "untrusted" };
    if ask(&format!("do you want to permanently mark this value as {word} (y/N)?")) {
        decisions.entry(name.to_owned()).or_default().insert(value.to_owned(), trusted);
        let text = serde_json::to_vec(&decisions).unwrap_or_default();
        let written = file().is_some_and(|file| {
            file.parent().is_some_and(|dir| std::fs::create_dir_all(dir).is_ok())
                && firn_store::fs::write_atomically(&file, &text, 0o644, false).is_ok()
        });
        if !written {
            logger.warn("your decision could not be written to trusted-settings.json".to_owned());
        }
    }
    trusted
}

/// Asks on the terminal. No without one.
fn ask(question: &str) -> bool {
    if !rustix::termios::isatty(std::io::stdin()) || !rustix::termios::isatty(std::io::stderr()) {
        return false;
    }
    let mut err = std::io::stderr();
    let _ = write!(err, "{question} ").and_then(|()| err.flush());
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    answer.starts_with(['y', 'Y'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_settings_need_no_trust() {
        let wanted = Wanted::default();
        let logger = Logger::default();
        let pair = |n: &str| (n.to_owned(), "firn-test-value".to_owned());
        wanted.take(&[pair("bash-prompt"), pair("post-build-hook")], false, &logger);
        assert_eq!(wanted.allowed(), [pair("bash-prompt")]);
        wanted.take(&[pair("post-build-hook")], true, &logger);
        assert_eq!(wanted.allowed(), [pair("post-build-hook")]);
        assert!(wanted.allowed().is_empty());
    }
}
