//! `nix key`.

use firn_model::signature::SecretKey;

use super::call::Call;
use super::flags::{Flag, option};
use crate::common::legacy::{Failure, Outcome, usage};

/// Flags of `nix key generate-secret`.
pub const GENERATE: &[Flag] = &[option(
    "key-name",
    None,
    &["name"],
    "the name that signatures bear, such as cache.example.org-1",
)];

/// `nix key generate-secret`.
pub fn generate(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let Some(name) = call.given.value("key-name") else {
        return usage("required argument '--key-name' is missing");
    };
    let key = SecretKey::generate(name).map_err(|e| Failure::Message(e.to_string()))?;
    // no newline: the text is the key
    Ok(write!(call.out, "{}", key.reveal())?)
}

/// `nix key convert-secret-to-public`.
pub fn convert(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let text = std::io::read_to_string(std::io::stdin())
        .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
    let key: SecretKey = text
        .trim_end()
        .parse()
        .map_err(|e: firn_model::signature::Error| Failure::Message(e.to_string()))?;
    Ok(write!(call.out, "{}", key.public_key())?)
}
