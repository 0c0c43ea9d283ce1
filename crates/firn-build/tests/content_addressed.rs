//! Builds of derivations whose outputs' paths are not known beforehand.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

#[macro_use]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::World;
use firn_build::{
    BuildStatus, DerivedPath, Mode, OutputsSpec, Substitutable, Substituter, build_paths,
    build_paths_with_results, plan, repair_path,
};
use firn_event::Logger;
use firn_model::content_address::Method;
use firn_model::derivation::placeholder::DownstreamPlaceholder;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::store_path::StorePath;
use firn_store::{LocalStore, Repair, Store, StoreLayout, StoreOptions};

fn stands_for(drv: &StorePath, output: &str) -> String {
    DownstreamPlaceholder::of_output(drv, output).unwrap().render()
}

impl World {
    fn out(&self, drv: &StorePath) -> StorePath {
        let results = self.build(&[drv]).unwrap_or_else(|e| panic!("{e}\n{}", self.log()));
        results.outputs[0].1["out"].clone()
    }

    fn read(&self, path: &StorePath) -> String {
        std::fs::read_to_string(self.store.real_path(path)).unwrap()
    }
}

#[test]
fn outputs_are_where_their_contents_say() {
    let world = world!(content_addressed);
    let script = "mkdir $out $lib; echo $out $lib > $out/self; echo $lib > $lib/self";
    let drv = world.drv("ca", script).output("lib").floating().add();
    let outputs = world.build(&[&drv]).unwrap().outputs[0].1.clone();
    let dir = world.store.store_dir();
    for path in outputs.values() {
        let info = world.store.path_info(path).unwrap();
        assert!(info.is_content_addressed(dir));
        assert_eq!(info.deriver.as_ref(), Some(&drv));
        assert_eq!(world.store.check_path(path).unwrap(), None);
    }
    let (out, lib) = (&outputs["out"], &outputs["lib"]);
    let text = std::fs::read_to_string(world.store.real_path(out).join("self")).unwrap();
    assert_eq!(text, format!("{} {}\n", dir.print(out), dir.print(lib)));
    let references = |p: &StorePath| world.store.path_info(p).unwrap().references.clone();
    assert_eq!(references(out), [out.clone(), lib.clone()].into());
    assert_eq!(references(lib), [lib.clone()].into());
    // nothing is left of what the builder was told instead
    let left = std::fs::read_dir(&world.store.layout().real_store_dir).unwrap();
    let left = left.filter(|e| {
        let name = e.as_ref().unwrap().file_name().into_string().unwrap();
        name.contains("-ca") && !name.ends_with(".drv")
    });
    assert_eq!(left.count(), 2);
    // what is known is not built again
    assert!(
        plan(&world.store, &[DerivedPath::all_outputs(drv)], &world.options, &Logger::silent())
            .unwrap()
            .is_empty()
    );
}

/// The path of contents that name it follows from them with zeros in its place; any other store finds the same.
#[test]
fn contents_that_name_themselves_are_taken_by_other_stores() {
    let world = world!(content_addressed);
    let drv = world.drv("itself", "mkdir $out; echo at $out > $out/self").floating().add();
    let out = world.out(&drv);
    let info = world.store.path_info(&out).unwrap();
    assert!(info.references.contains(&out) && info.ca.is_some(), "{info:?}");
    let mut nar = Vec::new();
    world.store.nar_from_path(&out, &mut nar).unwrap();
    let other = world!(content_addressed);
    other.store.add_nar(&info, &mut &nar[..], Repair::No).unwrap();
    // and takes no others under that path
    let at = nar.windows(3).position(|bytes| bytes == b"at ").unwrap();
    nar[at..at + 2].copy_from_slice(b"in");
    let mut forged = (*info).clone();
    forged.nar_hash = Hash::digest(HashAlgo::Sha256, &nar);
    let third = world!(content_addressed);
    let error = third.store.add_nar(&forged, &mut &nar[..], Repair::No).unwrap_err().to_string();
    assert!(error.contains("ca hash mismatch"), "{error}");
}

#[test]
fn a_change_without_effect_ends_where_its_effect_would_be() {
    let mut world = world!(content_addressed);
    let root =
        |seed: &str| world.drv("root", "echo same > $out").env("seed", seed).floating().add();
    let (one, two) = (root("1"), root("2"));
    let next = |root: &StorePath| {
        let script = format!("cat {0} > $out; echo {0} >> $out", stands_for(root, "out"));
        world.drv("next", &script).input(root).floating().add()
    };
    let last = |next: &StorePath| {
        // input-addressed, but on something that is not
        let script = format!("echo {} > $out", stands_for(next, "out"));
        world.drv("last", &script).input(next).add()
    };
    let (first, second) = (last(&next(&one)), last(&next(&two)));
    assert_ne!(first, second);
    let made = world.out(&first);
    assert_eq!(world.out(&one), world.out(&two));
    // no job is left for any of it
    world.options.max_jobs = 0;
    assert_eq!(world.out(&second), made);
    let wanted = [DerivedPath::all_outputs(second)];
    let results =
        build_paths_with_results(&world.store, &wanted, &world.options, &world.logger).unwrap();
    assert_eq!(results[0].1.status, BuildStatus::AlreadyValid);
    assert_eq!(results[0].1.built_outputs["out"].out_path, made);
}

#[test]
fn without_the_feature_nothing_of_this_is_built() {
    let Some(world) = World::new() else { return };
    let drv = world.drv("ca", "echo > $out").floating().add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("'ca-derivations' is disabled"), "{error}");
}

#[test]
fn flat_and_text_outputs_are_one_file() {
    let world = world!(content_addressed);
    for method in [Method::Flat, Method::Text] {
        let folder = world.drv("folder", "mkdir $out").hashed_as(method).add();
        let error = world.build(&[&folder]).unwrap_err();
        assert!(error.message.contains("should be a non-executable regular file"), "{error}");
        let file = world.drv("file", "echo text > $out").hashed_as(method).add();
        let out = world.out(&file);
        assert_eq!(world.store.path_info(&out).unwrap().ca.unwrap().method, method);
    }
}

#[test]
fn git_hashes_address_outputs() {
    let world = world!(content_addressed);
    let drv = world.drv("git", "mkdir $out; echo Hello World! > $out/hello").hashed_as(Method::Git);
    let out = world.out(&drv.add());
    let ca = world.store.path_info(&out).unwrap().ca.unwrap();
    assert_eq!(
        ca.to_string(),
        format!(
            "fixed:git:sha256:{}",
            // what `git rev-parse` gives for this tree
            firn_model::Hash::parse_any(
                "sha256:399d851c74ceac2c2b61b53b13dcf5e88df3b6135c7df1f248a323c3c2f9aa78",
                None
            )
            .unwrap()
            .to_base32()
        )
    );
}

#[test]
fn an_output_is_not_told_apart_from_the_same_by_another() {
    let world = world!(content_addressed);
    let a = world.drv("same", "echo x > $out").env("by", "a").floating().add();
    let b = world.drv("same", "echo x > $out").env("by", "b").floating().add();
    let first = world.out(&a);
    let inode = |path: &StorePath| {
        use std::os::unix::fs::MetadataExt;
        std::fs::symlink_metadata(world.store.real_path(path)).unwrap().ino()
    };
    let before = inode(&first);
    assert_eq!(world.out(&b), first);
    assert_eq!(inode(&first), before, "what is valid is left alone");
}

#[test]
fn garbage_in_the_place_of_an_output_goes() {
    let world = world!(content_addressed);
    let drv = world.drv("ca", "echo x > $out").floating().add();
    let out = world.out(&drv);
    let Some(again) = World::content_addressed() else { return };
    let drv = again.drv("ca", "echo x > $out").floating().add();
    std::fs::write(again.store.real_path(&out), "garbage").unwrap();
    assert_eq!(again.out(&drv), out);
    assert_eq!(again.read(&out), "x\n");
}

#[test]
fn cycles_between_outputs_are_refused() {
    let world = world!(content_addressed);
    let drv =
        world.drv("cycle", "echo $lib > $out; echo $out > $lib").output("lib").floating().add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.contains("cycle detected"), "{error}");
}

#[test]
fn impure_derivations_are_built_each_time() {
    let world = world!(content_addressed);
    let script = "cat /proc/sys/kernel/random/uuid > $out";
    let impure = world.drv("impure", script).impure().add();
    let copy = |drv: &StorePath| format!("cat {} > $out", stands_for(drv, "out"));
    let on_it = world.drv("on-impure", &copy(&impure)).input(&impure).impure().add();
    let first = world.out(&impure);
    assert_ne!(world.out(&impure), first);
    // within one run it is one
    let results = world.build(&[&impure, &on_it]).unwrap();
    assert_eq!(world.read(&results.outputs[0].1["out"]), world.read(&results.outputs[1].1["out"]));
    let pure = world.drv("pure", &copy(&impure)).input(&impure).floating().add();
    let before = world.store.query_all_valid_paths().unwrap().len();
    let error = world.build(&[&pure]).unwrap_err();
    assert!(error.message.contains("depends on impure derivation"), "{error}");
    let after = world.store.query_all_valid_paths().unwrap().len();
    assert_eq!(after, before, "nothing is built for it");
}

#[test]
fn an_impure_derivation_may_download() {
    let world = world!(content_addressed);
    let file = world.dir.path().join("file");
    std::fs::write(&file, "contents").unwrap();
    let url = format!("file://{}", file.display());
    let download = || world.drv("file", "").builder("builtin:fetchurl").env("url", url.as_str());
    let error = world.build(&[&download().floating().add()]).unwrap_err();
    assert!(error.message.contains("must be a fixed-output or impure derivation"), "{error}");
    let mut options = world.options.clone();
    // the sandbox does not have the file
    options.sandbox_paths.push(firn_build::SandboxPath::parse(file.to_str().unwrap()));
    let wanted = [DerivedPath::all_outputs(download().impure().add())];
    let results = build_paths(&world.store, &wanted, &options, &world.logger).unwrap();
    assert_eq!(world.read(&results.outputs[0].1["out"]), "contents");
}

#[test]
fn a_derivation_that_is_built_is_built_in_turn() {
    let world = world!(content_addressed);
    let inner = world.drv("inner", "echo inner > $out").add();
    let script = format!("cat {} > $out", world.store.store_dir().print(&inner));
    let outer =
        |script: &str| world.drv("inner.drv", script).source(&inner).hashed_as(Method::Text).add();
    let good = outer(&script);
    let dynamic = |drv: &StorePath| DerivedPath::Dynamic {
        drv: drv.clone(),
        via: vec!["out".into()],
        outputs: OutputsSpec::All,
    };
    let results =
        build_paths(&world.store, &[dynamic(&good)], &world.options, &world.logger).unwrap();
    assert_eq!(world.read(&results.outputs[0].1["out"]), "inner\n");
    assert_eq!(world.out(&good), inner, "text-hashed, it is the very same derivation");

    let placeholder = DownstreamPlaceholder::of_output(&good, "out").unwrap().of_computed("out");
    let script = format!("cat {} > $out; echo outer >> $out", placeholder.render());
    let user = world.drv("user", &script).dynamic_input(&good, "out").add();
    assert_eq!(world.text(&user), "inner\nouter\n");

    let bad = outer("exit 1");
    let error =
        build_paths(&world.store, &[dynamic(&bad)], &world.options, &world.logger).unwrap_err();
    assert!(error.message.starts_with("failed to obtain derivation of '"), "{error}");
    assert_eq!(error.exit_code, 100);
}

#[test]
fn a_failure_behind_a_resolved_derivation_is_told() {
    let world = world!(content_addressed);
    let root = world.drv("root", "echo x > $out").floating().add();
    let script = format!("cat {}; exit 3", stands_for(&root, "out"));
    let drv = world.drv("fails", &script).input(&root).floating().add();
    let error = world.build(&[&drv]).unwrap_err();
    assert!(error.message.starts_with("build of resolved derivation '"), "{error}");
    assert_eq!(error.exit_code, 100);
    assert!(world.errors().iter().any(|e| e.contains("exit code 3")), "{:?}", world.errors());
}

/// Contents that address themselves are elsewhere when they are others, so nothing is wrong with them.
#[test]
fn checking_does_not_mind_contents_that_differ_where_they_make_the_path() {
    let mut world = world!(content_addressed);
    let same = world.drv("same", "echo x > $out").floating().add();
    let random = world.drv("random", "cat /proc/sys/kernel/random/uuid > $out").floating().add();
    world.build(&[&same, &random]).unwrap();
    world.options.mode = Mode::Check;
    world.build(&[&same]).unwrap();
    let checked = world.build(&[&random]).unwrap();
    assert_eq!(checked.built.len(), 1);
    let out = &checked.outputs[0].1["out"];
    assert!(world.store.is_valid(out).unwrap(), "{out} is what was there");
    let fixed = world.drv("fixed", "cat /proc/sys/kernel/random/uuid > $out").add();
    world.options.mode = Mode::Normal;
    world.build(&[&fixed]).unwrap();
    world.options.mode = Mode::Check;
    assert_eq!(world.build(&[&fixed]).unwrap_err().exit_code, 104);
}

#[test]
fn what_is_damaged_is_built_again() {
    let Some(mut world) = World::new() else { return };
    world.open_with_features();
    let dep = world.drv("dep", "mkdir $out; echo dep > $out/file").add();
    let dep_out = world.out(&dep);
    let script = format!("echo {} > $out", world.store.store_dir().print(&dep_out));
    let top = world.drv("top", &script).input(&dep).add();
    let floating = world.drv("ca", "mkdir $out; echo $out > $out/file").floating().add();
    let top_out = world.out(&top);
    let floating_out = world.out(&floating);
    let file = |path: &StorePath| world.store.real_path(path).join("file");
    let damage = |path: &StorePath| {
        use std::os::unix::fs::PermissionsExt;
        let folder = world.store.real_path(path);
        for path in [&folder, &file(path)] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        std::fs::write(file(path), "damaged").unwrap();
        assert!(world.store.check_path(path).unwrap().is_some());
    };
    damage(&dep_out);
    damage(&floating_out);
    world.build(&[&top, &floating]).unwrap();
    assert!(world.store.check_path(&dep_out).unwrap().is_some(), "nobody asked for repair");
    world.options.mode = Mode::Repair;
    let repaired = world.build(&[&top, &floating]).unwrap();
    assert_eq!(repaired.outputs[0].1["out"], top_out);
    for path in [&dep_out, &floating_out, &top_out] {
        assert_eq!(world.store.check_path(path).unwrap(), None, "{path:?}");
    }
    damage(&dep_out);
    world.options.mode = Mode::Normal;
    repair_path(&world.store, &dep_out, &world.options, &world.logger).unwrap();
    assert_eq!(world.store.check_path(&dep_out).unwrap(), None);
    let source = world.store.add_text("source", b"x", &BTreeSet::new(), Repair::No).unwrap();
    let error = repair_path(&world.store, &source, &world.options, &world.logger).unwrap_err();
    assert!(error.message.contains("cannot repair path"), "{error}");
}

/// A store that others can be had from.
struct Elsewhere(LocalStore, Mutex<Vec<StorePath>>);

impl Substituter for Elsewhere {
    fn query(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> firn_store::Result<BTreeMap<StorePath, Substitutable>> {
        let mut found = BTreeMap::new();
        for path in paths {
            if let Some(info) = self.0.query_path_info(path)? {
                let references = info.references.clone();
                found.insert(path.clone(), Substitutable { references, ..Default::default() });
            }
        }
        Ok(found)
    }

    fn query_realisation(&self, id: &DrvOutput) -> firn_store::Result<Option<Realisation>> {
        self.0.query_realisation(id)
    }

    fn fetch(
        &self,
        path: &StorePath,
        store: &LocalStore,
        _logger: &Logger,
        _parent: u64,
    ) -> firn_store::Result<()> {
        self.1.lock().unwrap().push(path.clone());
        let mut nar = Vec::new();
        self.0.nar_from_path(path, &mut nar)?;
        store.add_nar(&*self.0.path_info(path)?, &mut &*nar, Repair::No)
    }
}

#[test]
fn realisations_can_be_had_from_elsewhere() {
    let mut world = world!(content_addressed);
    let root = |world: &World| world.drv("root", "echo x > $out").floating().add();
    let first = root(&world);
    let script = |drv: &StorePath| format!("cat {} > $out", stands_for(drv, "out"));
    let next = |world: &World, root: &StorePath| {
        world.drv("next", &script(root)).input(root).floating().add()
    };
    let second = next(&world, &first);
    let made = world.out(&second);

    let elsewhere = StoreOptions { ca_derivations: true, ..StoreOptions::default() };
    let elsewhere = LocalStore::open(world.store.layout().clone(), elsewhere).unwrap();
    let elsewhere = Arc::new(Elsewhere(elsewhere, Mutex::default()));
    let empty = StoreLayout::in_root(&world.dir.path().join("empty"));
    let options = StoreOptions { ca_derivations: true, ..StoreOptions::default() };
    world.store = LocalStore::open(empty, options).unwrap();
    world.options.substituter = Some(elsewhere.clone());
    world.options.max_jobs = 0;
    let second = {
        let first = root(&world);
        next(&world, &first)
    };
    let wanted = [DerivedPath::all_outputs(second.clone())];
    let before = plan(&world.store, &wanted, &world.options, &world.logger).unwrap();
    assert!(before.will_build.is_empty());
    assert!(before.will_fetch.contains_key(&made));
    assert_eq!(world.out(&second), made);
    // its input was not needed
    assert_eq!(*elsewhere.1.lock().unwrap(), std::slice::from_ref(&made));
    let known = world.store.query_derivation_outputs(&second).unwrap();
    assert_eq!(known["out"], Some(made));
}

#[test]
fn more_outputs_of_what_was_resolved_can_be_wanted_later() {
    let mut world = world!(content_addressed);
    // two derivations that resolve to one, of which first one output is wanted and then the other
    let root = |seed: &str| world.drv("root", "echo x > $out").env("seed", seed).floating().add();
    let two = |root: &StorePath| {
        let script = format!("cat {} > $out; echo lib > $lib", stands_for(root, "out"));
        world.drv("two", &script).output("lib").input(root).floating().add()
    };
    let (first, second) = (two(&root("1")), two(&root("2")));
    world.build(&[&first]).unwrap();
    let output = |drv: &StorePath, name: &str| {
        let wanted = [DerivedPath::output(drv.clone(), name)];
        let results = build_paths(&world.store, &wanted, &world.options, &world.logger).unwrap();
        results.outputs[0].1[name].clone()
    };
    let out = output(&second, "out");
    let lib = output(&second, "lib");
    assert_eq!(out, output(&first, "out"));
    assert_eq!(lib, output(&first, "lib"));
    let user = format!("cat {} {} > $out", stands_for(&first, "out"), stands_for(&second, "lib"));
    let user = world.drv("user", &user).input(&first).input(&second).floating().add();
    world.options.max_jobs = 3;
    assert_eq!(world.text(&user), "x\nlib\n");
}
