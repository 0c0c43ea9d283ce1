//! Derivations: build steps as data, in the ATerm form of `.drv` files and in JSON, and the
//! computation of output paths.
//!
//! Defined in the Nix manual under "Derivation" and "Complete Store Path Calculation".

mod aterm;
mod json;
mod modulo;
pub mod placeholder;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use crate::content_address::{ContentAddress, Method};
use crate::hash::{Hash, HashAlgo};
use crate::store_path::{self, References, StoreDir, StorePath, output_path_name};

pub use json::JSON_VERSION;
pub use modulo::{Completed, DrvHashModulo, complete, hash_modulo};
pub use resolve::OutputQuery;

/// The environment variable that holds structured attributes in the ATerm form.
pub const STRUCTURED_ATTRS_VARIABLE: &str = "__json";

/// Why bytes are not a derivation, or a derivation has no output paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("error parsing derivation '{name}' at byte {offset}: {what}")]
    Parse { name: String, offset: usize, what: String },
    #[error("error parsing derivation '{name}': {what}")]
    Json { name: String, what: String },
    #[error(transparent)]
    StorePath(#[from] store_path::Error),
    #[error("can't mix derivation output types")]
    MixedOutputs,
    #[error("only one fixed output is allowed for now")]
    SeveralFixed,
    #[error("single fixed output must be named \"out\"")]
    FixedName,
    #[error("all floating outputs must use the same hash algorithm")]
    MixedAlgorithms,
    #[error("must have at least one output")]
    NoOutputs,
    #[error("no hash for output '{output}' of derivation '{name}'")]
    NoOutputHash { name: String, output: String },
    #[error("derivation '{0}' cannot be read, though another derivation needs it: {1}")]
    Input(StorePath, String),
    #[error("the structured attributes of derivation '{name}' are not a JSON object: {what}")]
    StructuredAttrs { name: String, what: String },
}

/// An output as its derivation declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// At a path that is computed from the derivation.
    InputAddressed(StorePath),
    /// With the content known beforehand.
    Fixed(ContentAddress),
    /// At a path that is computed from its content once it is built.
    Floating {
        /// How it will be hashed.
        method: Method,
        /// With what.
        algo: HashAlgo,
    },
    /// Input-addressed, but an input's path is not known yet.
    Deferred,
    /// Like floating, and built anew each time.
    Impure {
        /// How it will be hashed.
        method: Method,
        /// With what.
        algo: HashAlgo,
    },
}

impl Output {
    /// Its store path, if known before the build.
    ///
    /// # Errors
    /// If the name is not allowed in a store path.
    pub fn path(
        &self,
        dir: &StoreDir,
        drv_name: &str,
        output: &str,
    ) -> Result<Option<StorePath>, Error> {
        Ok(match self {
            Self::InputAddressed(path) => Some(path.clone()),
            Self::Fixed(ca) => Some(dir.make_fixed_output_path(
                &output_path_name(drv_name, output),
                ca,
                &References::default(),
            )?),
            Self::Floating { .. } | Self::Deferred | Self::Impure { .. } => None,
        })
    }
}

/// Outputs of an input derivation that are needed: its own, and those of derivations that its outputs
/// are (dynamic derivations).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DerivedOutputs {
    /// Names of its own outputs.
    pub outputs: BTreeSet<String>,
    /// For outputs that are derivations themselves: what is needed of those.
    pub dynamic: BTreeMap<String, DerivedOutputs>,
}

/// What kind of outputs a derivation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Paths computed from inputs; `deferred` while an input's path is unknown.
    InputAddressed {
        /// Whether an input's path is unknown.
        deferred: bool,
    },
    /// One output with known content.
    Fixed,
    /// Paths computed from content.
    Floating,
    /// Built anew each time.
    Impure,
}

/// A build step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derivation {
    /// Its name: that of its store path without `.drv`.
    pub name: String,
    /// What it makes.
    pub outputs: BTreeMap<String, Output>,
    /// Outputs of other derivations that it needs.
    pub input_drvs: BTreeMap<StorePath, DerivedOutputs>,
    /// Store paths that it needs.
    pub input_srcs: BTreeSet<StorePath>,
    /// What machine it builds on, like `x86_64-linux`.
    pub system: BString,
    /// The program to run.
    pub builder: BString,
    /// Its arguments.
    pub args: Vec<BString>,
    /// Its environment. Structured attributes stand here too, as JSON text in `__json`.
    pub env: BTreeMap<BString, BString>,
}

impl Derivation {
    /// Parses the content of the `.drv` file of the derivation `name`.
    ///
    /// # Errors
    /// If it is malformed; the error tells the byte.
    pub fn parse(name: &str, text: &[u8], dir: &StoreDir) -> Result<Self, Error> {
        aterm::parse(name, text, dir)
    }

    /// The content of its `.drv` file.
    #[must_use]
    pub fn to_aterm(&self, dir: &StoreDir) -> Vec<u8> {
        aterm::print(self, dir)
    }

    /// Its JSON form (version [`JSON_VERSION`]), keys in C++ Nix's order, which is the alphabet's.
    ///
    /// # Errors
    /// If the structured attributes are not a JSON object.
    pub fn to_json(&self) -> Result<serde_json::Value, Error> {
        json::print(self)
    }

    /// Parses the JSON form.
    ///
    /// # Errors
    /// If a key is absent or has the wrong type.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, Error> {
        json::parse(value)
    }

    /// The store path of its `.drv` file.
    ///
    /// # Errors
    /// If the name is not allowed in a store path.
    pub fn store_path(&self, dir: &StoreDir) -> Result<StorePath, Error> {
        Ok(self.store_path_of_text(&self.to_aterm(dir), dir)?)
    }

    /// As [`Derivation::store_path`], for callers that have printed it already.
    ///
    /// # Errors
    /// If the name is not allowed in a store path.
    pub fn store_path_of_text(
        &self,
        text: &[u8],
        dir: &StoreDir,
    ) -> Result<StorePath, store_path::Error> {
        self.store_path_of_hash(&Hash::digest(HashAlgo::Sha256, text), dir)
    }

    /// The store path of its `.drv` file, which has this SHA-256.
    fn store_path_of_hash(
        &self,
        hash: &Hash,
        dir: &StoreDir,
    ) -> Result<StorePath, store_path::Error> {
        let mut references: Vec<&StorePath> =
            self.input_srcs.iter().chain(self.input_drvs.keys()).collect();
        // Two sorted runs: fast for a sort that looks for them.
        references.sort();
        references.dedup();
        dir.make_text_path_of(&format!("{}.drv", self.name), hash, references)
    }

    /// What its `.drv` file refers to.
    #[must_use]
    pub fn references(&self) -> BTreeSet<StorePath> {
        self.input_srcs.iter().chain(self.input_drvs.keys()).cloned().collect()
    }

    /// What kind its outputs are.
    ///
    /// # Errors
    /// If there are none, or of kinds that cannot be together.
    pub fn kind(&self) -> Result<Kind, Error> {
        let mut kind = None;
        let mut algos = None;
        for (name, output) in &self.outputs {
            let this = match output {
                Output::InputAddressed(_) => Kind::InputAddressed { deferred: false },
                Output::Deferred => Kind::InputAddressed { deferred: true },
                Output::Fixed(_) => {
                    if kind.is_some() {
                        return Err(if kind == Some(Kind::Fixed) {
                            Error::SeveralFixed
                        } else {
                            Error::MixedOutputs
                        });
                    }
                    if name != "out" {
                        return Err(Error::FixedName);
                    }
                    Kind::Fixed
                }
                Output::Floating { algo, .. } => {
                    if *algos.get_or_insert(*algo) != *algo {
                        return Err(Error::MixedAlgorithms);
                    }
                    Kind::Floating
                }
                Output::Impure { .. } => Kind::Impure,
            };
            if *kind.get_or_insert(this) != this {
                return Err(Error::MixedOutputs);
            }
        }
        kind.ok_or(Error::NoOutputs)
    }

    /// The store path of an output, if there is such an output and its path is known.
    ///
    /// # Errors
    /// If the name is not allowed in a store path.
    pub fn output_path(&self, dir: &StoreDir, output: &str) -> Result<Option<StorePath>, Error> {
        self.outputs.get(output).map_or(Ok(None), |o| o.path(dir, &self.name, output))
    }

    /// All outputs with their paths, where known.
    ///
    /// # Errors
    /// If the name is not allowed in a store path.
    pub fn output_paths(
        &self,
        dir: &StoreDir,
    ) -> Result<BTreeMap<String, Option<StorePath>>, Error> {
        self.outputs
            .iter()
            .map(|(name, o)| Ok((name.clone(), o.path(dir, &self.name, name)?)))
            .collect()
    }

    /// Turns deferred outputs into input-addressed ones, in `outputs` and in the environment, if
    /// `hash` says that all inputs' paths are known.
    ///
    /// # Errors
    /// If the name is not allowed in a store path.
    pub fn fill_output_paths(&mut self, dir: &StoreDir, hash: &DrvHashModulo) -> Result<(), Error> {
        let DrvHashModulo::Derivation(hash) = hash else { return Ok(()) };
        for (name, output) in &mut self.outputs {
            if matches!(output, Output::Deferred) {
                let path = dir.make_output_path(name, hash, &self.name)?;
                self.env.insert(name.as_str().into(), dir.print(&path).into());
                *output = Output::InputAddressed(path);
            }
        }
        Ok(())
    }

    /// Its structured attributes, if it has them.
    ///
    /// # Errors
    /// If they are not a JSON object.
    pub fn structured_attrs(
        &self,
    ) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Error> {
        let Some(text) = self.env.get(bstr::BStr::new(STRUCTURED_ATTRS_VARIABLE)) else {
            return Ok(None);
        };
        match serde_json::from_slice(text) {
            Ok(serde_json::Value::Object(map)) => Ok(Some(map)),
            Ok(_) => Err(Error::StructuredAttrs {
                name: self.name.clone(),
                what: "it is another kind of value".into(),
            }),
            Err(e) => Err(Error::StructuredAttrs { name: self.name.clone(), what: e.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests;
