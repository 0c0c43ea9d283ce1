//! The hash of a derivation *modulo* its fixed-output inputs: what input-addressed output paths are
//! computed from.

use std::collections::BTreeMap;

use super::aterm::{self, HashedInputs};
use super::{Derivation, Error, Kind, Output};
use crate::hash::{Hash, HashAlgo};
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
        return Ok(DrvHashModulo::Fixed(hashes));
    }
    let mut deferred = matches!(kind, Kind::Floating | Kind::Impure);
    let mut inputs = HashedInputs::new();
    for (path, outputs) in &drv.input_drvs {
        let hashed = input(path)?;
        deferred |= matches!(hashed, DrvHashModulo::Deferred(_)) || !outputs.dynamic.is_empty();
        for output in &outputs.outputs {
            let hash = hashed.output(output).ok_or_else(|| Error::NoOutputHash {
                name: path.name().to_owned(),
                output: output.clone(),
            })?;
            inputs.entry(hash.to_base16()).or_default().insert(output.clone());
        }
    }
    let hash = Hash::digest(HashAlgo::Sha256, &aterm::print(drv, dir, Some(&inputs), mask));
    Ok(if deferred { DrvHashModulo::Deferred(hash) } else { DrvHashModulo::Derivation(hash) })
}
