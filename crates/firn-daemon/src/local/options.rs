//! What a client may change of a daemon's settings.

use std::collections::BTreeSet;

use firn_event::{Level, Logger};
use firn_store::Settings;

use crate::managed::ClientOptions;

/// Settings that any client may change for itself.
const HARMLESS: [&str; 4] =
    ["timeout", "max-silent-time", "build-poll-interval", "connect-timeout"];

/// Takes a client's wishes into `settings`. What an untrusted one must not change is left as it is, with a warning.
pub(super) fn apply(
    settings: &mut Settings,
    client: &ClientOptions,
    trusted: bool,
    logger: &Logger,
) {
    let set = |settings: &mut Settings, name: &str, value: &str| {
        if let Err(e) = settings.set(name, value) {
            logger.warn(e.to_string());
        }
    };
    for (name, value) in client.direct() {
        set(settings, name, &value);
    }
    for (name, value) in &client.overrides {
        match name.as_str() {
            // no longer used
            "ssh-auth-sock" => {}
            "experimental-features" => {
                if value != settings.text(name) {
                    logger.message(
                        Level::Debug,
                        "Ignoring the client-specified experimental features",
                    );
                }
            }
            "plugin-files" => logger.warn(
                "Ignoring the client-specified plugin-files.\n\
                 The client specifying plugins to the daemon never made sense, and was removed in Nix >=2.14.",
            ),
            name if trusted || HARMLESS.contains(&name) => set(settings, name, value),
            "builders" if value.is_empty() => set(settings, name, value),
            "substituters" | "binary-caches" => {
                let allowed = trusted_substituters(settings, value, logger);
                set(settings, "substituters", &allowed);
            }
            name => logger.warn(format!(
                "ignoring the client-specified setting '{name}', because it is a restricted setting and you are not a trusted user"
            )),
        }
    }
}

/// Those of the wanted substituters that the system's settings name.
fn trusted_substituters(settings: &Settings, wanted: &str, logger: &Logger) -> String {
    let trusted: BTreeSet<String> =
        [settings.words("trusted-substituters"), settings.words("substituters")]
            .concat()
            .into_iter()
            .collect();
    let mut allowed = Vec::new();
    for uri in wanted.split_ascii_whitespace() {
        if trusted.contains(uri) || trusted.contains(&format!("{uri}/")) {
            allowed.push(uri);
        } else {
            logger.warn(format!(
                "ignoring untrusted substituter '{uri}', you are not a trusted user.\n\
                 Run `man nix.conf` for more information on the `substituters` configuration option."
            ));
        }
    }
    allowed.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(overrides: &[(&str, &str)]) -> ClientOptions {
        let mut client = ClientOptions::from_settings(&Settings::new(), Level::Info, false);
        client.overrides =
            overrides.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        client
    }

    fn applied(overrides: &[(&str, &str)], trusted: bool) -> Settings {
        let mut settings = Settings::new();
        settings.set("trusted-substituters", "https://good.example/").unwrap();
        apply(&mut settings, &client(overrides), trusted, &Logger::silent());
        settings
    }

    #[test]
    fn untrusted_clients_change_only_what_is_harmless() {
        let dangerous = [
            ("sandbox", "false"),
            ("sandbox-paths", "/root"),
            ("extra-sandbox-paths", "/root"),
            ("post-build-hook", "/tmp/evil"),
            ("build-hook", "/tmp/evil"),
            ("pre-build-hook", "/tmp/evil"),
            ("diff-hook", "/tmp/evil"),
            ("builders", "ssh://evil"),
            ("require-sigs", "false"),
            ("trusted-public-keys", "evil-1:AAAA"),
            ("extra-trusted-public-keys", "evil-1:AAAA"),
            ("extra-substituters", "https://evil.example"),
            ("trusted-substituters", "https://evil.example"),
            ("secret-key-files", "/etc/shadow"),
            ("netrc-file", "/root/.netrc"),
            ("trusted-users", "*"),
            ("build-users-group", ""),
            ("min-free", "1"),
            ("build-use-sandbox", "false"),
        ];
        let before = applied(&[], false);
        let after = applied(&dangerous, false);
        for ((setting, before), (_, after)) in before.iter().zip(after.iter()) {
            assert_eq!(before, after, "{}", setting.name);
        }
        let harmless = applied(&[("timeout", "7"), ("builders", "")], false);
        assert_eq!((harmless.number("timeout"), harmless.text("builders")), (7, ""));
    }

    #[test]
    fn untrusted_clients_choose_among_trusted_substituters() {
        let wanted = "https://good.example https://evil.example";
        let settings = applied(&[("substituters", wanted)], false);
        assert_eq!(settings.words("substituters"), ["https://good.example"]);
        let settings = applied(&[("binary-caches", wanted)], false);
        assert_eq!(settings.words("substituters"), ["https://good.example"]);
    }

    #[test]
    fn trusted_clients_change_what_they_like_but_features() {
        let settings =
            applied(&[("sandbox", "false"), ("experimental-features", "nix-command")], true);
        assert_eq!(settings.text("sandbox"), "false");
        assert!(!settings.has_feature("nix-command"));
    }

    #[test]
    fn a_senseless_value_is_a_warning() {
        let settings = applied(&[("sandbox", "perhaps"), ("timeout", "5")], true);
        assert_eq!(settings.text("sandbox"), "true");
        assert_eq!(settings.number("timeout"), 5);
    }
}
