//! What can be asked to be built: outputs of a derivation, or a store path as it is.

use std::collections::BTreeSet;

use firn_model::store_path::{StoreDir, StorePath};

/// Which outputs of a derivation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputsSpec {
    /// All of them.
    All,
    /// Those with these names, at least one.
    Names(BTreeSet<String>),
}

impl OutputsSpec {
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

    /// Parses `PATH`, `DRV!out,dev`, `DRV^out,dev` or `DRV^*`. A derivation without outputs is taken
    /// as such, not as what it builds.
    ///
    /// # Errors
    /// If it is not a store path.
    pub fn parse(text: &str, dir: &StoreDir) -> Result<Self, firn_model::store_path::Error> {
        let Some((path, outputs)) = text.rsplit_once(['!', '^']) else {
            return Ok(Self::Opaque(dir.parse(text)?));
        };
        let outputs = if outputs == "*" {
            OutputsSpec::All
        } else {
            OutputsSpec::Names(outputs.split(',').map(str::to_owned).collect())
        };
        Ok(Self::Built { drv: dir.parse(path)?, outputs })
    }

    /// The derivation or the path.
    #[must_use]
    pub fn store_path(&self) -> &StorePath {
        match self {
            Self::Opaque(path) => path,
            Self::Built { drv, .. } => drv,
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
            DerivedPath::all_outputs(path)
        );
        assert!(DerivedPath::parse("/tmp/x", &dir).is_err());
    }
}
