//! Credentials that a virtual machine or a container asks the machine that it runs on for: EC2's instance metadata,
//! version 2, and the credentials of containers (AWS SDK Reference Guide, "Standardized credential providers").
//!
//! Nothing here fails: a machine that is nobody has no credentials, and its requests are not signed.

use std::time::Duration;

use firn_fetch::{FetchSettings, Payload};

use super::sigv4::{Credentials, seconds};
use super::{Found, Variables, ask};

/// Where EC2's metadata are.
const EC2: &str = "http://169.254.169.254";
/// Where those of containers are.
const CONTAINERS: &str = "http://169.254.170.2";
/// Hosts that may be sent the authorization of a container without TLS.
const NEAR: &[&str] = &["127.0.0.1", "localhost", "[::1]", "169.254.170.2", "169.254.170.23"];
/// How long an answer may take: it comes from next door, or not at all.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a token for asking is wanted for, in seconds.
const TOKEN_TIME: &str = "21600";

/// Who to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// Instance metadata at this address.
    Instance(String),
    /// This URL, with this authorization.
    Container(String, Option<String>),
    /// Nobody.
    Nobody,
}

/// The machine that this one runs on.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    host: Host,
}

impl Machine {
    pub(super) fn new(variables: &Variables<'_>) -> Self {
        Self { host: host(variables) }
    }

    pub(super) fn ask(&self, fetch: &FetchSettings) -> Found {
        let fetch = FetchSettings {
            attempts: 1,
            connect_timeout: Some(PATIENCE),
            stalled_timeout: Some(PATIENCE),
            ..fetch.clone()
        };
        let get = |method, url: &str, headers: &[(&str, &str)]| {
            ask(&fetch, method, url, headers, Payload::None)
        };
        match &self.host {
            Host::Nobody => Err("it is not to be asked".to_owned()),
            Host::Container(url, authorization) => {
                let headers: Vec<(&str, &str)> =
                    authorization.iter().map(|value| ("authorization", value.as_str())).collect();
                parse(&get("GET", url, &headers)?)
            }
            Host::Instance(base) => {
                let wanted = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_TIME)];
                let token = get("PUT", &format!("{base}/latest/api/token"), &wanted)?;
                let token = [("x-aws-ec2-metadata-token", token.trim())];
                let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
                let names = get("GET", &roles, &token)?;
                let role = names.lines().next().map(str::trim).unwrap_or_default();
                if role.is_empty() || role.contains(['/', '?', '#']) {
                    return Err("it has no role".to_owned());
                }
                parse(&get("GET", &format!("{roles}{role}"), &token)?)
            }
        }
    }
}

fn host(variables: &Variables<'_>) -> Host {
    if let Some(path) = variables("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Host::Container(format!("{CONTAINERS}{path}"), authorization(variables));
    }
    if let Some(url) = variables("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        let near = url.strip_prefix("http://").is_some_and(|rest| {
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            let host = match host.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
                _ => host,
            };
            NEAR.contains(&host)
        });
        return if near || url.starts_with("https://") {
            Host::Container(url, authorization(variables))
        } else {
            Host::Nobody
        };
    }
    if variables("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return Host::Nobody;
    }
    let base = variables("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| EC2.to_owned());
    Host::Instance(base.trim_end_matches('/').to_owned())
}

fn authorization(variables: &Variables<'_>) -> Option<String> {
    if let Some(file) = variables("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        return std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned());
    }
    variables("AWS_CONTAINER_AUTHORIZATION_TOKEN")
}

/// The credentials in an answer, and when they expire in seconds since 1970.
fn parse(text: &str) -> Found {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "the answer is no JSON".to_owned())?;
    let field = |name: &str| json.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let missing = |name: &str| format!("the answer has no '{name}'");
    let credentials = Credentials {
        key_id: field("AccessKeyId").ok_or_else(|| missing("AccessKeyId"))?,
        secret: field("SecretAccessKey").ok_or_else(|| missing("SecretAccessKey"))?,
        token: field("Token").filter(|token| !token.is_empty()),
    };
    let until = match field("Expiration") {
        Some(text) => {
            seconds(&text).ok_or_else(|| format!("'{text}' is not a time that is understood"))?
        }
        None => u64::MAX,
    };
    Ok((credentials, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(variables: &[(&str, &str)]) -> Host {
        host(&|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn who_is_asked_is_said_by_variables() {
        assert_eq!(host_of(&[]), Host::Instance(EC2.to_owned()));
        assert_eq!(host_of(&[("AWS_EC2_METADATA_DISABLED", "TRUE")]), Host::Nobody);
        let found = host_of(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")]);
        assert_eq!(found, Host::Container("http://169.254.170.2/v2/x".to_owned(), None));
        let full = |url: &str| {
            let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret");
            host_of(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), token])
        };
        let secret = Some("secret".to_owned());
        for good in ["https://far.example/x", "http://127.0.0.1:80/x", "http://169.254.170.23/x"] {
            assert_eq!(full(good), Host::Container(good.to_owned(), secret.clone()));
        }
        // an authorization is not sent through the net for all to read
        for bad in ["http://far.example/x", "http://127.0.0.1.far.example/", "ftp://localhost/"] {
            assert_eq!(full(bad), Host::Nobody, "{bad}");
        }
    }

    #[test]
    fn answers_are_read() {
        let text = r#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2013-05-24T00:00:00Z"}"#;
        let (found, until) = parse(text).unwrap();
        assert_eq!((found.key_id.as_str(), found.secret.as_str()), ("A", "S"));
        assert_eq!((found.token.as_deref(), until), (Some("T"), 1_369_353_600));
        for bad in ["", "{}", r#"{"AccessKeyId":"A"}"#, &text.replace("2013-", "20x3-")] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
