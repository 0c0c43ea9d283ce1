//! What has to be built and fetched, as a user is told of it.

use std::collections::BTreeSet;

use firn_model::store_path::{StoreDir, StorePath};
use firn_store::local::gc::render_size;

/// What has to be built and fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Derivations to build, each after those it needs.
    pub will_build: Vec<StorePath>,
    /// Paths to fetch.
    pub will_fetch: BTreeSet<StorePath>,
    /// Paths that nobody knows how to get.
    pub unknown: BTreeSet<StorePath>,
    /// Bytes to download.
    pub download_size: u64,
    /// Bytes of NARs.
    pub nar_size: u64,
}

impl Missing {
    /// The text that tells a user about it, line by line; nothing if there is nothing to do.
    #[must_use]
    pub fn describe(&self, dir: &StoreDir) -> Vec<String> {
        let mut lines = Vec::new();
        match self.will_build.len() {
            0 => {}
            1 => lines.push("this derivation will be built:".to_owned()),
            n => lines.push(format!("these {n} derivations will be built:")),
        }
        lines.extend(self.will_build.iter().map(|drv| format!("  {}", dir.print(drv))));
        if !self.will_fetch.is_empty() {
            let size = |bytes: u64| render_size(i64::try_from(bytes).unwrap_or(i64::MAX));
            let sizes = format!(
                "({} download, {} unpacked)",
                size(self.download_size),
                size(self.nar_size)
            );
            lines.push(match self.will_fetch.len() {
                1 => format!("this path will be fetched {sizes}:"),
                n => format!("these {n} paths will be fetched {sizes}:"),
            });
            let mut paths: Vec<&StorePath> = self.will_fetch.iter().collect();
            paths.sort_by(|a, b| (a.name(), a.hash_part()).cmp(&(b.name(), b.hash_part())));
            lines.extend(paths.into_iter().map(|path| format!("  {}", dir.print(path))));
        }
        if !self.unknown.is_empty() {
            lines.push("don't know how to build these paths:".to_owned());
            lines.extend(self.unknown.iter().map(|path| format!("  {}", dir.print(path))));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        // as C++ Nix 2.34.8 words it
        let path = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-x").unwrap();
        let missing = Missing {
            will_fetch: [path].into(),
            download_size: 248_000,
            nar_size: 3 << 30,
            ..Missing::default()
        };
        assert_eq!(
            missing.describe(&StoreDir::default())[0],
            "this path will be fetched (242.2 KiB download, 3.0 GiB unpacked):"
        );
    }
}
