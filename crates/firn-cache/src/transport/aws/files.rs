//! The files of the AWS command line, `credentials` and `config` (AWS SDKs and Tools Reference Guide, "Shared config and
//! credentials files"): sections of names and values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Variables;
use super::sigv4::Credentials;

/// What a section says.
pub(super) type Section = BTreeMap<String, String>;

/// Both files.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    profiles: BTreeMap<String, Section>,
    sessions: BTreeMap<String, Section>,
    /// The folder of what is kept of users who have signed in.
    pub(super) sso_cache: Option<PathBuf>,
}

impl Files {
    /// Reads those that are there.
    pub(super) fn read(variables: &Variables<'_>) -> Self {
        let home = variables("HOME").map(|home| PathBuf::from(home).join(".aws"));
        let file = |variable: &str, name: &str| {
            let named = variables(variable).map(PathBuf::from);
            named.or_else(|| home.as_ref().map(|home| home.join(name)))
        };
        let text = |path: Option<PathBuf>| {
            path.and_then(|path: PathBuf| std::fs::read_to_string(Path::new(&path)).ok())
        };
        let mut files =
            Self { sso_cache: home.as_ref().map(|home| home.join("sso/cache")), ..Self::default() };
        // what is in both counts as it is in the first
        if let Some(text) = text(file("AWS_SHARED_CREDENTIALS_FILE", "credentials")) {
            files.take(&text);
        }
        if let Some(text) = text(file("AWS_CONFIG_FILE", "config")) {
            files.take(&text);
        }
        files
    }

    fn take(&mut self, text: &str) {
        let mut section: Option<&mut Section> = None;
        for line in text.lines() {
            // settings within settings are of no use here
            let nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                let name = name.trim();
                section = Some(match name.strip_prefix("sso-session ") {
                    Some(name) => self.sessions.entry(name.trim().to_owned()).or_default(),
                    None => {
                        let name = name.strip_prefix("profile ").map_or(name, str::trim);
                        self.profiles.entry(name.to_owned()).or_default()
                    }
                });
                continue;
            }
            if nested {
                continue;
            }
            if let (Some(section), Some((name, value))) = (&mut section, line.split_once('=')) {
                section
                    .entry(name.trim().to_ascii_lowercase())
                    .or_insert_with(|| value.trim().to_owned());
            }
        }
    }

    pub(super) fn profile(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    pub(super) fn session(&self, name: &str) -> Option<&Section> {
        self.sessions.get(name)
    }
}

/// The credentials that a profile has itself.
pub(super) fn own(profile: &Section) -> Option<Credentials> {
    let value = |name: &str| profile.get(name).filter(|v| !v.is_empty()).cloned();
    Some(Credentials {
        key_id: value("aws_access_key_id")?,
        secret: value("aws_secret_access_key")?,
        token: value("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_profiles_and_sessions() {
        let mut files = Files::default();
        files.take(
            "# [default]\n[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n\
             [ profile x ]\naws_access_key_id=C\ns3 =\n  aws_secret_access_key = no\nAWS_SECRET_ACCESS_KEY = D\naws_session_token=E\n\
             [sso-session s]\nsso_region = eu-west-1\n",
        );
        // the second file does not change what the first says
        files.take("[default]\naws_access_key_id = Z\nregion = r\n");
        let default = files.profile("default").unwrap();
        assert_eq!(own(default).unwrap().key_id, "A");
        assert_eq!(default["region"], "r");
        let x = own(files.profile("x").unwrap()).unwrap();
        assert_eq!((x.secret.as_str(), x.token.as_deref()), ("D", Some("E")));
        assert!(files.profile("y").is_none());
        assert!(own(files.session("s").unwrap()).is_none());
        assert_eq!(files.session("s").unwrap()["sso_region"], "eu-west-1");
    }
}
