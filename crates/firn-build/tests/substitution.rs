//! Substitution: what caches have is fetched, what they lie about or have lost is built or fails.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::World;
use firn_build::{Mode, StoreSubstituter, repair_path};
use firn_cache::Caches;
use firn_event::{Event, Level};
use firn_fetch::FetchSettings;
use firn_model::signature::SecretKey;
use firn_model::store_path::StorePath;
use firn_store::copy::{CopyOptions, copy_closure};
use firn_store::layout::{Environment, StoreReference};
use firn_store::local::gc::{Action, GcOptions};
use firn_store::{Store, Trust};

fn cache(world: &World, uri: &str) -> Arc<dyn Store> {
    let caches = Caches {
        store_dir: world.store.store_dir().clone(),
        fetch: FetchSettings::default(),
        logger: world.logger.clone(),
        disk: None,
        connections: 1,
        fallback: false,
        force_http: false,
    };
    let none = Environment::from_variables(std::iter::empty::<(&str, &str)>(), false);
    caches.open(&StoreReference::parse(uri, &none).unwrap()).unwrap()
}

fn substitute(world: &mut World, stores: Vec<Arc<dyn Store>>, trust: Trust) {
    world.options.substituter = Some(Arc::new(StoreSubstituter::new(
        world.store.store_dir().clone(),
        stores,
        trust,
        false,
        world.logger.clone(),
        Arc::default(),
    )));
}

/// Builds `top`, which refers to `low`, puts both into a cache and deletes them; gives the derivations.
fn cached(world: &World, folder: &Path, key: Option<&SecretKey>) -> (StorePath, StorePath) {
    let low = world.drv("low", "echo low > $out").add();
    let low_out = world.build(&[&low]).unwrap().outputs[0].1["out"].clone();
    let text = world.store.store_dir().print(&low_out);
    let script = format!("echo {text} > $out; echo built");
    let top = world.drv("top", &script).input(&low).add();
    let top_out = world.build(&[&top]).unwrap().outputs[0].1["out"].clone();
    let mut uri = format!("file://{}?compression=none", folder.display());
    if let Some(key) = key {
        let file = world.dir.path().join("key");
        std::fs::write(&file, key.reveal()).unwrap();
        uri.push_str(&format!("&secret-key={}", file.display()));
    }
    let options = CopyOptions::new(Trust::Everybody, world.logger.clone());
    copy_closure(&world.store, &*cache(world, &uri), &[top_out.clone()].into(), &options).unwrap();
    delete(world, &[top_out, low_out]);
    (top, low)
}

fn delete(world: &World, paths: &[StorePath]) {
    // what this process built is safe from it otherwise
    world.store.release_temp_roots().unwrap();
    let paths: BTreeSet<StorePath> = paths.iter().cloned().collect();
    let options = GcOptions {
        action: Action::DeleteSpecific(paths),
        ignore_liveness: true,
        ..GcOptions::default()
    };
    world.store.collect_garbage(&options).unwrap();
    world.kept.0.lock().unwrap().clear();
}

fn messages(world: &World, wanted: Level) -> Vec<String> {
    let events = world.kept.0.lock().unwrap();
    events
        .iter()
        .filter_map(|event| match event {
            Event::Message { level, text } if *level == wanted => Some(text.clone()),
            _ => None,
        })
        .collect()
}

fn archives(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder.join("nar")).unwrap().map(|e| e.unwrap().path()).collect()
}

#[test]
fn what_a_cache_has_is_not_built() {
    let Some(mut world) = World::in_place() else { return };
    let folder = world.dir.path().join("cache");
    let key = SecretKey::from_seed("k-1", &[1; 32]).unwrap();
    let (top, low) = cached(&world, &folder, Some(&key));
    let empty = cache(&world, &format!("file://{}", world.dir.path().join("empty").display()));
    let full = cache(&world, &format!("file://{}", folder.display()));
    substitute(&mut world, vec![empty, full], Trust::Keys(vec![key.public_key()]));
    let results = world.build(&[&top]).unwrap();
    assert!(results.built.is_empty());
    assert_eq!(results.fetched.len(), 2);
    assert!(world.log().is_empty());
    assert_eq!(world.store.check_path(&results.outputs[0].1["out"]).unwrap(), None);
    assert!(world.build(&[&low]).unwrap().built.is_empty());
}

#[test]
fn what_nobody_vouches_for_is_built() {
    let Some(mut world) = World::in_place() else { return };
    let folder = world.dir.path().join("cache");
    let stranger = SecretKey::from_seed("k-1", &[2; 32]).unwrap();
    let (top, _) = cached(&world, &folder, Some(&stranger));
    let ours = SecretKey::from_seed("k-1", &[1; 32]).unwrap().public_key();
    let stores = vec![cache(&world, &format!("file://{}", folder.display()))];
    substitute(&mut world, stores, Trust::Keys(vec![ours.clone()]));
    assert_eq!(world.build(&[&top]).unwrap().built.len(), 2);
    let warned = messages(&world, Level::Warn);
    assert!(
        warned.iter().any(|w| w.contains("as it's not signed by any of the keys")),
        "{warned:?}"
    );
    // unless the cache itself is trusted
    let out = world.build(&[&top]).unwrap().outputs[0].1["out"].clone();
    delete(&world, &[out]);
    let trusted = vec![cache(&world, &format!("file://{}?trusted=1", folder.display()))];
    substitute(&mut world, trusted, Trust::Keys(vec![ours]));
    assert!(world.build(&[&top]).unwrap().built.is_empty());
}

#[test]
fn a_closure_with_a_gap_is_built() {
    let Some(mut world) = World::in_place() else { return };
    let folder = world.dir.path().join("cache");
    let (top, low) = cached(&world, &folder, None);
    let low_out = world.store.read_derivation(&low).unwrap();
    let low_out = low_out.output_path(world.store.store_dir(), "out").unwrap().unwrap();
    std::fs::remove_file(folder.join(format!("{}.narinfo", low_out.hash_part()))).unwrap();
    let stores = vec![cache(&world, &format!("file://{}", folder.display()))];
    substitute(&mut world, stores, Trust::Everybody);
    assert_eq!(world.build(&[&top]).unwrap().built.len(), 2);
}

#[test]
fn what_is_lost_is_built_and_what_is_broken_fails() {
    let Some(mut world) = World::in_place() else { return };
    let folder = world.dir.path().join("cache");
    let (top, low) = cached(&world, &folder, None);
    let uri = format!("file://{}", folder.display());
    let kept: Vec<(PathBuf, Vec<u8>)> =
        archives(&folder).into_iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect();
    for (file, _) in &kept {
        std::fs::remove_file(file).unwrap();
    }
    let stores = vec![cache(&world, &uri)];
    substitute(&mut world, stores, Trust::Everybody);
    let results = world.build(&[&top]).unwrap();
    assert_eq!(results.built.len(), 2);
    let warned = messages(&world, Level::Warn);
    assert!(warned.iter().any(|w| w.contains("does not exist in binary cache")), "{warned:?}");
    assert!(world.errors().is_empty(), "{:?}", world.errors());
    // an archive of something else
    for (file, bytes) in &kept {
        std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    }
    let out = |drv: &StorePath| {
        let read = world.store.read_derivation(drv).unwrap();
        read.output_path(world.store.store_dir(), "out").unwrap().unwrap()
    };
    let outs = [out(&top), out(&low)];
    delete(&world, &outs);
    let stores = vec![cache(&world, &uri)];
    substitute(&mut world, stores, Trust::Everybody);
    assert!(world.build(&[&top]).is_err());
    world.options.fallback = true;
    assert_eq!(world.build(&[&top]).unwrap().built.len(), 2);
}

/// Damaged paths are fetched again by those who have them; who cannot be asked, or lies, is no help, and then they
/// are built.
#[test]
fn what_is_damaged_is_fetched_again() {
    let Some(mut world) = World::in_place() else { return };
    let folder = world.dir.path().join("cache");
    let (top, _) = cached(&world, &folder, None);
    let uri = format!("file://{}", folder.display());
    let stores = vec![cache(&world, &uri)];
    substitute(&mut world, stores, Trust::Everybody);
    let outs = world.build(&[&top]).unwrap().fetched;
    assert_eq!(outs.len(), 2);
    let damage = |world: &World| {
        use std::os::unix::fs::PermissionsExt;
        for out in &outs {
            let file = world.store.real_path(out);
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
            std::fs::write(&file, "damaged").unwrap();
            assert!(world.store.check_path(out).unwrap().is_some());
        }
        world.kept.0.lock().unwrap().clear();
    };
    let whole = |world: &World| outs.iter().all(|o| world.store.check_path(o).unwrap().is_none());
    damage(&world);
    for out in &outs {
        repair_path(&world.store, out, &world.options, &world.logger).unwrap();
    }
    assert!(whole(&world) && world.log().is_empty(), "{}", world.log());
    damage(&world);
    world.options.mode = Mode::Repair;
    let repaired = world.build(&[&top]).unwrap();
    assert!(whole(&world) && repaired.built.is_empty() && world.log().is_empty());
    // an archive that is not what it should be
    damage(&world);
    for file in archives(&folder) {
        std::fs::write(&file, "nonsense").unwrap();
    }
    let repaired = world.build(&[&top]).unwrap();
    assert!(whole(&world), "{:?}", world.errors());
    assert_eq!(repaired.built.len(), 2);
    // a stranger
    damage(&world);
    let ours = SecretKey::from_seed("k-1", &[1; 32]).unwrap().public_key();
    let stores = vec![cache(&world, &uri)];
    substitute(&mut world, stores, Trust::Keys(vec![ours]));
    assert_eq!(world.build(&[&top]).unwrap().built.len(), 2);
    assert!(whole(&world));
}
