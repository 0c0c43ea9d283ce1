//! A trial: builds a tiny derivation in the sandbox, in a temporary store.

use std::collections::BTreeMap;
use std::path::Path;

use firn_build::{BuildOptions, DerivedPath, SandboxMode};
use firn_event::Logger;
use firn_model::derivation::{Derivation, DrvHashModulo, Output, hash_modulo};
use firn_store::{LocalStore, Repair, Store as _, StoreLayout, StoreOptions};

/// Builds; what it says when that fails.
pub fn build(options: &BuildOptions) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| format!("making a folder: {e}"))?;
    let result = build_below(dir.path(), options);
    // The store's folders are read-only, which keeps an ordinary user from removing them.
    let _ = firn_store::fs::delete_path(&dir.path().join("nix"));
    result
}

fn build_below(root: &Path, options: &BuildOptions) -> Result<(), String> {
    let store = LocalStore::open(StoreLayout::in_root(root), StoreOptions::default())
        .map_err(|e| e.to_string())?;
    let dir = store.store_dir();
    let mut drv = Derivation {
        name: "doctor".to_owned(),
        outputs: [("out".to_owned(), Output::Deferred)].into(),
        system: options.system.clone().into(),
        builder: "/bin/sh".into(),
        args: vec!["-c".into(), "echo well > $out".into()],
        env: BTreeMap::from([
            ("builder".into(), "/bin/sh".into()),
            ("name".into(), "doctor".into()),
            ("out".into(), "".into()),
            ("system".into(), options.system.clone().into()),
        ]),
        ..Derivation::default()
    };
    let hash: DrvHashModulo = hash_modulo(&drv, dir, true, &mut |path| {
        Err(firn_model::derivation::Error::Input(path.clone(), "there is none".to_owned()))
    })
    .map_err(|e| e.to_string())?;
    drv.fill_output_paths(dir, &hash).map_err(|e| e.to_string())?;
    let path = store.add_derivation(&drv, Repair::No).map_err(|e| e.to_string())?;
    let options = BuildOptions {
        sandbox: SandboxMode::On,
        sandbox_fallback: false,
        max_jobs: 1,
        // here, by this program, and without asking anybody
        substituter: None,
        hook: None,
        external_builders: Vec::new(),
        post_build_hook: None,
        build_dir: None,
        ..options.clone()
    };
    let wanted = [DerivedPath::all_outputs(path)];
    firn_build::build_paths(&store, &wanted, &options, &Logger::silent())
        .map(drop)
        .map_err(|e| e.message)
}
