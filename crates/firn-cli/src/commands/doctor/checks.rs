//! The checks, in the order in which they are shown. Each gives one finding, or none where there is
//! nothing to say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use firn_build::SandboxPath;
use firn_fetch::FetchSettings;
use firn_model::signature::PublicKey;
use firn_store::layout::{Environment, Location, locate};
use firn_store::profile;
use firn_store::settings::{Settings, conf_file, user_conf_files};

use super::Finding;
use super::trial;
use crate::common::legacy::Common;

/// Space that a store should have: a small system takes about as much.
const ENOUGH_SPACE: u64 = 4 << 30;

/// All checks.
pub fn all(common: &Common, build: bool) -> Vec<Finding> {
    let mut found = vec![program(), commands(), configuration(common)];
    found.push(store(common));
    found.extend(space(common));
    found.push(keys(common));
    if build {
        found.push(sandbox(common));
    }
    found.push(packages(common));
    found.push(git());
    found.extend(certificates());
    found.push(profile_on_path(common));
    found.push(completion(common));
    found.push(machines());
    found
}

/// Whether the configuration can be read, whatever else is wrong.
pub fn configuration_is_readable() -> bool {
    Settings::load(&Environment::current()).is_ok()
}

/// What to say of a configuration that cannot be read.
pub fn broken_configuration(error: String) -> Finding {
    let env = Environment::current();
    let mut files = vec![conf_file(&env)];
    files.extend(user_conf_files(&env));
    let files: Vec<String> =
        files.iter().filter(|f| f.exists()).map(|f| f.display().to_string()).collect();
    let places = if env.nonempty("NIX_CONFIG").is_some() { "NIX_CONFIG, " } else { "" };
    Finding::bad("configuration", error)
        .mend(format!("mend the line; settings come from {places}{}", files.join(", ")))
}

fn program() -> Finding {
    let place = std::env::current_exe().map_or_else(|e| e.to_string(), |p| p.display().to_string());
    Finding::good(
        "program",
        format!(
            "firn {}, which does as Nix {}, at {place}",
            env!("CARGO_PKG_VERSION"),
            crate::common::NIX_VERSION
        ),
    )
}

/// The programs called `name` on the PATH, each once.
fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut seen = BTreeSet::new();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .filter(|file| file.is_file())
        .filter(|file| std::fs::canonicalize(file).is_ok_and(|real| seen.insert(real)))
        .collect()
}

fn commands() -> Finding {
    let about = "commands";
    let found = on_path("nix");
    let ours = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    let is_ours = |path: &PathBuf| ours.is_some() && std::fs::canonicalize(path).ok() == ours;
    let Some(first) = found.first() else {
        let folder = ours.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"));
        return Finding::note(about, "there is no 'nix' on the PATH").mend(format!(
            "put the folder of the commands on it: export PATH={}:$PATH",
            folder.display()
        ));
    };
    if !is_ours(first) {
        return Finding::note(about, format!("'nix' is another program, {}", first.display()))
            .mend("put the folder of this program's commands before it in PATH");
    }
    match found.get(1) {
        Some(other) => Finding::note(
            about,
            format!("'nix' is this program; another is behind it, {}", other.display()),
        ),
        None => Finding::good(about, "'nix' is this program"),
    }
}

fn configuration(common: &Common) -> Finding {
    let about = "configuration";
    let mut files = vec![conf_file(&common.env)];
    files.extend(user_conf_files(&common.env));
    let mut used = Vec::new();
    for file in files {
        match std::fs::File::open(&file) {
            Ok(_) => used.push(file.display().to_string()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Finding::bad(
                    about,
                    format!(
                        "{} cannot be read and counts as absent: {}",
                        file.display(),
                        firn_store::error::errno_text(&e)
                    ),
                )
                .mend("make it readable, or remove it");
            }
        }
    }
    if common.env.nonempty("NIX_CONFIG").is_some() {
        used.push("NIX_CONFIG".to_owned());
    }
    let unknown = Settings::load(&common.env).map(|(_, warnings)| warnings).unwrap_or_default();
    if !unknown.is_empty() {
        return Finding::note(about, unknown.join(", "))
            .mend(format!("remove or rename it in {}", used.join(", ")))
            .mend("'nix config show' lists the settings there are");
    }
    match used.is_empty() {
        true => Finding::good(about, "all defaults"),
        false => Finding::good(about, used.join(", ")),
    }
}

fn store(common: &Common) -> Finding {
    let about = "store";
    let located = match locate(&common.env, common.store.as_deref()) {
        Ok(located) => located,
        Err(e) => {
            return Finding::bad(about, e.to_string())
                .mend("mend NIX_REMOTE, NIX_STORE_DIR or '--store'");
        }
    };
    let Location::Local { layout, .. } = located.store else {
        return match common.open_store() {
            Ok(store) => match store.query_path_from_hash_part(&"0".repeat(32)) {
                Ok(_) => Finding::good(about, format!("{} answers", store.uri())),
                Err(e) => Finding::bad(about, e.to_string())
                    .mend("start what serves that store, or choose another with '--store'"),
            },
            Err(failure) => Finding::bad(about, failure.text())
                .mend("start what serves that store, or choose another with '--store'"),
        };
    };
    let real = layout.real_store_dir.display().to_string();
    match common.open_store() {
        Err(failure) => {
            let finding = Finding::bad(about, format!("{real}: {}", failure.text()));
            if layout.is_chroot() {
                finding.mend("make its folder writable for this user")
            } else {
                finding
                    .mend("as root: mkdir -p /nix, and let this user own it")
                    .mend("or use a store of your own: --store ~/.local/share/nix/root")
            }
        }
        Ok(_) if layout.is_chroot() => Finding::note(
            about,
            format!(
                "{real} stands for {}; programs in it run through 'nix run', 'nix shell' and 'nix develop'",
                layout.store_dir.as_str()
            ),
        ),
        Ok(_) => Finding::good(about, real),
    }
}

/// The nearest folder above `path` that is there.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| dir.exists())
}

fn space(common: &Common) -> Option<Finding> {
    let Location::Local { layout, .. } = locate(&common.env, common.store.as_deref()).ok()?.store
    else {
        return None;
    };
    let dir = existing(&layout.real_store_dir)?;
    let stat = rustix::fs::statvfs(dir).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let says = format!("{:.1} GiB free for the store", gib(free));
    // some file systems do not count inodes
    if stat.f_files > 0 && stat.f_favail < 100_000 {
        return Some(
            Finding::note("space", format!("{says}, but only {} files", stat.f_favail))
                .mend("nix-collect-garbage, or nix-store --optimise"),
        );
    }
    Some(if free < ENOUGH_SPACE {
        Finding::note("space", says).mend("nix-collect-garbage -d deletes what nothing needs")
    } else {
        Finding::good("space", says)
    })
}

fn keys(common: &Common) -> Finding {
    let about = "trusted keys";
    let keys = common.settings.words("trusted-public-keys");
    for text in &keys {
        if let Err(e) = text.parse::<PublicKey>() {
            return Finding::bad(about, format!("'{text}': {e}"))
                .mend("mend 'trusted-public-keys'; a key is written NAME:BASE64");
        }
    }
    let caches = common.settings.words("substituters");
    if keys.is_empty() && !caches.is_empty() && common.settings.bool("require-sigs") {
        return Finding::note(about, "there are substituters, but no key is trusted")
            .mend("add the keys of the caches to 'trusted-public-keys'");
    }
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    Finding::good(
        about,
        format!("{} for {}", count(keys.len(), "key"), count(caches.len(), "substituter")),
    )
}

fn sandbox(common: &Common) -> Finding {
    let about = "sandbox";
    let mut options = common.build_options();
    if !options.sandbox_paths.iter().any(|p| p.target == Path::new("/bin/sh")) {
        return Finding::note(
            about,
            "there is no static shell for builds that count on /bin/sh, so none was tried",
        )
        .mend("install one: apt-get install busybox-static")
        .mend("or name one: sandbox-paths = /bin/sh=/path/of/a/static/shell");
    }
    // what else the user wants in sandboxes may be missing, and is not what is tried here
    options.sandbox_paths.retain(|p| p.target == Path::new("/bin/sh"));
    if let Some(shell) = SandboxPath::shell() {
        options.sandbox_paths = vec![shell];
    }
    match trial::build(&options) {
        Ok(()) => Finding::good(about, "a derivation was built in it"),
        Err(error) => {
            let mut finding = Finding::bad(about, format!("a build failed: {error}"));
            for (file, bad, mend) in [
                (
                    "/proc/sys/kernel/unprivileged_userns_clone",
                    "0",
                    "as root: sysctl kernel.unprivileged_userns_clone=1",
                ),
                (
                    "/proc/sys/user/max_user_namespaces",
                    "0",
                    "as root: sysctl user.max_user_namespaces=10000",
                ),
                (
                    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                    "1",
                    "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
                ),
            ] {
                if std::fs::read_to_string(file).is_ok_and(|text| text.trim() == bad) {
                    finding = finding.mend(mend);
                }
            }
            finding.mend("without a sandbox, where builds can see this machine: sandbox = false")
        }
    }
}

fn packages(common: &Common) -> Finding {
    let about = "packages";
    let configured = common.settings.words("nix-path");
    if let Some(entry) = configured.iter().find(|e| e.starts_with("nixpkgs=")) {
        return Finding::good(about, format!("<nixpkgs> is {}", &entry["nixpkgs=".len()..]));
    }
    match crate::common::distribution::find() {
        Some(dir) => Finding::good(about, format!("<nixpkgs> is Firn's own, {}", dir.display())),
        None => Finding::note(about, "there is no <nixpkgs>")
            .mend("put the folder 'distribution' beside the one of this program")
            .mend("or name one: export NIX_PATH=nixpkgs=/path/of/nixpkgs"),
    }
}

fn git() -> Finding {
    let about = "git";
    match Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => {
            Finding::good(about, String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => {
            Finding::note(about, "it is not there; flakes in Git repositories and fetchGit need it")
                .mend("install it: apt-get install git")
        }
    }
}

fn certificates() -> Option<Finding> {
    let about = "certificates";
    match FetchSettings::host_ca_file() {
        Some(file) if file.is_file() => Some(Finding::good(about, file.display().to_string())),
        Some(file) => Some(
            Finding::bad(about, format!("{} is not there", file.display()))
                .mend("mend NIX_SSL_CERT_FILE or SSL_CERT_FILE"),
        ),
        None => Some(
            Finding::note(about, "no list of certificate authorities was found, so https fails")
                .mend("install one: apt-get install ca-certificates"),
        ),
    }
}

fn profile_on_path(common: &Common) -> Finding {
    let about = "profile";
    let xdg = common.settings.bool("use-xdg-base-directories");
    let link = if xdg {
        common.env.state_dir().map(|dir| dir.join("profile"))
    } else {
        common.env.home().map(|dir| dir.join(".nix-profile"))
    };
    let link = match link {
        Ok(link) => link,
        Err(e) => return Finding::note(about, e.to_string()).mend("set HOME"),
    };
    let there = link.symlink_metadata().is_ok();
    let generations = std::fs::read_link(&link)
        .ok()
        .and_then(|profile| profile::generations(&profile).ok())
        .map_or(0, |found| found.all.len());
    let bin = link.join("bin");
    let on_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir == bin));
    if on_path {
        let plural = if generations == 1 { "" } else { "s" };
        return Finding::good(
            about,
            format!("{} is on the PATH, {generations} generation{plural}", bin.display()),
        );
    }
    let says = if there { "is not on the PATH" } else { "is not there yet, nor on the PATH" };
    Finding::note(about, format!("{} {says}", bin.display()))
        .mend(format!("in your shell's start file: export PATH={}:$PATH", bin.display()))
}

fn completion(common: &Common) -> Finding {
    let about = "completion";
    let shell = common.env.string("SHELL").unwrap_or_default();
    let name = shell.rsplit('/').next().unwrap_or_default();
    let (file, line) = match name {
        "bash" => (".bashrc", "eval \"$(firn completions bash)\""),
        "zsh" => (".zshrc", "eval \"$(firn completions zsh)\""),
        "fish" => (".config/fish/config.fish", "firn completions fish | source"),
        _ => return Finding::good(about, "there is one for bash, zsh and fish"),
    };
    let set_up = common
        .env
        .home()
        .ok()
        .and_then(|home| std::fs::read_to_string(home.join(file)).ok())
        .is_some_and(|text| text.contains("firn completions"));
    match set_up {
        true => Finding::good(about, format!("{name} has it")),
        false => Finding::note(about, format!("{name} does not complete attributes and flakes"))
            .mend(format!("add to ~/{file}: {line}")),
    }
}

fn machines() -> Finding {
    let about = "trials of systems";
    let root = rustix::process::geteuid().is_root();
    let qemu = firn_system::try_system::vm::find_qemu().is_ok();
    match (root, qemu) {
        (true, true) => Finding::good(about, "in containers and in virtual machines"),
        (true, false) => Finding::good(about, "in containers; virtual machines need QEMU"),
        (false, true) => Finding::good(about, "in virtual machines"),
        (false, false) => Finding::note(about, "an ordinary user needs QEMU for 'firn os try'")
            .mend("install it: apt-get install qemu-system-x86"),
    }
}
