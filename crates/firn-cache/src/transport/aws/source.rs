//! Who signs requests of buckets: the first of several who has credentials. They are asked when the first request is made, and
//! again before what they gave expires.

use firn_event::{Level, Logger};
use firn_fetch::FetchSettings;
use firn_store::{Error, Result};
use parking_lot::Mutex;

use super::files::{Files, own};
use super::machine::Machine;
use super::role::Role;
use super::sigv4::Credentials;
use super::sso::SignedIn;
use super::{Found, Variables};

/// New credentials are asked for so many seconds before the old ones expire.
const EARLY: u64 = 300;

/// Who may have credentials.
enum Provider {
    Known(Credentials),
    SignedIn(SignedIn),
    Role(Role),
    Machine(Machine),
}

/// Those who may have credentials, in the order in which they are asked.
pub(super) struct Source {
    providers: Vec<Provider>,
    fetch: FetchSettings,
    logger: Logger,
    known: Mutex<Option<(Option<Credentials>, u64)>>,
}

impl Source {
    /// What the environment and the files of the AWS command line say; `profile` is the one that was asked for.
    ///
    /// # Errors
    /// If a profile was asked for by which nobody can sign.
    pub(super) fn new(
        profile: Option<&str>,
        fetch: FetchSettings,
        logger: Logger,
        variables: &Variables<'_>,
    ) -> Result<Self> {
        let mut providers: Vec<Provider> = Vec::new();
        match environment(variables) {
            Some(found) => providers.push(Provider::Known(found)),
            None => {
                let files = Files::read(variables);
                let name = profile.unwrap_or("default");
                providers.extend(SignedIn::of(name, &files, variables).map(Provider::SignedIn));
                match Role::of(name, &files, variables) {
                    Ok(Some(role)) => providers.push(Provider::Role(role)),
                    Ok(None) => {
                        let keys = files.profile(name).and_then(own);
                        providers.extend(keys.map(Provider::Known));
                    }
                    Err(why) if profile.is_some() => return Err(Error::Usage(why)),
                    // what everybody may read needs no credentials
                    Err(why) => logger.warn(format!("{why}; it is not used")),
                }
                if let (Some(profile), true) = (profile, providers.is_empty()) {
                    return Err(Error::Usage(format!(
                        "there are no credentials for the profile '{profile}' in ~/.aws/credentials or ~/.aws/config"
                    )));
                }
                providers.push(Provider::Machine(Machine::new(variables)));
            }
        }
        Ok(Self { providers, fetch, logger, known: Mutex::default() })
    }

    /// The credentials at a time, in seconds since 1970; `None` if nobody has any.
    pub(super) fn credentials(&self, now: u64) -> Option<Credentials> {
        let mut known = self.known.lock();
        if let Some((credentials, until)) = &*known
            && now.saturating_add(EARLY) < *until
        {
            return credentials.clone();
        }
        for provider in &self.providers {
            let (found, level): (Found, Level) = match provider {
                Provider::Known(credentials) => (Ok((credentials.clone(), u64::MAX)), Level::Warn),
                Provider::SignedIn(user) => (user.ask(&self.fetch, now), Level::Warn),
                Provider::Role(role) => (role.ask(&self.fetch), Level::Warn),
                // most machines are nobody
                Provider::Machine(machine) => (machine.ask(&self.fetch), Level::Debug),
            };
            match found {
                Ok((credentials, until)) => {
                    *known = Some((Some(credentials.clone()), until));
                    return Some(credentials);
                }
                Err(why) => {
                    let text = format!("no credentials for buckets from {provider}: {why}");
                    match level {
                        Level::Warn => self.logger.warn(text),
                        level => self.logger.message(level, text),
                    }
                }
            }
        }
        // they are not asked again by this process
        *known = Some((None, u64::MAX));
        None
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Known(_) => "the environment or a file",
            Self::SignedIn(_) => "the user's sign-in",
            Self::Role(_) => "a role",
            Self::Machine(_) => "this machine",
        })
    }
}

/// The credentials in the environment.
pub(super) fn environment(variables: &Variables<'_>) -> Option<Credentials> {
    Some(Credentials {
        key_id: variables("AWS_ACCESS_KEY_ID")?,
        secret: variables("AWS_SECRET_ACCESS_KEY")?,
        token: variables("AWS_SESSION_TOKEN").filter(|t| !t.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(profile: Option<&str>, variables: &[(&str, &str)]) -> Result<Source> {
        let variable = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        Source::new(profile, FetchSettings::default(), Logger::silent(), &variable)
    }

    fn kinds(source: &Source) -> Vec<&'static str> {
        let kind = |p: &Provider| match p {
            Provider::Known(_) => "known",
            Provider::SignedIn(_) => "signed in",
            Provider::Role(_) => "role",
            Provider::Machine(_) => "machine",
        };
        source.providers.iter().map(kind).collect()
    }

    #[test]
    fn who_is_asked_and_in_which_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".aws")).unwrap();
        std::fs::write(
            dir.path().join(".aws/config"),
            "[profile keys]\naws_access_key_id=K\naws_secret_access_key=S\n\
             [profile sso]\nsso_session=s\nsso_account_id=1\nsso_role_name=r\nrole_arn=a\nsource_profile=keys\n\
             [sso-session s]\nsso_region=eu-west-1\n\
             [profile evil]\nsso_start_url=u\nsso_region=evil.example/\nsso_account_id=1\nsso_role_name=r\n\
             [profile chain]\nrole_arn=a\nsource_profile=middle\n\
             [profile middle]\nrole_arn=b\nsource_profile=keys\n\
             [profile itself]\nrole_arn=b\nsource_profile=itself\naws_access_key_id=K\naws_secret_access_key=S\n\
             [profile round]\nrole_arn=a\nsource_profile=round2\n[profile round2]\nrole_arn=a\nsource_profile=round\n\
             [profile nobody]\nrole_arn=a\n[profile odd]\nrole_arn=a\ncredential_source=Moon\n\
             [profile empty]\nregion=r\n",
        )
        .unwrap();
        let home = ("HOME", dir.path().to_str().unwrap());
        let of = |profile: &str| kinds(&source(Some(profile), &[home]).unwrap());
        assert_eq!(of("keys"), ["known", "machine"]);
        assert_eq!(of("sso"), ["signed in", "role", "machine"]);
        assert_eq!(of("chain"), ["role", "machine"]);
        assert_eq!(of("itself"), ["role", "machine"]);
        assert_eq!(kinds(&source(None, &[home]).unwrap()), ["machine"]);
        // the environment comes before all, as in C++ Nix
        let keys = [home, ("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "B")];
        assert_eq!(kinds(&source(Some("sso"), &keys).unwrap()), ["known"]);
        let fails = |profile: &str| source(Some(profile), &[home]).err().unwrap().to_string();
        assert!(fails("round").contains("leads back"), "{}", fails("round"));
        assert!(fails("nobody").contains("'source_profile'"), "{}", fails("nobody"));
        assert!(fails("odd").contains("'Moon', which is not supported"), "{}", fails("odd"));
        for none in ["empty", "evil", "x"] {
            assert!(fails(none).contains("there are no credentials for the profile"), "{none}");
        }
    }
}
