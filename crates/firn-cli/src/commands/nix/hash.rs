//! `nix hash`.

use firn_model::content_address::Method;
use firn_model::hash::{Hash, HashAlgo, HashFormat};
use firn_store::fs::{git_hash, hash_path};

use super::call::Call;
use super::flags::{Flag, flag, option};
use crate::commands::nix_hash::hash_file;
use crate::common::legacy::{Failure, Outcome, absolute, usage};

/// Flags of `nix hash file` and `nix hash path`.
#[rustfmt::skip]
pub const FORMATS: &[Flag] = &[
    flag("sri", None, "print the hash in SRI form (the default)"),
    flag("base64", None, "print the hash in base-64"),
    flag("base32", None, "print the hash in base-32"),
    flag("base16", None, "print the hash in base-16"),
    option("type", None, &["hash-algo"], "md5, sha1, sha256 (the default), sha512 or blake3"),
];

/// How a path is hashed.
#[rustfmt::skip]
pub const MODE: &[Flag] = &[
    option("mode", None, &["content-address-method"], "what is hashed: 'nar' (the default), 'flat' or 'git'"),
    option("format", None, &["hash-format"], "base16, nix32, base64 or sri"),
    option("algo", None, &["hash-algo"], "md5, sha1, sha256, sha512 or blake3"),
];

/// Flags of `nix hash to-…`.
pub const TYPE: &[Flag] =
    &[option("type", None, &["hash-algo"], "the algorithm, if the hash does not say")];

/// Flags of `nix hash convert`.
#[rustfmt::skip]
pub const CONVERT: &[Flag] = &[
    option("hash-algo", None, &["hash-algo"], "the algorithm, if the hash does not say"),
    option("from", None, &["hash-format"], "the only form to accept"),
    option("to", None, &["hash-format"], "base16, nix32, base64 or sri (the default)"),
];

fn algorithm(text: &str) -> Outcome<HashAlgo> {
    text.parse().map_err(|e: firn_model::hash::Error| Failure::Usage(e.to_string()))
}

fn format(text: &str) -> Outcome<HashFormat> {
    Ok(match text {
        "base16" => HashFormat::Base16,
        "nix32" => HashFormat::Nix32,
        "base32" => {
            crate::common::legacy::stderr_logger(firn_event::Level::Warn)
                .warn("\"base32\" is a deprecated alias for hash format \"nix32\".");
            HashFormat::Nix32
        }
        "base64" => HashFormat::Base64,
        "sri" => HashFormat::Sri,
        _ => {
            return usage(format!(
                "unknown hash format '{text}', expect 'base16', 'base32', 'base64', or 'sri'"
            ));
        }
    })
}

const fn format_name(format: HashFormat) -> &'static str {
    match format {
        HashFormat::Base16 => "base16",
        HashFormat::Nix32 => "nix32",
        HashFormat::Base64 => "base64",
        HashFormat::Sri => "sri",
    }
}

fn chosen_format(call: &Call<'_>) -> Outcome<HashFormat> {
    if let Some(text) = call.given.value("format") {
        return format(text);
    }
    Ok(if call.given.has("base16") {
        HashFormat::Base16
    } else if call.given.has("base32") {
        HashFormat::Nix32
    } else if call.given.has("base64") {
        HashFormat::Base64
    } else {
        HashFormat::Sri
    })
}

/// `nix hash file`.
pub fn file(call: &mut Call<'_>) -> Outcome {
    print(call, Method::Flat)
}

/// `nix hash path`.
pub fn path(call: &mut Call<'_>) -> Outcome {
    let method = match call.given.value("mode") {
        None | Some("nar") => Method::Nar,
        Some("flat") => Method::Flat,
        Some("git") => Method::Git,
        Some(other) => {
            return usage(format!(
                "unknown file ingestion method '{other}', expect 'flat', 'nar', or 'git'"
            ));
        }
    };
    print(call, method)
}

fn print(call: &mut Call<'_>, method: Method) -> Outcome {
    if method == Method::Git {
        call.need_feature("git-hashing")?;
    }
    let algo = call.given.value("algo").or_else(|| call.given.value("type"));
    let algo = algo.map_or(Ok(HashAlgo::Sha256), algorithm)?;
    let format = chosen_format(call)?;
    for arg in call.given.args.clone() {
        let hash = match method {
            Method::Flat | Method::Text => hash_file(&arg, algo)?,
            Method::Nar => hash_path(&absolute(&arg)?, algo)?.0,
            Method::Git => git_hash(&absolute(&arg)?, algo, None)?,
        };
        writeln!(call.out, "{}", hash.render(format, format == HashFormat::Sri))?;
    }
    Ok(())
}

fn to(call: &mut Call<'_>, format: HashFormat) -> Outcome {
    let algo = call.given.value("type").map(algorithm).transpose()?;
    for arg in call.given.args.clone() {
        let hash = Hash::parse_any(&arg, algo).map_err(|e| Failure::Message(e.to_string()))?;
        writeln!(call.out, "{}", hash.render(format, format == HashFormat::Sri))?;
    }
    Ok(())
}

/// `nix hash to-base16`.
pub fn to_base16(call: &mut Call<'_>) -> Outcome {
    to(call, HashFormat::Base16)
}

/// `nix hash to-base32`.
pub fn to_base32(call: &mut Call<'_>) -> Outcome {
    to(call, HashFormat::Nix32)
}

/// `nix hash to-base64`.
pub fn to_base64(call: &mut Call<'_>) -> Outcome {
    to(call, HashFormat::Base64)
}

/// `nix hash to-sri`.
pub fn to_sri(call: &mut Call<'_>) -> Outcome {
    to(call, HashFormat::Sri)
}

/// `nix hash convert`.
pub fn convert(call: &mut Call<'_>) -> Outcome {
    let algo = call.given.value("hash-algo").map(algorithm).transpose()?;
    let target = call.given.value("to").map_or(Ok(HashFormat::Sri), format)?;
    let from = call.given.value("from").map(format).transpose()?;
    for arg in call.given.args.clone() {
        let hash = Hash::parse_any(&arg, algo).map_err(|e| Failure::Message(e.to_string()))?;
        if let Some(from) = from {
            let bare = arg.split_once(':').map_or(arg.as_str(), |(_, rest)| rest);
            let is = if arg.contains('-') && Hash::parse_sri(&arg).is_ok() {
                HashFormat::Sri
            } else {
                [HashFormat::Base16, HashFormat::Nix32, HashFormat::Base64]
                    .into_iter()
                    .find(|f| hash.render(*f, false).len() == bare.len())
                    .unwrap_or(HashFormat::Base64)
            };
            if is != from {
                return usage(format!(
                    "input hash '{arg}' has format '{}', but '--from {}' was specified",
                    format_name(is),
                    format_name(from)
                ));
            }
        }
        writeln!(call.out, "{}", hash.render(target, target == HashFormat::Sri))?;
    }
    Ok(())
}
