//! `cargo xtask conformance`: how far Firn does what the reference, C++ Nix, does: its language tests, the
//! derivations of nixpkgs' packages and of NixOS systems, and random expressions; and how far the formatter
//! writes what nixfmt does. Each part that is asked
//! for is run; a difference makes the command fail.

mod derivations;
mod format;
mod fuzz;
mod lang;
mod message;

use std::path::PathBuf;

use crate::sides::Side;

/// What the command line asks for.
#[derive(Default)]
struct Options {
    lang: Option<PathBuf>,
    format: Option<PathBuf>,
    nixpkgs: Option<PathBuf>,
    sample: Option<usize>,
    packages: bool,
    systems: bool,
    system: Option<String>,
    fuzz: Option<usize>,
    seed: u64,
    start: usize,
}

/// How the command is called.
pub const USAGE: &str = "\
usage: cargo xtask conformance PART…
  --lang DIR         run the language tests of a C++ Nix source tree
  --format DIR       format the files of a tree that is formatted with nixfmt (needs no reference and nothing built)
  --nixpkgs DIR      compare derivations of a nixpkgs tree: packages and NixOS systems
    --sample N         N packages of pkgs/by-name, chosen by the seed, instead of the list in the repository
    --packages         only the packages
    --systems          only the systems
    --system NAME      only this system
  --fuzz N           compare N random expressions with the reference
    --seed S           other expressions (1)
    --start N          begin with expression number N (0)
NIX_REFERENCE names the reference: a folder with C++ Nix's commands, or a command that comes before theirs.
FIRN_DIST names what 'cargo xtask dist' built; without it, that is done first.";

/// Runs the command.
pub fn main(args: &[String]) -> Result<(), String> {
    let options = parse(args)?;
    let mut differences = 0;
    if let Some(tree) = &options.lang {
        differences += lang::run(tree, &Side::ours()?)?;
    }
    if let Some(tree) = &options.format {
        differences += format::run(tree)?;
    }
    if let Some(nixpkgs) = &options.nixpkgs {
        let nixpkgs = nixpkgs
            .canonicalize()
            .map_err(|e| format!("cannot find nixpkgs at '{}': {e}", nixpkgs.display()))?;
        let pair = derivations::Pair { reference: Side::reference()?, ours: Side::ours()? };
        if options.packages || !options.systems {
            let names = derivations::attributes(&nixpkgs, options.sample, options.seed)?;
            differences += derivations::packages(&pair, &nixpkgs, &names)?;
        }
        if options.systems || !options.packages {
            differences += derivations::systems(&pair, &nixpkgs, options.system.as_deref())?;
        }
    }
    if let Some(count) = options.fuzz {
        differences += fuzz::run(count, options.seed, options.start)?;
    }
    match differences {
        0 => Ok(()),
        1 => Err("there is a difference".into()),
        n => Err(format!("there are {n} differences")),
    }
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options { seed: 1, ..Options::default() };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("'{arg}' needs a value\n{USAGE}"));
        let number = |text: &String| {
            text.parse::<usize>().map_err(|_| format!("'{text}' is not a number\n{USAGE}"))
        };
        match arg.as_str() {
            "--lang" => options.lang = Some(value()?.into()),
            "--format" => options.format = Some(value()?.into()),
            "--nixpkgs" => options.nixpkgs = Some(value()?.into()),
            "--sample" => options.sample = Some(number(value()?)?),
            "--packages" => options.packages = true,
            "--systems" => options.systems = true,
            "--system" => {
                options.systems = true;
                options.system = Some(value()?.clone());
            }
            "--fuzz" => options.fuzz = Some(number(value()?)?),
            "--seed" => options.seed = number(value()?)? as u64,
            "--start" => options.start = number(value()?)?,
            other => return Err(format!("'{other}' is not understood\n{USAGE}")),
        }
    }
    let parts = [&options.lang, &options.format, &options.nixpkgs];
    if parts.iter().all(|part| part.is_none()) && options.fuzz.is_none() {
        return Err(USAGE.into());
    }
    Ok(options)
}
