//! What can be asked to be built: outputs of a derivation, or a store path as it is.

use std::collections::BTreeSet;
use std::fmt;

use firn_model::store_path::{StoreDir, StorePath};

/// Which outputs of a derivation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputsSpec {
    /// All of them.
    All,
    /// Those with these names, at least one.
    Names(BTreeSet<String>),
}

impl fmt::Display for OutputsSpec {
    /// `*`, or the names with commas between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Names(names) => {
                f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl OutputsSpec {
    /// Reads `*`, or names with commas between.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "*" => Self::All,
            names => Self::Names(names.split(',').map(str::to_owned).collect()),
        }
    }

    /// Whether the output `name` is meant.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.contains(name),
        }
    }

    /// Both.
    pub fn join(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Names(names), Self::Names(more)) => names.extend(more.iter().cloned()),
            (_, Self::All) => *self = Self::All,
            (Self::All, _) => {}
        }
    }
}

/// Something to have in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DerivedPath {
    /// A path, present or fetched from somewhere.
    Opaque(StorePath),
    /// Outputs of a derivation.
    Built {
        /// The derivation.
        drv: StorePath,
        /// Which outputs.
        outputs: OutputsSpec,
    },
    /// Outputs of a derivation that is an output itself (experimental feature `dynamic-derivations`).
    Dynamic {
        /// The derivation that is there.
        drv: StorePath,
        /// The output of it that is a derivation, and the output of that one that is one, and so on.
        via: Vec<String>,
        /// Which outputs of the last.
        outputs: OutputsSpec,
    },
}

impl DerivedPath {
    /// All outputs of `drv`.
    #[must_use]
    pub fn all_outputs(drv: StorePath) -> Self {
        Self::Built { drv, outputs: OutputsSpec::All }
    }

    /// One output of `drv`.
    #[must_use]
    pub fn output(drv: StorePath, output: &str) -> Self {
        Self::Built { drv, outputs: OutputsSpec::Names([output.to_owned()].into()) }
    }

    /// Outputs of `drv`, or if `via` names outputs, of the derivation that they lead to.
    #[must_use]
    pub fn outputs_via(drv: StorePath, via: Vec<String>, outputs: OutputsSpec) -> Self {
        match via.is_empty() {
            true => Self::Built { drv, outputs },
            false => Self::Dynamic { drv, via, outputs },
        }
    }

    /// Parses `PATH`, `DRV!out,dev`, `DRV^out,dev` or `DRV^*`, and `DRV^out^dev` where an output is a derivation
    /// itself. A derivation without outputs is taken as such, not as what it builds.
    ///
    /// # Errors
    /// If it is not a store path.
    pub fn parse(text: &str, dir: &StoreDir) -> Result<Self, firn_model::store_path::Error> {
        let mut parts = text.split(['!', '^']);
        let path = dir.parse(parts.next().unwrap_or_default())?;
        let mut via: Vec<String> = parts.map(str::to_owned).collect();
        Ok(match via.pop() {
            None => Self::Opaque(path),
            Some(outputs) => Self::outputs_via(path, via, OutputsSpec::parse(&outputs)),
        })
    }

    /// The text that [`DerivedPath::parse`] reads, with `^`.
    #[must_use]
    pub fn print(&self, dir: &StoreDir) -> String {
        match self {
            Self::Opaque(path) => dir.print(path),
            Self::Built { drv, outputs } => format!("{}^{outputs}", dir.print(drv)),
            Self::Dynamic { drv, via, outputs } => {
                format!("{}^{}^{outputs}", dir.print(drv), via.join("^"))
            }
        }
    }

    /// The derivation or the path.
    #[must_use]
    pub fn store_path(&self) -> &StorePath {
        match self {
            Self::Opaque(path) => path,
            Self::Built { drv, .. } | Self::Dynamic { drv, .. } => drv,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_paths_and_outputs() {
        let dir = StoreDir::default();
        let drv = "/nix/store/00000000000000000000000000000000-x.drv";
        let path = dir.parse(drv).unwrap();
        assert_eq!(DerivedPath::parse(drv, &dir).unwrap(), DerivedPath::Opaque(path.clone()));
        assert_eq!(
            DerivedPath::parse(&format!("{drv}!out"), &dir).unwrap(),
            DerivedPath::output(path.clone(), "out")
        );
        assert_eq!(
            DerivedPath::parse(&format!("{drv}^*"), &dir).unwrap(),
            DerivedPath::all_outputs(path.clone())
        );
        let dynamic = DerivedPath::Dynamic {
            drv: path,
            via: vec!["out".into(), "x".into()],
            outputs: OutputsSpec::parse("a,b"),
        };
        assert_eq!(DerivedPath::parse(&format!("{drv}!out^x!b,a"), &dir).unwrap(), dynamic);
        assert_eq!(dynamic.print(&dir), format!("{drv}^out^x^a,b"));
        assert!(DerivedPath::parse("/tmp/x", &dir).is_err());
    }
}
