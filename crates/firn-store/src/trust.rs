//! Which paths are believed to be what they say: those that are content-addressed or signed by a trusted key.

use firn_model::path_info::PathInfo;
use firn_model::realisation::Realisation;
use firn_model::signature::{self, PublicKey, Signature};
use firn_model::store_path::StoreDir;

use crate::error::{Error, Result};
use crate::settings::Settings;

/// Whom to believe.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Everybody.
    Everybody,
    /// Nobody: only what is content-addressed.
    #[default]
    Nobody,
    /// The owners of these keys.
    Keys(Vec<PublicKey>),
}

impl Trust {
    /// What the settings `require-sigs` and `trusted-public-keys` (with the public keys of `secret-key-files`) say.
    ///
    /// # Errors
    /// If a key is malformed.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        if !settings.bool("require-sigs") {
            return Ok(Self::Everybody);
        }
        Ok(Self::Keys(trusted_keys(settings)?))
    }

    /// How many signatures of a path are good and by a trusted key.
    #[must_use]
    pub fn good_signatures(&self, info: &PathInfo, dir: &StoreDir) -> usize {
        let Self::Keys(keys) = self else { return 0 };
        let fingerprint = info.fingerprint(dir);
        let good = |s: &&Signature| keys.iter().any(|key| key.verify(fingerprint.as_bytes(), s));
        info.signatures.iter().filter(good).count()
    }

    /// Whether a path may be added to a store for what it says to be.
    #[must_use]
    pub fn accepts(&self, info: &PathInfo, dir: &StoreDir) -> bool {
        matches!(self, Self::Everybody)
            || info.is_content_addressed(dir)
            || self.good_signatures(info, dir) > 0
    }

    /// Whether a realisation may be added to a store.
    #[must_use]
    pub fn accepts_realisation(&self, realisation: &Realisation) -> bool {
        match self {
            Self::Everybody => true,
            Self::Nobody => false,
            Self::Keys(keys) => realisation.good_signatures(keys) > 0,
        }
    }

    /// Fails for a path that may not be added.
    ///
    /// # Errors
    /// [`Error::Untrusted`]
    pub fn check(&self, info: &PathInfo, dir: &StoreDir) -> Result<()> {
        if self.accepts(info, dir) {
            return Ok(());
        }
        Err(Error::Untrusted { path: dir.print(&info.path) })
    }
}

/// The keys that the settings trust: `trusted-public-keys`, and those that belong to `secret-key-files`.
///
/// # Errors
/// If a key of `trusted-public-keys` is malformed. Secret keys that cannot be read do not count, since only some users
/// can read them.
pub fn trusted_keys(settings: &Settings) -> Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for text in settings.words("trusted-public-keys") {
        let key = text.parse().map_err(|e: signature::Error| {
            Error::Usage(format!("{e} (in the setting 'trusted-public-keys': '{text}')"))
        })?;
        keys.push(key);
    }
    for file in settings.words("secret-key-files") {
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Ok(secret) = text.trim_end().parse::<signature::SecretKey>()
        {
            keys.push(secret.public_key());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_model::hash::{Hash, HashAlgo};
    use firn_model::signature::SecretKey;
    use firn_model::store_path::StorePath;

    #[test]
    fn only_trusted_keys_count() {
        let dir = StoreDir::default();
        let path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo").unwrap();
        let mut info = PathInfo::new(path, Hash::digest(HashAlgo::Sha256, b"x"), 1);
        let (ours, theirs) = (
            SecretKey::from_seed("k", &[1; 32]).unwrap(),
            SecretKey::from_seed("k", &[2; 32]).unwrap(),
        );
        let trust = Trust::Keys(vec![ours.public_key()]);
        assert!(!trust.accepts(&info, &dir));
        assert!(Trust::Everybody.accepts(&info, &dir));
        info.signatures.insert(theirs.sign(info.fingerprint(&dir).as_bytes()));
        assert!(trust.check(&info, &dir).unwrap_err().to_string().contains("lacks a signature"));
        info.signatures.insert(ours.sign(info.fingerprint(&dir).as_bytes()));
        assert!(trust.accepts(&info, &dir));
        // what was built here elsewhere is worth nothing
        info.signatures.clear();
        info.ultimate = true;
        assert!(!trust.accepts(&info, &dir));
    }

    #[test]
    fn settings_say_whom_to_believe() {
        let mut settings = Settings::new();
        settings.set("trusted-public-keys", "nonsense").unwrap();
        assert!(Trust::from_settings(&settings).unwrap_err().to_string().contains("nonsense"));
        settings.set("require-sigs", "false").unwrap();
        assert!(matches!(Trust::from_settings(&settings), Ok(Trust::Everybody)));
    }
}
