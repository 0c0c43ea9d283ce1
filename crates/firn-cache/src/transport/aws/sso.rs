//! Users who have signed in with `aws sso login` (AWS SDKs and Tools Reference Guide, "IAM Identity Center credential
//! provider"): what that left in a file is shown to the portal, which gives credentials for a role.

use std::path::PathBuf;

use firn_fetch::{FetchSettings, Payload};
use sha1::{Digest as _, Sha1};

use super::files::Files;
use super::sigv4::{Credentials, seconds};
use super::{Found, Variables, ask};

/// What a profile says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedIn {
    /// Where the portal is.
    portal: String,
    account: String,
    role: String,
    /// The file that signing in left.
    token: PathBuf,
}

impl SignedIn {
    /// `None` if the profile is not of this kind.
    pub(super) fn of(profile: &str, files: &Files, variables: &Variables<'_>) -> Option<Self> {
        let profile = files.profile(profile)?;
        let value = |name: &str| profile.get(name).filter(|v| !v.is_empty());
        let account = value("sso_account_id")?.clone();
        let role = value("sso_role_name")?.clone();
        // the file is called by the session, or in the older form by where users sign in
        let (region, key) = match value("sso_session") {
            Some(name) => {
                let session = files.session(name)?;
                (session.get("sso_region")?, name)
            }
            None => (value("sso_region")?, value("sso_start_url")?),
        };
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain(region) {
            return None;
        }
        let name: String = Sha1::digest(key).iter().map(|b| format!("{b:02x}")).collect();
        let portal = variables("AWS_ENDPOINT_URL_SSO")
            .unwrap_or_else(|| format!("https://portal.sso.{region}.amazonaws.com"));
        Some(Self {
            portal: portal.trim_end_matches('/').to_owned(),
            account,
            role,
            token: files.sso_cache.as_ref()?.join(format!("{name}.json")),
        })
    }

    pub(super) fn ask(&self, fetch: &FetchSettings, now: u64) -> Found {
        let shown = self.token.display();
        let text = std::fs::read_to_string(&self.token)
            .map_err(|e| format!("'{shown}' cannot be read ({e}); run 'aws sso login'"))?;
        let token: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| format!("'{shown}' is no JSON: {e}"))?;
        let field = |name: &str| token.get(name).and_then(|v| v.as_str());
        let until = field("expiresAt").and_then(seconds);
        let (Some(secret), Some(until)) = (field("accessToken"), until) else {
            return Err(format!("'{shown}' has no 'accessToken' with an 'expiresAt'"));
        };
        if until <= now {
            return Err("the user's session has expired; run 'aws sso login'".to_owned());
        }
        let pairs = [("account_id", &self.account), ("role_name", &self.role)];
        let query = url_encoded(&pairs);
        let url = format!("{}/federation/credentials?{query}", self.portal);
        let answer = ask(fetch, "GET", &url, &[("x-amz-sso_bearer_token", secret)], Payload::None)?;
        parse(&answer)
    }
}

/// `a=b&c=d`
pub(super) fn url_encoded<V: AsRef<str>>(pairs: &[(&str, V)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", super::bucket::encode(value.as_ref())))
        .collect();
    pairs.join("&")
}

fn parse(text: &str) -> Found {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "the portal's answer is no JSON".to_owned())?;
    let found = json.get("roleCredentials").unwrap_or(&serde_json::Value::Null);
    let field = |name: &str| {
        let text = found.get(name).and_then(|v| v.as_str()).map(str::to_owned);
        text.ok_or_else(|| format!("the portal's answer has no '{name}'"))
    };
    let credentials = Credentials {
        key_id: field("accessKeyId")?,
        secret: field("secretAccessKey")?,
        token: Some(field("sessionToken")?),
    };
    // in milliseconds
    let until = found.get("expiration").and_then(serde_json::Value::as_u64);
    let until = until.ok_or("the portal's answer has no 'expiration'")? / 1000;
    Ok((credentials, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_portal_are_read() {
        let text = r#"{"roleCredentials":{"accessKeyId":"A","secretAccessKey":"S","sessionToken":"T","expiration":1369353600123}}"#;
        let (found, until) = parse(text).unwrap();
        assert_eq!((found.key_id.as_str(), found.secret.as_str()), ("A", "S"));
        assert_eq!((found.token.as_deref(), until), (Some("T"), 1_369_353_600));
        for bad in ["", "{}", r#"{"roleCredentials":{"accessKeyId":"A"}}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
