//! `nix-hash`: hashes of files and NARs, and conversions between the ways to write hashes.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use firn_model::hash::{Hash, HashAlgo, HashFormat, Hasher};
use firn_model::store_path::compress;
use firn_store::fs::hash_path;

use crate::common::legacy::{self, Common, Failure, Outcome, Taken, absolute, fail};

/// Runs `nix-hash`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-hash", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut algo: Option<HashAlgo> = None;
    let mut format = HashFormat::Base16;
    let (mut flat, mut truncate, mut convert) = (false, false, false);
    let mut items: Vec<String> = Vec::new();
    let mut instead: Option<String> = None;
    Common::parse("nix-hash", args, |_, arg, rest| {
        match arg {
            "--help" => instead = Some(HELP.to_owned()),
            "--version" => {
                instead = Some(format!("nix-hash (Nix) {}\n", crate::common::NIX_VERSION));
            }
            "--flat" => flat = true,
            "--truncate" => truncate = true,
            "--base16" => format = HashFormat::Base16,
            "--base32" => format = HashFormat::Nix32,
            "--base64" => format = HashFormat::Base64,
            "--sri" => format = HashFormat::Sri,
            "--to-base16" => (convert, format) = (true, HashFormat::Base16),
            "--to-base32" => (convert, format) = (true, HashFormat::Nix32),
            "--to-base64" => (convert, format) = (true, HashFormat::Base64),
            "--to-sri" => (convert, format) = (true, HashFormat::Sri),
            "--type" => {
                let name = rest.value(arg)?;
                algo = Some(
                    name.parse()
                        .map_err(|e: firn_model::hash::Error| Failure::Usage(e.to_string()))?,
                );
            }
            _ if arg.starts_with('-') => return Ok(Taken::No),
            _ => items.push(arg.to_owned()),
        }
        Ok(Taken::Yes)
    })?;
    if let Some(text) = instead {
        return Ok(out.write_all(text.as_bytes())?);
    }
    for item in &items {
        let hash = if convert {
            Hash::parse_any(item, algo).map_err(|e| Failure::Message(e.to_string()))?
        } else {
            let algo = algo.unwrap_or(HashAlgo::Md5);
            if flat { hash_file(item, algo)? } else { hash_path(&absolute(item)?, algo)?.0 }
        };
        let shown = if truncate && !convert && hash.as_bytes().len() > 20 {
            truncated(&hash, format)
        } else {
            hash.render(format, false)
        };
        writeln!(out, "{shown}")?;
    }
    Ok(())
}

/// A digest folded into 20 bytes, under its algorithm's name.
fn truncated(hash: &Hash, format: HashFormat) -> String {
    let short = compress(hash.as_bytes());
    // a SHA-1 hash is as long, and only SRI shows a name
    let Ok(as_sha1) = Hash::from_bytes(HashAlgo::Sha1, &short) else { return String::new() };
    match format {
        HashFormat::Sri => format!("{}-{}", hash.algo(), as_sha1.to_base64()),
        _ => as_sha1.render(format, false),
    }
}

/// The hash of a file's bytes; it may be a pipe.
pub(super) fn hash_file(path: &str, algo: HashAlgo) -> Outcome<Hash> {
    let show =
        |e: &std::io::Error| format!("opening file {path:?}: {}", firn_store::error::errno_text(e));
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) => return fail(show(&e)),
    };
    let mut hasher = Hasher::new(algo);
    match std::io::copy(&mut file, &mut hasher) {
        Ok(_) => Ok(hasher.finish()),
        Err(e) => fail(format!("reading file {path:?}: {}", firn_store::error::errno_text(&e))),
    }
}

const HELP: &str = "\
Usage: nix-hash [--flat] [--base16 | --base32 | --base64 | --sri] [--truncate] [--type ALGORITHM] PATHS…
       nix-hash --to-base16 | --to-base32 | --to-base64 | --to-sri [--type ALGORITHM] HASHES…

Prints the hash of the NAR of each path, or with --flat of each file's contents.
Algorithms: md5 (default), sha1, sha256, sha512, blake3.
";
