//! The hash of a derivation *modulo* its fixed-output inputs: what input-addressed output paths are
//! computed from.

use std::collections::BTreeMap;

use super::aterm;
use super::{Derivation, Error, Kind, Output};
use crate::hash::{Hash, HashAlgo, Hasher};
use crate::store_path::{StoreDir, StorePath};

/// What stands for a derivation's outputs when a derivation that needs them is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrvHashModulo {
    /// One hash for each (fixed) output.
    Fixed(BTreeMap<String, Hash>),
    /// One hash for all outputs.
    Derivation(Hash),
    /// One hash for all outputs, whose paths are not known before the build.
    Deferred(Hash),
}

impl DrvHashModulo {
    /// The hash that stands for `output`.
    #[must_use]
    pub fn output(&self, output: &str) -> Option<&Hash> {
        match self {
            Self::Fixed(hashes) => hashes.get(output),
            Self::Derivation(hash) | Self::Deferred(hash) => Some(hash),
        }
    }
}

/// Hashes `drv` modulo its inputs; `input` gives the hash of an input derivation (with its output
/// paths in place: `mask` false).
///
/// With `mask` the output paths count as empty: that is how they are computed.
///
/// # Errors
/// If the outputs are of kinds that cannot be together, or `input` fails.
pub fn hash_modulo(
    drv: &Derivation,
    dir: &StoreDir,
    mask: bool,
    input: &mut dyn FnMut(&StorePath) -> Result<DrvHashModulo, Error>,
) -> Result<DrvHashModulo, Error> {
    let kind = drv.kind()?;
    if kind == Kind::Fixed {
        return fixed(drv, dir);
    }
    let (inputs, deferred) = hashed_inputs(drv, kind, input)?;
    let (mut head, mut rest) = (Vec::new(), Vec::with_capacity(4096));
    aterm::head(&mut head, drv, dir, mask);
    aterm::rest(&mut rest, drv, dir, mask);
    Ok(of_all_outputs([&head, &inputs, &rest], deferred))
}

/// A derivation with the paths of its outputs, and what had to be computed for them.
#[derive(Debug)]
pub struct Completed {
    /// The content of its `.drv` file.
    pub text: Vec<u8>,
    /// The SHA-256 of that.
    pub hash: Hash,
    /// The store path of that.
    pub path: StorePath,
    /// What stands for it in derivations that need it.
    pub modulo: DrvHashModulo,
}

/// Computes the paths of outputs that are [`Output::Deferred`], where all inputs allow for it, puts them into
/// outputs and environment, and prints the derivation.
///
/// That is [`hash_modulo`] with `mask`, [`Derivation::fill_output_paths`], [`Derivation::to_aterm`] and
/// [`hash_modulo`] again, but what they have in common is done once. The variables of outputs must be empty.
///
/// # Errors
/// If a name is not allowed in a store path, the outputs are of kinds that cannot be together, or `input` fails.
pub fn complete(
    drv: &mut Derivation,
    dir: &StoreDir,
    input: &mut dyn FnMut(&StorePath) -> Result<DrvHashModulo, Error>,
) -> Result<Completed, Error> {
    let kind = drv.kind()?;
    let mut rest = Vec::with_capacity(4096);
    let mut text = Vec::with_capacity(4096);
    let modulo = if kind == Kind::Fixed {
        aterm::head(&mut text, drv, dir, false);
        aterm::rest(&mut rest, drv, dir, false);
        fixed(drv, dir)?
    } else {
        let (inputs, deferred) = hashed_inputs(drv, kind, input)?;
        if kind == (Kind::InputAddressed { deferred: true }) && !deferred {
            let (mut head, mut masked) = (Vec::new(), Vec::with_capacity(4096));
            aterm::head(&mut head, drv, dir, true);
            let places = aterm::rest(&mut masked, drv, dir, true);
            let hash = digest([&head, &inputs, &masked]);
            let mut paths = BTreeMap::new();
            let mut copied = 0;
            for place in places {
                let path = dir.make_output_path(place.output, &hash, &drv.name)?;
                rest.extend_from_slice(&masked[copied..place.at]);
                aterm::escaped(&mut rest, dir.print(&path).as_bytes());
                copied = place.at;
                paths.insert(place.output.to_owned(), path);
            }
            rest.extend_from_slice(&masked[copied..]);
            for (name, path) in paths {
                drv.env.insert(name.as_str().into(), dir.print(&path).into());
                drv.outputs.insert(name, Output::InputAddressed(path));
            }
        } else {
            aterm::rest(&mut rest, drv, dir, false);
        }
        aterm::head(&mut text, drv, dir, false);
        of_all_outputs([&text, &inputs, &rest], deferred)
    };
    aterm::input_drvs(&mut text, drv, dir);
    text.extend_from_slice(&rest);
    let hash = Hash::digest(HashAlgo::Sha256, &text);
    let path = drv.store_path_of_hash(&hash, dir)?;
    Ok(Completed { text, hash, path, modulo })
}

/// What stands for the output of a fixed-output derivation.
fn fixed(drv: &Derivation, dir: &StoreDir) -> Result<DrvHashModulo, Error> {
    let mut hashes = BTreeMap::new();
    for (name, output) in &drv.outputs {
        if let (Output::Fixed(ca), Some(path)) = (output, output.path(dir, &drv.name, name)?) {
            let text = format!(
                "fixed:out:{}:{}:{}",
                ca.method_and_algo(),
                ca.hash.to_base16(),
                dir.print(&path)
            );
            hashes.insert(name.clone(), Hash::digest(HashAlgo::Sha256, text.as_bytes()));
        }
    }
    Ok(DrvHashModulo::Fixed(hashes))
}

/// The text of the inputs by the hashes that stand for them, and whether the outputs' paths are unknown
/// because of one of them, or since their kind is such.
fn hashed_inputs(
    drv: &Derivation,
    kind: Kind,
    input: &mut dyn FnMut(&StorePath) -> Result<DrvHashModulo, Error>,
) -> Result<(Vec<u8>, bool), Error> {
    let mut deferred = matches!(kind, Kind::Floating | Kind::Impure);
    let mut inputs: Vec<(Hash, &str)> = Vec::with_capacity(drv.input_drvs.len());
    for (path, outputs) in &drv.input_drvs {
        let hashed = input(path)?;
        deferred |= matches!(hashed, DrvHashModulo::Deferred(_)) || !outputs.dynamic.is_empty();
        for output in &outputs.outputs {
            let hash = hashed.output(output).ok_or_else(|| Error::NoOutputHash {
                name: path.name().to_owned(),
                output: output.clone(),
            })?;
            inputs.push((*hash, output));
        }
    }
    inputs.sort_unstable_by(|(a, x), (b, y)| (a.as_bytes(), x).cmp(&(b.as_bytes(), y)));
    inputs.dedup();
    let mut text = Vec::with_capacity(inputs.len() * 80);
    aterm::hashed_inputs(&mut text, &inputs);
    Ok((text, deferred))
}

fn digest(parts: [&[u8]; 3]) -> Hash {
    let mut hasher = Hasher::new(HashAlgo::Sha256);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish()
}

fn of_all_outputs(parts: [&[u8]; 3], deferred: bool) -> DrvHashModulo {
    let hash = digest(parts);
    if deferred { DrvHashModulo::Deferred(hash) } else { DrvHashModulo::Derivation(hash) }
}
