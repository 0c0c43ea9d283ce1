//! `builtin:firn-import`: the importer of binary packages; its parameters are the JSON text in the
//! attribute `spec`, which `firn-import` describes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Context, Error, log};

/// A prepared import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FirnImport {
    out: String,
    spec: String,
    store_dir: String,
    threads: usize,
}

impl FirnImport {
    pub(super) fn prepare(context: &Context<'_>) -> Result<Self, Error> {
        Ok(Self {
            out: context.output("builtin:firn-import")?,
            spec: context.attribute("spec")?,
            store_dir: context.store_dir.to_owned(),
            threads: context.cores,
        })
    }

    pub(super) fn run(&self) -> Result<(), Error> {
        let spec = firn_import::Spec::from_json(&self.spec, &self.out)?;
        // The sandbox has the store where its paths say, even for a chroot store.
        let env = firn_import::Env {
            store_dir: PathBuf::from(&self.store_dir),
            real_store_dir: PathBuf::from(&self.store_dir),
            out: self.out.clone(),
            real_out: PathBuf::from(&self.out),
            threads: self.threads.max(1),
            log: &|line| log::detail(line),
        };
        firn_import::run(&spec, &env)?;
        Ok(())
    }
}
