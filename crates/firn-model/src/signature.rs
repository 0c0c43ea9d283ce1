//! Ed25519 keys and signatures, written `NAME:BASE64` (Nix manual, "Signatures"). A secret key is the
//! seed and the public key, 64 bytes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, Verifier as _};

/// Why a text is no key or signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("{0} is corrupt")]
    Corrupt(&'static str),
    #[error("secret key is not valid")]
    SecretKey,
    #[error("public key is not valid")]
    PublicKey,
    #[error("signature is not valid")]
    Signature,
    #[error("a key's name must not be empty or contain ':'")]
    Name,
}

fn split(text: &str, what: &'static str) -> Result<(String, Vec<u8>), Error> {
    let (name, data) = text.trim_end().split_once(':').ok_or(Error::Corrupt(what))?;
    let data = BASE64.decode(data).map_err(|_| Error::Corrupt(what))?;
    if name.is_empty() || data.is_empty() {
        return Err(Error::Corrupt(what));
    }
    Ok((name.to_owned(), data))
}

/// A secret key; its `Debug` form does not show the key.
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: ed25519_dalek::SigningKey,
}

impl SecretKey {
    /// A new random key.
    ///
    /// # Errors
    /// If the name is empty or has a `:`.
    pub fn generate(name: &str) -> Result<Self, Error> {
        Self::from_seed(name, &rand::random())
    }

    /// The key that follows from `seed`.
    ///
    /// # Errors
    /// If the name is empty or has a `:`.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        if name.is_empty() || name.contains(':') {
            return Err(Error::Name);
        }
        Ok(Self { name: name.to_owned(), key: ed25519_dalek::SigningKey::from_bytes(seed) })
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs `data`.
    #[must_use]
    pub fn sign(&self, data: &[u8]) -> Signature {
        Signature { name: self.name.clone(), bytes: self.key.sign(data).to_bytes() }
    }

    /// `NAME:BASE64`, to be kept secret.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}:{}", self.name, BASE64.encode(self.key.to_keypair_bytes()))
    }
}

impl FromStr for SecretKey {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, data) = split(text, "secret key")?;
        let data: [u8; 64] = data.try_into().map_err(|_| Error::SecretKey)?;
        let key =
            ed25519_dalek::SigningKey::from_keypair_bytes(&data).map_err(|_| Error::SecretKey)?;
        Ok(Self { name, key })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}:…)", self.name)
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: ed25519_dalek::VerifyingKey,
}

impl PublicKey {
    /// Its name; signatures name their key by it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `signature` is this key's for `data`.
    #[must_use]
    pub fn verify(&self, data: &[u8], signature: &Signature) -> bool {
        signature.name == self.name
            && self
                .key
                .verify(data, &ed25519_dalek::Signature::from_bytes(&signature.bytes))
                .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, data) = split(text, "public key")?;
        let data: [u8; 32] = data.try_into().map_err(|_| Error::PublicKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&data).map_err(|_| Error::PublicKey)?;
        Ok(Self { name, key })
    }
}

/// A signature and the name of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    name: String,
    bytes: [u8; 64],
}

impl Signature {
    /// The name of the key that made it.
    #[must_use]
    pub fn key_name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.bytes))
    }
}

impl FromStr for Signature {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, data) = split(text, "signature")?;
        Ok(Self { name, bytes: data.try_into().map_err(|_| Error::Signature)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_is_not_shown_by_accident() {
        let key = SecretKey::from_seed("k", &[7; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(k:…)");
        assert!(SecretKey::from_seed("a:b", &[7; 32]).is_err());
    }

    proptest! {
        #[test]
        fn sign_and_verify(seed: [u8; 32], data: Vec<u8>, at: prop::sample::Index) {
            let key = SecretKey::from_seed("cache.example-1", &seed).unwrap();
            let key: SecretKey = key.reveal().parse().unwrap();
            let public: PublicKey = key.public_key().to_string().parse().unwrap();
            let signature: Signature = key.sign(&data).to_string().parse().unwrap();
            prop_assert!(public.verify(&data, &signature));
            let mut other = data.clone();
            other.push(0);
            prop_assert!(!public.verify(&other, &signature));
            let mut forged = signature.clone();
            forged.bytes[at.index(64)] ^= 1;
            prop_assert!(!public.verify(&data, &forged));
        }
        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = text.parse::<SecretKey>();
            let _ = text.parse::<PublicKey>();
            let _ = text.parse::<Signature>();
        }
    }
}
