//! The environment and the files that a builder finds, exactly as C++ Nix makes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use firn_model::base32;
use firn_model::derivation::placeholder::placeholder;
use firn_model::derivation::{Derivation, Kind};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::StorePath;
use firn_store::{ClosureOptions, Store};
use serde_json::{Map, Value, json};

use super::structured;
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::options::BuildOptions;

/// What a builder finds.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// Its variables.
    pub variables: BTreeMap<BString, BString>,
    /// Files in its working directory.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Text replacements: placeholders and hash parts.
#[derive(Debug, Default)]
pub(crate) struct Rewrites(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Rewrites {
    /// `text` with everything replaced.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for (from, to) in &self.0 {
            if text.find(from).is_some() {
                text = text.replace(from, to);
            }
        }
        text
    }
}

/// Computes the environment. `dir` is the working directory as the builder sees it.
pub(crate) fn environment(
    store: &dyn Store,
    drv: &Derivation,
    drv_options: &DrvOptions,
    inputs: &BTreeSet<StorePath>,
    options: &BuildOptions,
    dir: &Path,
    rewrites: &Rewrites,
) -> Result<Environment, Failure> {
    let mut env = Environment::default();
    let dir_text = dir.to_string_lossy().into_owned();
    let mut set = |name: &str, value: &str| {
        env.variables.insert(name.into(), value.into());
    };
    // Shells fall back to other programs' defaults where these are not set.
    set("PATH", "/path-not-set");
    set("HOME", "/homeless-shelter");
    set("NIX_STORE", store.store_dir().as_str());
    set("NIX_BUILD_CORES", &options.effective_cores().to_string());

    if let Some(attrs) = &drv_options.structured {
        let attrs = with_outputs(store, attrs, drv, drv_options, inputs)?;
        env.files.insert(".attrs.sh".into(), structured::shell(&attrs).into_bytes());
        env.files.insert(".attrs.json".into(), structured::json(&attrs).into_bytes());
        let path = |file: &str| format!("{dir_text}/{file}").into();
        env.variables.insert("NIX_ATTRS_SH_FILE".into(), path(".attrs.sh"));
        env.variables.insert("NIX_ATTRS_JSON_FILE".into(), path(".attrs.json"));
    } else {
        for (name, value) in &drv.env {
            if drv_options.pass_as_file.contains(&*name.to_str_lossy()) {
                let hash = Hash::digest(HashAlgo::Sha256, name);
                let file = format!(".attr-{}", base32::encode(hash.as_bytes()));
                let mut variable = name.clone();
                variable.extend_from_slice(b"Path");
                env.variables.insert(variable, format!("{dir_text}/{file}").into());
                env.files.insert(file, value.to_vec());
            } else {
                env.variables.insert(name.clone(), value.clone());
            }
        }
        for (file, paths) in &drv_options.export_references {
            let mut text = String::new();
            for path in export_references(store, paths, inputs)? {
                text.push_str(&firn_store::registration::print(store, &path, false, false)?);
            }
            env.files.insert(file.clone(), text.into_bytes());
        }
    }

    let mut set = |name: &str, value: &str| {
        env.variables.insert(name.into(), value.into());
    };
    for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
        set(name, &dir_text);
    }
    let kind = drv.kind()?;
    if kind == Kind::Fixed {
        set("NIX_OUTPUT_CHECKED", "1");
    }
    if matches!(kind, Kind::Fixed | Kind::Impure) {
        for name in &drv_options.impure_env_vars {
            let configured = options.impure_env.iter().find(|(n, _)| n == name);
            let value = match configured {
                Some((_, value)) => value.clone().into_bytes(),
                None => std::env::var_os(name)
                    .map(std::os::unix::ffi::OsStringExt::into_vec)
                    .unwrap_or_default(),
            };
            env.variables.insert(name.as_str().into(), value.into());
        }
    }
    let mut set = |name: &str, value: &str| {
        env.variables.insert(name.into(), value.into());
    };
    set("NIX_LOG_FD", "2");
    set("TERM", "xterm-256color");

    for value in env.variables.values_mut() {
        *value = rewrites.apply(value).into();
    }
    for value in env.files.values_mut() {
        *value = rewrites.apply(value);
    }
    Ok(env)
}

fn with_outputs(
    store: &dyn Store,
    attrs: &Map<String, Value>,
    drv: &Derivation,
    drv_options: &DrvOptions,
    inputs: &BTreeSet<StorePath>,
) -> Result<Map<String, Value>, Failure> {
    let mut attrs = attrs.clone();
    let outputs: Map<String, Value> =
        drv.outputs.keys().map(|name| (name.clone(), placeholder(name).into())).collect();
    attrs.insert("outputs".into(), outputs.into());
    for (name, paths) in &drv_options.export_references {
        let mut list = Vec::new();
        for path in export_references(store, paths, inputs)? {
            let info = store.path_info(&path)?;
            let mut closure_size = 0;
            let start = [path.clone()].into();
            for member in store.compute_closure(&start, ClosureOptions::default())? {
                closure_size += store.path_info(&member)?.nar_size;
            }
            let dir = store.store_dir();
            let references: Vec<String> = info.references.iter().map(|r| dir.print(r)).collect();
            let mut entry = json!({
                "narHash": info.nar_hash.to_string(),
                "narSize": info.nar_size,
                "references": references,
                "path": dir.print(&path),
                "valid": true,
                "closureSize": closure_size,
            });
            if let Some(ca) = &info.ca {
                entry["ca"] = ca.to_string().into();
            }
            list.push(entry);
        }
        attrs.insert(name.clone(), list.into());
    }
    Ok(attrs)
}

/// The closure of `paths`, with the outputs of the derivations in it.
fn export_references(
    store: &dyn Store,
    paths: &BTreeSet<StorePath>,
    inputs: &BTreeSet<StorePath>,
) -> Result<BTreeSet<StorePath>, Failure> {
    for path in paths {
        if !inputs.contains(path) {
            return Err(Failure::new(
                FailureKind::InputRejected,
                format!(
                    "cannot export references of path '{}' because it is not in the input closure of the derivation",
                    store.store_dir().print(path)
                ),
            ));
        }
    }
    let mut closure = store.compute_closure(paths, ClosureOptions::default())?;
    let drvs: Vec<StorePath> = closure.iter().filter(|p| p.is_derivation()).cloned().collect();
    let mut outputs = BTreeSet::new();
    for drv in drvs {
        let drv = store.read_derivation(&drv)?;
        outputs.extend(store.known_outputs(&drv)?.into_values().flatten());
    }
    if !outputs.is_empty() {
        closure.extend(store.compute_closure(&outputs, ClosureOptions::default())?);
    }
    Ok(closure)
}

/// Writes a file for the builder into its directory, where it does not run yet.
pub(super) fn write_file(
    dir: &Path,
    name: &str,
    contents: &[u8],
    owner: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let bad = |reason: &str| Failure::misc(format!("cannot create the file '{name}': {reason}"));
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(bad("it is not a plain name"));
    }
    let path = dir.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(io(format!("creating file '{}'", path.display())))?;
    let mut write = || -> std::io::Result<()> {
        file.write_all(contents)?;
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid))?;
        }
        Ok(())
    };
    write().map_err(io(format!("writing file '{}'", path.display())))
}

/// The name of the program in its own argument list.
pub(super) fn program_name(builder: &BStr) -> &[u8] {
    builder.rsplit(|b| *b == b'/').next().unwrap_or(builder)
}

/// Whether the host lets anybody write to `dir` or one of those above it.
pub(super) fn world_writable(dir: &Path) -> Option<&Path> {
    use std::os::unix::fs::MetadataExt;
    dir.ancestors().find(|d| fs::symlink_metadata(d).is_ok_and(|m| m.mode() & 0o002 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp/elsewhere", dir.path().join("f")).unwrap();
        assert!(write_file(dir.path(), "f", b"x", None).is_err());
        assert!(write_file(dir.path(), "../f", b"x", None).is_err());
        write_file(dir.path(), "g", b"x", None).unwrap();
    }
}
