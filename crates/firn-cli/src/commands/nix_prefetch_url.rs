//! `nix-prefetch-url`: downloads a file into the store and prints its hash.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use firn_event::Level;
use firn_model::hash::{Hash, HashAlgo, HashFormat};

use crate::common::legacy::{self, Common, Failure, Outcome, Taken, fail, usage};
use crate::common::prefetch::Prefetch;

/// Runs `nix-prefetch-url`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-prefetch-url", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let message = |e: &dyn std::fmt::Display| Failure::Message(e.to_string());
    let mut algo = HashAlgo::Sha256;
    let mut name = None;
    let (mut unpack, mut executable, mut help, mut version) = (false, false, false, false);
    let mut print_path = std::env::var_os("PRINT_PATH").is_some_and(|v| v == "1");
    let mut given = Vec::new();
    let common = Common::parse("nix-prefetch-url", args, |_, arg, rest| {
        match arg {
            "--help" => help = true,
            "--version" => version = true,
            "--type" => algo = rest.value(arg)?.parse().map_err(|e| message(&e))?,
            "--print-path" => print_path = true,
            "--unpack" => unpack = true,
            "--executable" => executable = true,
            "--name" => name = Some(rest.value(arg)?),
            "-A" | "--attr" => {
                return fail(
                    "taking the URL from an attribute ('-A') is not supported; give the URL",
                );
            }
            _ if arg.starts_with('-') => return Ok(Taken::No),
            _ => given.push(arg.to_owned()),
        }
        Ok(Taken::Yes)
    })?;
    if help {
        return Ok(out.write_all(HELP.as_bytes())?);
    }
    if version {
        return Ok(write!(out, "{}", common.version()?)?);
    }
    let (url, expected) = match &given[..] {
        [] => return usage("you must specify a URL"),
        [url] => (url.clone(), None),
        [url, hash] => {
            (url.clone(), Some(Hash::parse_any(hash, Some(algo)).map_err(|e| message(&e))?))
        }
        _ => return usage("too many arguments"),
    };
    let store = common.open_store()?;
    let wanted = Prefetch { url, name, algo, expected, executable, unpack };
    let (path, hash) = wanted.run(&common, &store)?;
    let shown = store.store_dir().print(&path);
    if !print_path {
        common.logger().message(Level::Info, format!("path is '{shown}'"));
    }
    let format = if hash.algo() == HashAlgo::Md5 { HashFormat::Base16 } else { HashFormat::Nix32 };
    writeln!(out, "{}", hash.render(format, false))?;
    if print_path {
        writeln!(out, "{shown}")?;
    }
    Ok(())
}

const HELP: &str = "\
Usage: nix-prefetch-url [FLAG…] URL [HASH]

Downloads a file into the store, unless a file with that hash is there, and prints its hash.

      --type ALGO     the algorithm of the hash: sha256 (if not given), md5, sha1, sha512, blake3
      --print-path    print the store path too
      --unpack        unpack an archive; the hash is then that of its NAR
      --executable    make the file executable; the hash is then that of its NAR
      --name NAME     the name in the store, the URL's last part if not given
";
