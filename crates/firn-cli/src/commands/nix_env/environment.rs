//! User environments: the contents of a profile made from packages, with the `manifest.nix` that later
//! changes start from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use firn_build::DerivedPath;
use firn_eval::context::{ContextBuilder, Element};
use firn_eval::position::PosId;
use firn_eval::value::{List, SetBuilder};
use firn_eval::{Value, Vm, packages, print};
use firn_event::Level;
use firn_store::{Repair, profile};
use firn_syntax::{Origin, Symbol};

use super::item::Item;
use crate::commands::nix::Stop;
use crate::common::build::Workbench;
use crate::common::legacy::Failure;

/// Makes the derivation that builds an environment.
const BUILDER: &str = r#"
{ manifest, derivations }:
let
  words = package:
    [
      (package.meta.active or "true")
      (package.meta.priority or 5)
      (builtins.length package.outputs)
    ]
    ++ map (output: package.${output}) package.outputs;
in
derivation {
  name = "user-environment";
  builder = "builtin:buildenv";
  system = "builtin";
  inherit manifest;
  derivations = map words derivations;
  allowSubstitutes = false;
  preferLocalBuild = true;
}
"#;

fn symbol(name: &str) -> Symbol {
    Symbol::intern(name.as_bytes())
}

/// What a profile leads to; it is not changed if this is something else than it was.
pub fn token(profile: &Path) -> Option<PathBuf> {
    std::fs::read_link(profile).ok()
}

/// Builds packages and makes them the next generation of a profile. False if the profile has changed in the
/// meantime.
pub fn create(
    vm: &mut Vm,
    bench: &Workbench,
    items: &[Item],
    profile: &Path,
    keep_derivations: bool,
    before: Option<&Path>,
) -> Result<bool, Stop> {
    let store = &bench.store;
    let dir = store.store_dir().clone();
    let mut wanted = Vec::new();
    for item in items {
        if let Some(drv) = item.drv_path(vm)? {
            wanted.push(DerivedPath::Built { drv, outputs: firn_build::OutputsSpec::All });
        }
    }
    build(vm, bench, &wanted)?;

    let mut references = BTreeSet::new();
    let mut list: Vec<Value> = Vec::new();
    for item in items {
        let drv = if keep_derivations { item.drv_path(vm)? } else { None };
        let mut attrs = SetBuilder::default();
        let mut text = |vm: &mut Vm, name: &str, text: &str| {
            let value = vm.string(text);
            attrs.push(symbol(name), value);
        };
        text(vm, "type", "derivation");
        text(vm, "name", &item.name);
        let system = item.system(vm)?;
        if !system.is_empty() {
            text(vm, "system", &system);
        }
        let out = item.out_path(vm)?;
        text(vm, "outPath", &dir.print(&out));
        if let Some(drv) = &drv {
            text(vm, "drvPath", &dir.print(drv));
        }
        let mut names = Vec::new();
        for (name, path) in item.outputs(vm, true, true)? {
            let Some(path) = path else { continue };
            names.push(vm.string(&name));
            let mut output = SetBuilder::default();
            output.push(symbol("outPath"), vm.string(dir.print(&path)));
            let output = output.finish(&mut vm.heap).value();
            attrs.push(symbol(&name), output);
            store.add_temp_root(&path).map_err(Failure::from)?;
            if !store.is_valid(&path).map_err(Failure::from)? {
                build(vm, bench, &[DerivedPath::Opaque(path.clone())])?;
            }
            references.insert(path);
        }
        let names = List::new(&mut vm.heap, &names).value();
        attrs.push(symbol("outputs"), names);
        let mut meta = SetBuilder::default();
        for name in item.meta_names(vm)? {
            if let Some(value) = item.meta(vm, &name)? {
                meta.push(symbol(&name), value);
            }
        }
        let meta = meta.finish(&mut vm.heap).value();
        attrs.push(symbol("meta"), meta);
        list.push(attrs.finish(&mut vm.heap).value());
        references.extend(drv);
    }
    let list = List::new(&mut vm.heap, &list).value();
    let text = print::ambiguous_whole(vm, list)?;
    let manifest = store
        .add_text("env-manifest.nix", &text, &references, Repair::No)
        .map_err(Failure::from)?;

    let function =
        vm.eval_text(Origin::Internal("user-environment"), BUILDER.as_bytes(), Path::new("/"))?;
    let mut context = ContextBuilder::new();
    context.add_element(Element::Opaque(manifest.clone()));
    let manifest = vm.string_with(dir.print(&manifest), context.finish());
    let mut args = SetBuilder::default();
    args.push(symbol("manifest"), manifest);
    args.push(symbol("derivations"), list);
    let args = args.finish(&mut vm.heap).value();
    let value = vm.apply1(function, args, PosId::NONE)?;
    let Some(attrs) = value.as_set() else {
        return Err(Failure::Message("the environment is no derivation".into()).into());
    };
    let package = packages::Package { attrs };
    let (drv, out) = (package.drv_path(vm)?, package.out_path(vm)?);
    build(vm, bench, &[DerivedPath::output(drv, "out")])?;

    if let Some(dir) = profile.parent() {
        firn_store::fs::create_dirs(dir).map_err(Failure::from)?;
    }
    let _lock = profile::lock(profile).map_err(Failure::from)?;
    if token(profile).as_deref() != before {
        bench.logger().message(
            Level::Info,
            format!("profile {profile:?} changed while we were busy; restarting"),
        );
        return Ok(false);
    }
    let generation = profile::create_generation(&**store, profile, &out).map_err(Failure::from)?;
    profile::switch_link(profile, &generation).map_err(Failure::from)?;
    Ok(true)
}

/// Builds what evaluation has made derivations of.
pub fn build(vm: &mut Vm, bench: &Workbench, wanted: &[DerivedPath]) -> Result<(), Stop> {
    if wanted.is_empty() {
        return Ok(());
    }
    vm.shared.io.flush()?;
    bench
        .store
        .build(wanted, &bench.options, bench.logger())
        .map_err(|e| crate::commands::nix::build_failure(&e))?;
    Ok(())
}
