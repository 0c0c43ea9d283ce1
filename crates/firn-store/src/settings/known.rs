//! The table of settings: name, kind, default and older names.
//!
//! Names, kinds and defaults are those of C++ Nix (manual, "nix.conf"), whether or not this program
//! has a use for them, so that an existing `nix.conf` is read without complaints.

/// How a setting's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true`/`yes`/`1` or `false`/`no`/`0`.
    Bool,
    /// An unsigned number, with an optional unit `K`, `M`, `G` or `T`.
    Number,
    /// A number, or `auto` for the number of processors.
    Jobs,
    /// `true`, `false` or `relaxed`.
    Sandbox,
    /// Any text.
    Text,
    /// Words between white space; `extra-NAME` adds to it.
    Words,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// The text of its default value; empty where the default depends on the machine.
    pub default: &'static str,
    /// Older names.
    pub aliases: &'static [&'static str],
}

const fn s(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default, aliases: &[] }
}

const fn a(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    aliases: &'static [&'static str],
) -> Setting {
    Setting { name, kind, default, aliases }
}

use Kind::{Bool, Jobs, Number, Sandbox, Text, Words};

/// All settings, by name.
pub const SETTINGS: &[Setting] = &[
    s("abort-on-warn", Bool, "false"),
    s("accept-flake-config", Bool, "false"),
    s("access-tokens", Words, ""),
    s("allow-dirty", Bool, "true"),
    s("allow-dirty-locks", Bool, "false"),
    s("allow-import-from-derivation", Bool, "true"),
    s("allow-new-privileges", Bool, "false"),
    s("allow-symlinked-store", Bool, "false"),
    s("allow-unsafe-native-code-during-evaluation", Bool, "false"),
    s("allowed-impure-host-deps", Words, ""),
    s("allowed-uris", Words, ""),
    s("allowed-users", Words, "*"),
    s("always-allow-substitutes", Bool, "false"),
    s("auto-allocate-uids", Bool, "false"),
    s("auto-optimise-store", Bool, "false"),
    s("bash-prompt", Text, ""),
    s("bash-prompt-prefix", Text, ""),
    s("bash-prompt-suffix", Text, ""),
    s("build-dir", Text, ""),
    s("build-hook", Words, ""),
    s("build-poll-interval", Number, "5"),
    s("build-users-group", Text, ""),
    s("builders", Text, "@/etc/nix/machines"),
    s("builders-use-substitutes", Bool, "false"),
    a("commit-lock-file-summary", Text, "", &["commit-lockfile-summary"]),
    a("compress-build-log", Bool, "true", &["build-compress-log"]),
    s("connect-timeout", Number, "15"),
    a("cores", Number, "0", &["build-cores"]),
    s("debugger-on-trace", Bool, "false"),
    s("debugger-on-warn", Bool, "false"),
    s("diff-hook", Text, ""),
    s("download-attempts", Number, "5"),
    s("download-buffer-size", Number, "1048576"),
    s("download-speed", Number, "0"),
    s("eval-attrset-update-layer-rhs-threshold", Number, "16"),
    s("eval-cache", Bool, "true"),
    s("eval-cores", Number, "0"),
    s("eval-memory-limit", Number, "0"),
    s("eval-profile-file", Text, "nix.profile"),
    s("eval-profiler", Text, "disabled"),
    s("eval-profiler-frequency", Number, "99"),
    s("eval-system", Text, ""),
    s("experimental-features", Words, ""),
    s("external-builders", Text, "[]"),
    s("extra-platforms", Words, ""),
    a("fallback", Bool, "false", &["build-fallback"]),
    s("filter-syscalls", Bool, "true"),
    s("flake-registry", Text, "https://channels.nixos.org/flake-registry.json"),
    s("fsync-metadata", Bool, "true"),
    s("fsync-store-paths", Bool, "false"),
    s("gc-reserved-space", Number, "8388608"),
    s("hashed-mirrors", Words, ""),
    a("http-connections", Number, "25", &["binary-caches-parallel-connections"]),
    s("http2", Bool, "true"),
    s("id-count", Number, "8388608"),
    s("ignore-try", Bool, "false"),
    s("ignored-acls", Words, "security.csm security.selinux system.nfs4_acl"),
    a("impersonate-linux-26", Bool, "false", &["build-impersonate-linux-26"]),
    s("impure-env", Words, ""),
    s("json-log-path", Text, ""),
    a("keep-build-log", Bool, "true", &["build-keep-log"]),
    a("keep-derivations", Bool, "true", &["gc-keep-derivations"]),
    a("keep-env-derivations", Bool, "false", &["env-keep-derivations"]),
    s("keep-failed", Bool, "false"),
    s("keep-going", Bool, "false"),
    a("keep-outputs", Bool, "false", &["gc-keep-outputs"]),
    s("lint-absolute-path-literals", Text, "ignore"),
    s("lint-short-path-literals", Text, "ignore"),
    s("lint-url-literals", Text, "ignore"),
    s("log-lines", Number, "25"),
    a("max-build-log-size", Number, "0", &["build-max-log-size"]),
    s("max-call-depth", Number, "10000"),
    s("max-free", Number, "9223372036854775807"),
    a("max-jobs", Jobs, "1", &["build-max-jobs"]),
    a("max-silent-time", Number, "0", &["build-max-silent-time"]),
    a("max-substitution-jobs", Number, "16", &["substitution-max-jobs"]),
    s("min-free", Number, "0"),
    s("min-free-check-interval", Number, "5"),
    s("nar-buffer-size", Number, "33554432"),
    s("narinfo-cache-meta-ttl", Number, "604800"),
    s("narinfo-cache-negative-ttl", Number, "3600"),
    s("narinfo-cache-positive-ttl", Number, "2592000"),
    s("netrc-file", Text, "/etc/nix/netrc"),
    s("nix-path", Words, ""),
    s("nix-shell-always-looks-for-shell-nix", Bool, "true"),
    s("nix-shell-shebang-arguments-relative-to-script", Bool, "true"),
    s("plugin-files", Words, ""),
    s("post-build-hook", Text, ""),
    s("pre-build-hook", Text, ""),
    s("preallocate-contents", Bool, "false"),
    s("print-missing", Bool, "true"),
    s("pure-eval", Bool, "false"),
    s("require-drop-supplementary-groups", Bool, "true"),
    s("require-sigs", Bool, "true"),
    s("restrict-eval", Bool, "false"),
    s("run-diff-hook", Bool, "false"),
    a("sandbox", Sandbox, "true", &["build-use-chroot", "build-use-sandbox"]),
    s("sandbox-build-dir", Text, "/build"),
    s("sandbox-dev-shm-size", Text, "50%"),
    s("sandbox-fallback", Bool, "true"),
    a("sandbox-paths", Words, "", &["build-chroot-dirs", "build-sandbox-paths"]),
    s("secret-key-files", Words, ""),
    s("show-trace", Bool, "false"),
    s("ssl-cert-file", Text, ""),
    s("stalled-download-timeout", Number, "300"),
    s("start-id", Number, "872415232"),
    s("store", Text, "auto"),
    a("substitute", Bool, "true", &["build-use-substitutes"]),
    a("substituters", Words, "https://cache.nixos.org/", &["binary-caches"]),
    s("sync-before-registering", Bool, "false"),
    s("system", Text, ""),
    s("system-features", Words, "benchmark big-parallel nixos-test uid-range"),
    s("tarball-ttl", Number, "3600"),
    a("timeout", Number, "0", &["build-timeout"]),
    s("trace-function-calls", Bool, "false"),
    s("trace-import-from-derivation", Bool, "false"),
    s("trace-verbose", Bool, "false"),
    s("trust-tarballs-from-git-forges", Bool, "true"),
    a(
        "trusted-public-keys",
        Words,
        "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
        &["binary-cache-public-keys"],
    ),
    a("trusted-substituters", Words, "", &["trusted-binary-caches"]),
    s("trusted-users", Words, "root"),
    s("upgrade-nix-store-path-url", Text, ""),
    s("use-case-hack", Bool, "false"),
    s("use-cgroups", Bool, "false"),
    s("use-registries", Bool, "true"),
    s("use-sqlite-wal", Bool, "true"),
    s("use-xdg-base-directories", Bool, "false"),
    s("user-agent-suffix", Text, ""),
    s("warn-dirty", Bool, "true"),
    s("warn-large-path-threshold", Number, "0"),
    s("warn-short-path-literals", Bool, "false"),
];

/// Finds a setting by its name or an older name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .binary_search_by(|s| s.name.cmp(name))
        .ok()
        .map(|at| &SETTINGS[at])
        .or_else(|| SETTINGS.iter().find(|s| s.aliases.contains(&name)))
}

/// The experimental feature that a setting is part of.
#[must_use]
pub fn feature_of(name: &str) -> Option<&'static str> {
    match name {
        "accept-flake-config"
        | "commit-lock-file-summary"
        | "flake-registry"
        | "trust-tarballs-from-git-forges"
        | "use-registries" => Some("flakes"),
        _ => None,
    }
}
