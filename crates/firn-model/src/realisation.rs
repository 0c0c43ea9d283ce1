//! Realisations: which store path an output of a derivation came to be, for derivations whose output paths
//! are not known before the build (Nix manual, "Content-addressing derivation outputs"). The JSON form is that of
//! binary caches (`realisations/ID.doi`) and of the worker protocol.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::hash::Hash;
use crate::signature::{PublicKey, SecretKey, Signature};
use crate::store_path::StorePath;

/// Why a text is no realisation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("Invalid derivation output id {0}")]
    Id(String),
    #[error("invalid realisation: {0}")]
    Json(String),
}

/// An output of a derivation, which is named by its hash modulo its inputs' contents rather than by its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrvOutput {
    /// The derivation's hash modulo its inputs.
    pub drv_hash: Hash,
    /// The output's name.
    pub output_name: String,
}

impl fmt::Display for DrvOutput {
    /// `sha256:BASE16!NAME`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}!{}", self.drv_hash.algo(), self.drv_hash.to_base16(), self.output_name)
    }
}

impl FromStr for DrvOutput {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Id(text.to_owned());
        let (hash, name) = text.split_once('!').ok_or_else(bad)?;
        let drv_hash = Hash::parse_any(hash, None).map_err(|_| bad())?;
        if name.is_empty() {
            return Err(bad());
        }
        Ok(Self { drv_hash, output_name: name.to_owned() })
    }
}

/// That an output of a derivation is a certain store path, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realisation {
    /// Which output.
    pub id: DrvOutput,
    /// What it is.
    pub out_path: StorePath,
    /// Who vouches for it.
    pub signatures: BTreeSet<Signature>,
}

impl Realisation {
    /// One without signatures.
    #[must_use]
    pub fn new(id: DrvOutput, out_path: StorePath) -> Self {
        Self { id, out_path, signatures: BTreeSet::new() }
    }

    fn object(&self, signatures: bool) -> Value {
        let mut object = Map::new();
        // An empty object for readers that want the realisations that it was built with, as once was done.
        object.insert("dependentRealisations".into(), Map::new().into());
        object.insert("id".into(), self.id.to_string().into());
        object.insert("outPath".into(), self.out_path.base_name().into());
        if signatures {
            let list: Vec<Value> = self.signatures.iter().map(|s| s.to_string().into()).collect();
            object.insert("signatures".into(), list.into());
        }
        object.into()
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.object(true)
    }

    /// Reads the JSON form; fields that are not known are left out of account.
    ///
    /// # Errors
    /// If a field is missing or is not what it should be.
    pub fn from_json(json: &Value) -> Result<Self, Error> {
        let bad = |what: String| Error::Json(what);
        let field = |name: &str| {
            json.get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| bad(format!("it has no text '{name}'")))
        };
        let out_path =
            StorePath::from_base_name(field("outPath")?).map_err(|e| bad(e.to_string()))?;
        let mut signatures = BTreeSet::new();
        if let Some(list) = json.get("signatures") {
            let list =
                list.as_array().ok_or_else(|| bad("'signatures' is no list of texts".into()))?;
            for text in list {
                let text =
                    text.as_str().ok_or_else(|| bad("'signatures' is no list of texts".into()))?;
                signatures.insert(text.parse().map_err(|e| bad(format!("'{text}': {e}")))?);
            }
        }
        Ok(Self { id: field("id")?.parse()?, out_path, signatures })
    }

    /// The text that signatures sign: the JSON form without them, names sorted, no spaces.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.object(false).to_string()
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SecretKey) {
        self.signatures.insert(key.sign(self.fingerprint().as_bytes()));
    }

    /// How many of the signatures are good and by one of these keys.
    #[must_use]
    pub fn good_signatures<'k>(&self, keys: impl IntoIterator<Item = &'k PublicKey>) -> usize {
        let keys: Vec<&PublicKey> = keys.into_iter().collect();
        let text = self.fingerprint();
        self.signatures
            .iter()
            .filter(|signature| keys.iter().any(|key| key.verify(text.as_bytes(), signature)))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Realisation {
        let id = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
        let path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo").unwrap();
        Realisation::new(id, path)
    }

    #[test]
    fn the_fingerprint_has_sorted_names_and_no_signatures() {
        let key = SecretKey::from_seed("k", &[7; 32]).unwrap();
        let mut realisation = sample();
        let before = realisation.fingerprint();
        realisation.sign(&key);
        assert_eq!(realisation.fingerprint(), before);
        assert_eq!(
            before,
            format!(
                "{{\"dependentRealisations\":{{}},\"id\":\"sha256:{}!out\",\"outPath\":\"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo\"}}",
                "ab".repeat(32)
            )
        );
        assert_eq!(realisation.good_signatures([&key.public_key()]), 1);
        let other = SecretKey::from_seed("k", &[8; 32]).unwrap();
        assert_eq!(realisation.good_signatures([&other.public_key()]), 0);
    }

    #[test]
    fn json_comes_back_the_same() {
        let mut realisation = sample();
        realisation.sign(&SecretKey::from_seed("k", &[7; 32]).unwrap());
        assert_eq!(Realisation::from_json(&realisation.to_json()), Ok(realisation));
    }

    #[test]
    fn what_is_no_realisation_is_refused() {
        for id in ["", "sha256:zz!out", "out", "sha256:abc!"] {
            assert!(id.parse::<DrvOutput>().is_err(), "{id}");
        }
        let mut json = sample().to_json();
        json["signatures"] = serde_json::json!(["no signature"]);
        assert!(Realisation::from_json(&json).is_err());
        json["signatures"] = serde_json::json!([]);
        json["outPath"] = "../x".into();
        assert!(Realisation::from_json(&json).is_err());
    }
}
