//! Signatures of commits (`verifyCommit`, `publicKey`, `publicKeys`), checked by `git verify-commit` with the
//! keys that the input names and no others.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use firn_model::input::Input;
use firn_model::{Hash, HashAlgo};
use serde::Deserialize;

use super::program::{GitError, Repository};

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PublicKey {
    /// Its type, as inputs name it.
    #[serde(rename = "type", default = "default_type")]
    kind: String,
    /// The key in base 64.
    key: String,
}

fn default_type() -> String {
    "ssh-ed25519".to_owned()
}

/// Types of keys as inputs name them, and as OpenSSH does.
const TYPES: [(&str, &str); 6] = [
    ("ssh-dsa", "ssh-dsa"),
    ("ssh-ecdsa", "ssh-ecdsa"),
    ("ssh-ecdsa-sk", "sk-ecdsa-sha2-nistp256@openssh.com"),
    ("ssh-ed25519", "ssh-ed25519"),
    ("ssh-ed25519-sk", "sk-ssh-ed25519@openssh.com"),
    ("ssh-rsa", "ssh-rsa"),
];

fn keys(input: &Input) -> Result<Vec<PublicKey>, GitError> {
    let mut keys: Vec<PublicKey> = match input.text("publicKeys") {
        Some(text) => serde_json::from_str(text)
            .map_err(|e| GitError::Input(format!("'publicKeys' of '{}': {e}", input.shown())))?,
        None => Vec::new(),
    };
    if let Some(key) = input.text("publicKey") {
        let kind = input.text("keytype").map_or_else(default_type, str::to_owned);
        keys.push(PublicKey { kind, key: key.to_owned() });
    }
    Ok(keys)
}

/// Whether an input's commit must be signed.
pub(super) fn is_wanted(input: &Input) -> Result<bool, GitError> {
    if input.attrs.contains_key("verifyCommit") {
        return Ok(input.flag("verifyCommit"));
    }
    Ok(!keys(input)?.is_empty())
}

/// Checks that a commit is signed with one of the input's keys.
///
/// # Errors
/// If it is not, or a key is of no type that Git knows.
pub(super) fn check(input: &Input, repository: &Repository, rev: &str) -> Result<(), GitError> {
    let keys = keys(input)?;
    let mut signers = String::new();
    for key in &keys {
        let Some((_, name)) = TYPES.iter().find(|(kind, _)| *kind == key.kind) else {
            let known: Vec<String> = TYPES.iter().map(|(kind, _)| format!("  {kind}")).collect();
            return Err(GitError::Input(format!(
                "Invalid SSH key type '{}' in publicKeys.\nPlease use one of:\n{}",
                key.kind,
                known.join("\n")
            )));
        };
        signers.push_str(&format!("* {name} {}\n", key.key));
    }
    let failed = |e: std::io::Error| GitError::Input(format!("writing the keys of signers: {e}"));
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    file.write_all(signers.as_bytes()).map_err(failed)?;
    let setting = format!("gpg.ssh.allowedSignersFile={}", file.path().display());
    let mut command = repository.command(&["-c", &setting, "verify-commit", rev]);
    let output = command.output().map_err(GitError::Start)?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    // A key of the user's own, in GnuPG, is none that the input names.
    let by_one_of_them = keys.iter().any(|key| {
        fingerprint(&key.key).is_some_and(|print| said.contains(&format!("key SHA256:{print}")))
    });
    if output.status.success() && by_one_of_them {
        return Ok(());
    }
    Err(GitError::Input(format!("Commit signature verification on commit {rev} failed: {said}")))
}

/// The fingerprint of a key in base 64, as OpenSSH shows it.
fn fingerprint(key: &str) -> Option<String> {
    let bytes = BASE64.decode(key).ok()?;
    let sri = Hash::digest(HashAlgo::Sha256, &bytes).to_sri();
    Some(sri.strip_prefix("sha256-")?.trim_end_matches('=').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_model::input::Attrs;

    fn input(pairs: &[(&str, &str)]) -> Input {
        let mut attrs = Attrs::from([
            ("type".to_owned(), "git".into()),
            ("url".to_owned(), "file:///x".into()),
        ]);
        attrs.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())));
        Input::from_attrs(attrs, &|_| true).unwrap()
    }

    #[test]
    fn keys_ask_for_signatures() {
        assert!(!is_wanted(&input(&[])).unwrap());
        assert!(is_wanted(&input(&[("publicKey", "AAAA")])).unwrap());
        let many = input(&[("publicKeys", r#"[{"key":"AAAA"},{"type":"ssh-rsa","key":"BBBB"}]"#)]);
        let kinds: Vec<String> = keys(&many).unwrap().into_iter().map(|k| k.kind).collect();
        assert_eq!(kinds, ["ssh-ed25519", "ssh-rsa"]);
    }

    #[test]
    fn fingerprints_are_those_of_openssh() {
        // ssh-keygen -l of this key
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(
            fingerprint(key).as_deref(),
            Some("kmYcvdi2GkPeWxB6XLjrZB8JHsy2Hm8luHMFp9GMvqk")
        );
    }
}
