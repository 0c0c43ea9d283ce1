//! What a shell needs to look like a build: a derivation's variables and files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bstr::BString;
use firn_model::derivation::Derivation;
use firn_model::derivation::placeholder::placeholder;
use firn_store::{ClosureOptions, Store};

use crate::builder::environment::{self, Rewrites};
use crate::drv_options::DrvOptions;
use crate::error::Failure;
use crate::options::BuildOptions;

/// A derivation's environment for a shell.
#[derive(Debug, Default)]
pub struct ShellFiles {
    /// Variables.
    pub variables: BTreeMap<BString, BString>,
    /// Variables whose values are the paths of files below.
    pub file_variables: BTreeMap<BString, String>,
    /// Files for the shell's own folder.
    pub files: BTreeMap<String, Vec<u8>>,
    /// `NIX_STORE`
    pub store_dir: String,
    /// `NIX_BUILD_CORES`
    pub cores: usize,
}

/// A derivation with the outputs of its inputs put in, as far as these are known.
///
/// # Errors
/// If a derivation cannot be read or its outputs are of kinds that cannot be together.
pub fn resolved(store: &dyn Store, drv: Derivation) -> Result<Derivation, Failure> {
    if !drv.should_resolve(false)? {
        return Ok(drv);
    }
    let mut failed = None;
    let resolved = drv.resolve(store.store_dir(), &mut |input, chain| {
        let mut path = input.clone();
        for name in chain {
            let known = store.read_derivation(&path).and_then(|drv| store.known_outputs(&drv));
            match known {
                Ok(mut outputs) => path = outputs.remove(name).flatten()?,
                Err(error) => {
                    failed = Some(error);
                    return None;
                }
            }
        }
        Some(path)
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(resolved.unwrap_or(drv)),
    }
}

/// The environment of a derivation whose inputs are valid.
///
/// # Errors
/// When the derivation's special attributes make no sense.
pub fn shell_files(
    store: &dyn Store,
    drv: &Derivation,
    options: &BuildOptions,
) -> Result<ShellFiles, Failure> {
    let drv_options = DrvOptions::parse(drv, store.store_dir())?;
    let mut rewrites = Rewrites::default();
    for (name, path) in store.known_outputs(drv)? {
        if let Some(path) = path {
            let path = store.store_dir().print(&path);
            rewrites.0.push((placeholder(&name).into(), path.into()));
        }
    }
    let inputs = inputs(store, drv)?;
    // A marker stands for the folder, which is made later.
    let marker = Path::new("/firn-shell-folder");
    let env =
        environment::environment(store, drv, &drv_options, &inputs, options, marker, &rewrites)?;
    let mut out = ShellFiles {
        files: env.files,
        store_dir: store.store_dir().as_str().to_owned(),
        cores: options.effective_cores(),
        ..ShellFiles::default()
    };
    for (name, value) in env.variables {
        let ours = [
            "PATH",
            "HOME",
            "NIX_STORE",
            "NIX_BUILD_CORES",
            "NIX_BUILD_TOP",
            "TMPDIR",
            "TEMPDIR",
            "TMP",
            "TEMP",
            "PWD",
            "TERM",
            "NIX_LOG_FD",
            "NIX_OUTPUT_CHECKED",
        ];
        let from_drv = drv.env.contains_key(&name) && drv_options.structured.is_none();
        if let Some(file) = value.strip_prefix(b"/firn-shell-folder/") {
            out.file_variables.insert(name, String::from_utf8_lossy(file).into_owned());
        } else if from_drv || !ours.iter().any(|o| name == *o) {
            out.variables.insert(name, value);
        }
    }
    Ok(out)
}

fn inputs(
    store: &dyn Store,
    drv: &Derivation,
) -> Result<BTreeSet<firn_model::store_path::StorePath>, Failure> {
    let mut start = BTreeSet::new();
    for source in &drv.input_srcs {
        if store.is_valid(source)? {
            start.insert(source.clone());
        }
    }
    for (input, wanted) in &drv.input_drvs {
        let outputs = store.known_outputs(&store.read_derivation(input)?)?;
        for name in &wanted.outputs {
            if let Some(Some(path)) = outputs.get(name)
                && store.is_valid(path)?
            {
                start.insert(path.clone());
            }
        }
    }
    Ok(store.compute_closure(&start, ClosureOptions::default())?)
}
