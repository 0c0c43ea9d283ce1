//! Placeholders: the texts that stand for paths of outputs that are not known yet (Nix manual, "Derivation", and
//! "Complete Store Path Calculation").

use super::Error;
use crate::base32;
use crate::hash::{Hash, HashAlgo};
use crate::store_path::{StorePath, compress, output_path_name};

/// What stands for the path of a derivation's own output.
#[must_use]
pub fn placeholder(output: &str) -> String {
    let hash = Hash::digest(HashAlgo::Sha256, format!("nix-output:{output}").as_bytes());
    format!("/{}", hash.to_base32())
}

/// What stands for the path of an output of an input, as long as that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownstreamPlaceholder(Hash);

impl DownstreamPlaceholder {
    /// For an output of a derivation whose outputs' paths are not known.
    ///
    /// # Errors
    /// If `drv` is no derivation.
    pub fn of_output(drv: &StorePath, output: &str) -> Result<Self, Error> {
        let name = drv.derivation_name()?;
        let text =
            format!("nix-upstream-output:{}:{}", drv.hash_part(), output_path_name(name, output));
        Ok(Self(Hash::digest(HashAlgo::Sha256, text.as_bytes())))
    }

    /// For an output of the derivation that this one stands for.
    #[must_use]
    pub fn of_computed(&self, output: &str) -> Self {
        let short = base32::encode(&compress(self.0.as_bytes()));
        let text = format!("nix-computed-output:{short}:{output}");
        Self(Hash::digest(HashAlgo::Sha256, text.as_bytes()))
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        format!("/{}", self.0.to_base32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Values computed with C++ Nix 2.34.
    #[test]
    fn placeholders_are_those_of_the_language() {
        assert_eq!(placeholder("out"), "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9");
        let drv = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv").unwrap();
        let upstream = DownstreamPlaceholder::of_output(&drv, "out").unwrap();
        assert_eq!(upstream.render(), "/0c6rn30q4frawknapgwq386zq358m8r6msvywcvc89n6m5p2dgbz");
        let no_derivation =
            StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo").unwrap();
        assert!(DownstreamPlaceholder::of_output(&no_derivation, "out").is_err());
    }

    #[test]
    fn computed_placeholders_differ_by_what_computes() {
        let drv = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv").unwrap();
        let out = DownstreamPlaceholder::of_output(&drv, "out").unwrap();
        let bin = DownstreamPlaceholder::of_output(&drv, "bin").unwrap();
        assert_ne!(out.of_computed("out"), bin.of_computed("out"));
        assert_ne!(out.of_computed("out"), out.of_computed("out").of_computed("out"));
    }
}
