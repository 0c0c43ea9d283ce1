//! Roles that somebody takes on (AWS SDKs and Tools Reference Guide, "Assume role credential provider"): whoever a profile
//! names asks the Security Token Service for credentials of the role.

use std::time::{SystemTime, UNIX_EPOCH};

use firn_fetch::{FetchSettings, Payload};
use firn_model::hash::{Hash, HashAlgo};

use super::bucket::element;
use super::files::{Files, own};
use super::machine::Machine;
use super::sigv4::{Credentials, Signable, seconds, timestamp};
use super::source::environment;
use super::sso::url_encoded;
use super::{Found, Variables, ask};

/// How long credentials of a role are wanted for, in seconds.
const DURATION: &str = "900";
/// How many roles may be taken on one after the other.
const DEPTH: usize = 8;

/// A role, and who takes it on.
#[derive(Debug, Clone)]
pub(super) struct Role {
    who: Who,
    /// Where the service is, and how its region is called.
    service: String,
    region: String,
    /// What it is asked.
    query: String,
}

#[derive(Debug, Clone)]
enum Who {
    Known(Credentials),
    Role(Box<Role>),
    Machine(Box<Machine>),
}

impl Role {
    /// The role of a profile; `None` if it has none.
    ///
    /// # Errors
    /// If it has one, but nobody to take it on.
    pub(super) fn of(
        profile: &str,
        files: &Files,
        variables: &Variables<'_>,
    ) -> Result<Option<Self>, String> {
        Self::find(profile, files, variables, DEPTH)
    }

    fn find(
        name: &str,
        files: &Files,
        variables: &Variables<'_>,
        depth: usize,
    ) -> Result<Option<Self>, String> {
        let Some(profile) = files.profile(name) else { return Ok(None) };
        let value = |name: &str| profile.get(name).filter(|v| !v.is_empty());
        let Some(arn) = value("role_arn") else { return Ok(None) };
        let nobody = |who: &str| format!("the profile '{name}' has a role for {who}");
        let who = match (value("source_profile"), value("credential_source")) {
            (Some(source), _) => {
                if depth == 0 {
                    return Err(nobody("a profile that leads back to it"));
                }
                let further = match source == name {
                    // a profile may name itself, for the keys that it has
                    true => None,
                    false => Self::find(source, files, variables, depth - 1)?,
                };
                match further {
                    Some(role) => Who::Role(Box::new(role)),
                    None => {
                        files.profile(source).and_then(own).map(Who::Known).ok_or_else(|| {
                            nobody(&format!("the profile '{source}', which has no keys"))
                        })?
                    }
                }
            }
            (None, Some(source)) => match source.as_str() {
                "Environment" => environment(variables)
                    .map(Who::Known)
                    .ok_or_else(|| nobody("the environment, which has no keys"))?,
                "Ec2InstanceMetadata" | "EcsContainer" => {
                    Who::Machine(Box::new(Machine::new(variables)))
                }
                other => return Err(nobody(&format!("'{other}', which is not supported"))),
            },
            (None, None) => {
                return Err(nobody("nobody; it needs a 'source_profile' or 'credential_source'"));
            }
        };
        let region = value("region")
            .cloned()
            .or_else(|| variables("AWS_REGION"))
            .or_else(|| variables("AWS_DEFAULT_REGION"));
        let (host, region) = match region {
            Some(region) => (format!("sts.{region}.amazonaws.com"), region),
            None => ("sts.amazonaws.com".to_owned(), "us-east-1".to_owned()),
        };
        let service =
            variables("AWS_ENDPOINT_URL_STS").unwrap_or_else(|| format!("https://{host}"));
        let session = value("role_session_name").map_or("firn", String::as_str);
        let mut pairs = vec![
            ("Version", "2011-06-15"),
            ("Action", "AssumeRole"),
            ("RoleArn", arn.as_str()),
            ("RoleSessionName", session),
            ("DurationSeconds", DURATION),
        ];
        if let Some(id) = value("external_id") {
            pairs.push(("ExternalId", id));
        }
        Ok(Some(Self {
            who,
            service: format!("{}/", service.trim_end_matches('/')),
            region,
            query: url_encoded(&pairs),
        }))
    }

    pub(super) fn ask(&self, fetch: &FetchSettings) -> Found {
        let credentials = match &self.who {
            Who::Known(credentials) => credentials.clone(),
            Who::Role(role) => role.ask(fetch)?.0,
            Who::Machine(machine) => machine.ask(fetch)?.0,
        };
        let payload = Hash::digest(HashAlgo::Sha256, self.query.as_bytes()).to_base16();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        let signed = Signable {
            method: "POST",
            url: &self.service,
            payload: &payload,
            time: &timestamp(now),
            region: &self.region,
            service: "sts",
        }
        .sign(&credentials);
        let mut headers: Vec<(&str, &str)> =
            signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        let bytes = Payload::Bytes(self.query.as_bytes());
        parse(&ask(fetch, "POST", &self.service, &headers, bytes)?)
    }
}

fn parse(text: &str) -> Found {
    let field = |name: &str| {
        element(text, name).ok_or_else(|| format!("the token service's answer has no '{name}'"))
    };
    let credentials = Credentials {
        key_id: field("AccessKeyId")?,
        secret: field("SecretAccessKey")?,
        token: Some(field("SessionToken")?),
    };
    let until = field("Expiration")?;
    let until = seconds(&until).ok_or_else(|| format!("'{until}' is not a time"))?;
    Ok((credentials, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_token_service_are_read() {
        let text = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken><Expiration>2013-05-24T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let (found, until) = parse(text).unwrap();
        assert_eq!((found.key_id.as_str(), found.secret.as_str()), ("A", "S"));
        assert_eq!((found.token.as_deref(), until), (Some("T"), 1_369_353_600));
        for bad in ["", &text.replace("<SessionToken>", ""), &text.replace("2013", "x")] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
