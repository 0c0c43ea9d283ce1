//! Settings as plain data: `nix.conf` files, their includes, `NIX_CONFIG` and single options.
//!
//! Nothing here is global and nothing is printed: what a user should be warned of is returned.
//! Defined in the Nix manual, "nix.conf".

mod file;
pub mod known;
mod nix_path;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub use known::{Kind, SETTINGS, Setting, feature_of, find};
pub use nix_path::parse_nix_path;

use crate::error::{Error, Result};
use crate::layout::Environment;

/// The values of all settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Texts of those that were set, by their present name.
    values: BTreeMap<&'static str, String>,
    /// Those that the user set, rather than the system's file.
    overridden: BTreeSet<&'static str>,
    /// Whether somebody said which experimental features there are, rather than adding some.
    chose_features: bool,
}

impl Settings {
    /// All defaults.
    #[must_use]
    pub fn new() -> Self {
        let mut settings = Self::default();
        settings.values.insert("system", system().to_owned());
        if cfg!(target_arch = "x86_64") {
            settings.values.insert("extra-platforms", "i686-linux".to_owned());
        }
        if rustix::fs::access(
            "/dev/kvm",
            rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK,
        )
        .is_ok()
        {
            let features = "benchmark big-parallel kvm nixos-test uid-range";
            settings.values.insert("system-features", features.to_owned());
        }
        settings
    }

    /// Reads everything that C++ Nix reads, in its order: `nix.conf` in `NIX_CONF_DIR` (or
    /// `/etc/nix`), the user's files, `NIX_CONFIG`. Also gives warnings for unknown settings.
    ///
    /// # Errors
    /// If a line cannot be understood, an included file is missing, or a value is not of its kind.
    pub fn load(env: &Environment) -> Result<(Self, Vec<String>)> {
        let mut settings = Self::new();
        let mut unknown = Vec::new();
        if env.is_root() {
            settings.values.insert("build-users-group", "nixbld".to_owned());
        }
        if env.string("NIX_IGNORE_SYMLINK_STORE").as_deref() == Some("1") {
            settings.values.insert("allow-symlinked-store", "true".to_owned());
        }
        if let Some(text) = env.string("NIX_PATH") {
            settings.values.insert("nix-path", parse_nix_path(&text).join(" "));
        }
        settings.apply_file(env, &conf_file(env), &mut unknown)?;
        settings.overridden.clear();
        for file in user_conf_files(env).into_iter().rev() {
            settings.apply_file(env, &file, &mut unknown)?;
        }
        if let Some(text) = env.string("NIX_CONFIG") {
            settings.apply_text(env, &text, "NIX_CONFIG".as_ref(), &mut unknown)?;
        }
        let mut warnings: Vec<String> =
            unknown.iter().map(|name| format!("unknown setting '{name}'")).collect();
        warnings.sort();
        warnings.dedup();
        for (name, feature) in settings.without_feature() {
            settings.values.remove(name);
            settings.overridden.remove(name);
            warnings.push(format!(
                "Ignoring setting '{name}' because experimental feature '{feature}' is not enabled"
            ));
        }
        Ok((settings, warnings))
    }

    fn apply_file(
        &mut self,
        env: &Environment,
        path: &std::path::Path,
        unknown: &mut Vec<String>,
    ) -> Result<()> {
        match std::fs::read(path) {
            Ok(bytes) => self.apply_text(env, &String::from_utf8_lossy(&bytes), path, unknown),
            // a file that cannot be read counts as absent, as in C++ Nix
            Err(_) => Ok(()),
        }
    }

    fn apply_text(
        &mut self,
        env: &Environment,
        text: &str,
        path: &std::path::Path,
        unknown: &mut Vec<String>,
    ) -> Result<()> {
        for (name, value) in file::parse(text, path)? {
            if matches!(name.as_str(), "nix-path" | "extra-nix-path")
                && env.get("NIX_PATH").is_some()
            {
                continue;
            }
            if !self.set(&name, &value)? {
                unknown.push(name);
            }
        }
        Ok(())
    }

    /// Sets a setting by its name, an older name, or `extra-NAME`; false if there is none such.
    ///
    /// # Errors
    /// If the value is not of the setting's kind.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        let (setting, append) = match find(name) {
            Some(setting) => (setting, false),
            None => match name.strip_prefix("extra-").and_then(find) {
                Some(setting) if setting.kind == Kind::Words => (setting, true),
                _ => return Ok(false),
            },
        };
        let value = normal(setting, value)?;
        let value = match (append, self.text(setting.name)) {
            (true, old) if !old.is_empty() => format!("{old} {value}").trim_end().to_owned(),
            _ => value,
        };
        let value = if setting.name == "experimental-features" {
            self.chose_features |= !append;
            features(&value)
        } else {
            value
        };
        self.values.insert(setting.name, value);
        self.overridden.insert(setting.name);
        Ok(true)
    }

    /// The settings that the user set (in the user's files, the environment or by [`Settings::set`]).
    pub fn overridden(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.overridden.iter().map(|name| (*name, self.text(name)))
    }

    /// All settings with their texts, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Setting, &str)> {
        SETTINGS.iter().map(|s| (s, self.text(s.name)))
    }

    /// A setting's text; empty for a name that does not exist.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(value) => value,
            None => find(name).map_or("", |s| s.default),
        }
    }

    /// A setting that is on or off.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "yes" | "1")
    }

    /// A number; `auto` is the number of processors.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        match self.text(name) {
            "auto" => std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            text => text.parse().unwrap_or(0),
        }
    }

    /// A list of words.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<String> {
        self.text(name).split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Whether an experimental feature is on.
    #[must_use]
    pub fn has_feature(&self, feature: &str) -> bool {
        self.text("experimental-features").split_ascii_whitespace().any(|f| f == feature)
    }

    /// The feature that is missing for a setting to have an effect. Features that this program has need not be
    /// enabled; but who chooses some of them goes without the others.
    #[must_use]
    pub fn missing_feature(&self, name: &str) -> Option<&'static str> {
        let feature = feature_of(name)?;
        (self.chooses_features() && !self.has_feature(feature)).then_some(feature)
    }

    /// Settings that somebody set in vain, with the features that they would need.
    #[must_use]
    pub fn without_feature(&self) -> Vec<(&'static str, &'static str)> {
        self.values.keys().filter_map(|name| Some((*name, self.missing_feature(name)?))).collect()
    }

    /// Whether somebody said which experimental features there are, rather than adding some.
    #[must_use]
    pub fn chooses_features(&self) -> bool {
        self.chose_features
    }

    /// The system that builds are for: `x86_64-linux`.
    #[must_use]
    pub fn system(&self) -> &str {
        self.text("system")
    }
}

/// Experimental features in order, with those that others bring with them.
fn features(text: &str) -> String {
    let mut all: BTreeSet<&str> = text.split_ascii_whitespace().collect();
    if all.contains("flakes") {
        all.insert("fetch-tree");
    }
    all.into_iter().collect::<Vec<_>>().join(" ")
}

/// The system's file: `nix.conf` in `NIX_CONF_DIR` or `/etc/nix`.
#[must_use]
pub fn conf_file(env: &Environment) -> PathBuf {
    env.nonempty("NIX_CONF_DIR")
        .map_or_else(|| PathBuf::from("/etc/nix"), PathBuf::from)
        .join("nix.conf")
}

/// The user's files, the most important first.
#[must_use]
pub fn user_conf_files(env: &Environment) -> Vec<PathBuf> {
    if let Some(list) = env.get("NIX_USER_CONF_FILES") {
        return std::env::split_paths(list).filter(|p| !p.as_os_str().is_empty()).collect();
    }
    let mut files: Vec<PathBuf> =
        env.config_dir().ok().map(|dir| dir.join("nix.conf")).into_iter().collect();
    let dirs = env.nonempty("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
    files.extend(std::env::split_paths(&dirs).map(|dir| dir.join("nix/nix.conf")));
    files
}

/// The name of this machine's kind of system, such as `x86_64-linux`.
#[must_use]
pub const fn system() -> &'static str {
    if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        "aarch64-linux"
    } else if cfg!(all(target_arch = "riscv64", target_os = "linux")) {
        "riscv64-linux"
    } else if cfg!(all(target_arch = "x86", target_os = "linux")) {
        "i686-linux"
    } else {
        "x86_64-linux"
    }
}

/// Parses a number with an optional unit (`K`, `M`, `G`, `T`, powers of 1024).
///
/// # Errors
/// If it is not one.
pub fn parse_number(text: &str) -> Result<u64> {
    let wrong = || Error::Usage(format!("'{text}' is not an integer"));
    let (digits, shift) = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        Some(b'T') => (&text[..text.len() - 1], 40),
        Some(unit) if unit.is_ascii_alphabetic() => {
            return Err(Error::Usage(format!("invalid unit specifier '{}'", unit as char)));
        }
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Checks a value and brings it into its normal form.
fn normal(setting: &Setting, value: &str) -> Result<String> {
    let name = setting.name;
    Ok(match setting.kind {
        Kind::Bool => match value {
            "true" | "yes" | "1" => "true".to_owned(),
            "false" | "no" | "0" => "false".to_owned(),
            _ => {
                return Err(Error::Usage(format!(
                    "Boolean setting '{name}' has invalid value '{value}'"
                )));
            }
        },
        Kind::Number => match parse_number(value) {
            Ok(number) => number.to_string(),
            Err(_) => {
                return Err(Error::Usage(format!("setting '{name}' has invalid value '{value}'")));
            }
        },
        Kind::Jobs if value == "auto" => value.to_owned(),
        Kind::Jobs => match value.parse::<u32>() {
            Ok(number) => number.to_string(),
            Err(_) => {
                return Err(Error::Usage(format!(
                    "configuration setting '{name}' should be 'auto' or an integer"
                )));
            }
        },
        Kind::Sandbox => match value {
            "true" | "false" | "relaxed" => value.to_owned(),
            _ => {
                return Err(Error::Usage(format!("option '{name}' has invalid value '{value}'")));
            }
        },
        Kind::Text => value.to_owned(),
        Kind::Words => value.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
    })
}
