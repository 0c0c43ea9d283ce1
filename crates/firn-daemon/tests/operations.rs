//! A client and a server over a pair of sockets: every operation.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{World, derivation, out};
use firn_build::{BuildStatus, DerivedPath};
use firn_daemon::ManagedStore as _;
use firn_daemon::protocol::BuildMode;
use firn_daemon::server::Trust;
use firn_event::Logger;
use firn_model::content_address::Method;
use firn_model::derivation::Output;
use firn_model::hash::{Hash, HashAlgo};
use firn_model::realisation::DrvOutput;
use firn_model::signature::SecretKey;
use firn_model::{ContentAddress, Derivation, PathInfo};
use firn_store::local::gc::{Action, GcOptions};
use firn_store::{Repair, Store as _};

fn world() -> Arc<World> {
    Arc::new(World::new())
}

#[test]
fn contents_go_in_and_come_out() {
    let world = world();
    let (remote, _) = world.remote(Trust::Trusted);
    let local = world.local(&Logger::silent());
    assert_eq!(remote.trusts_us().unwrap(), Some(true));
    assert_eq!(remote.version().unwrap().as_deref(), Some("test"));

    let none = BTreeSet::new();
    let a = remote.add_text("a", b"text", &none, Repair::No).unwrap();
    assert_eq!(std::fs::read(local.real_path(&a)).unwrap(), b"text");
    let b = remote.add_text("b", b"more", &[a.clone()].into(), Repair::No).unwrap();
    assert_eq!(remote.query_referrers(&a).unwrap(), [b.clone()].into());
    // again, now without sending
    assert_eq!(remote.add_text("a", b"text", &none, Repair::No).unwrap(), a);

    let tree = world.dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("big"), vec![7; 300_000]).unwrap();
    std::fs::write(tree.join("left-out"), b"").unwrap();
    let mut filter = |path: &std::path::Path, _| Ok(!path.ends_with("left-out"));
    let t = remote
        .add_path("t", &tree, Method::Nar, HashAlgo::Sha256, Some(&mut filter), &none, Repair::No)
        .unwrap();
    let real = local.real_path(&t);
    assert!(real.join("big").exists() && !real.join("left-out").exists());
    let flat = tree.join("big");
    let f =
        remote.add_path("f", &flat, Method::Flat, HashAlgo::Sha1, None, &none, Repair::No).unwrap();
    assert_eq!(remote.path_info(&f).unwrap(), local.path_info(&f).unwrap());
    let d = remote
        .add_dump("d", &mut &b"dump"[..], Method::Flat, HashAlgo::Sha256, &none, Repair::Yes)
        .unwrap();

    let mut nar = Vec::new();
    remote.nar_from_path(&t, &mut nar).unwrap();
    let mut direct = Vec::new();
    local.nar_from_path(&t, &mut direct).unwrap();
    assert!(nar == direct);

    let all: BTreeSet<_> = [&a, &b, &t, &f, &d].into_iter().cloned().collect();
    assert_eq!(remote.query_all_valid_paths().unwrap(), all);
    assert_eq!(remote.query_path_from_hash_part(a.hash_part()).unwrap(), Some(a.clone()));
    assert_eq!(remote.query_path_from_hash_part(&"0".repeat(32)).unwrap(), None);
    let strange = firn_model::StorePath::from_parts(&[1; 20], "strange").unwrap();
    assert!(!remote.is_valid(&strange).unwrap());
    assert_eq!(remote.query_path_info(&strange).unwrap(), None);
    let asked = [a.clone(), strange.clone()].into();
    assert_eq!(remote.query_valid_paths(&asked).unwrap(), [a.clone()].into());
    let error = remote.nar_from_path(&strange, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("is not valid"), "{error}");
    // an error leaves the connection good
    assert!(remote.is_valid(&a).unwrap());
}

#[test]
fn paths_with_their_information_are_added_one_by_one_and_together() {
    let (from, to) = (world(), world());
    let source = from.local(&Logger::silent());
    let none = BTreeSet::new();
    let a = source.add_text("a", b"1", &none, Repair::No).unwrap();
    let b = source.add_text("b", b"2", &[a.clone()].into(), Repair::No).unwrap();
    // both stores must have the same folder for that
    let to = {
        let mut world = World::new();
        world.layout.store_dir = from.layout.store_dir.clone();
        drop(to);
        Arc::new(world)
    };
    let (remote, events) = to.remote(Trust::Trusted);
    let paths = [a.clone(), b.clone()].into();
    firn_daemon::copy::copy_paths(&*source, &remote, &paths, false, remote.logger()).unwrap();
    assert_eq!(remote.query_all_valid_paths().unwrap(), paths);
    assert!(events.text().contains("copying path"), "{}", events.text());

    let c = source.add_text("c", b"3", &none, Repair::No).unwrap();
    let mut nar = Vec::new();
    source.nar_from_path(&c, &mut nar).unwrap();
    let mut info = (*source.path_info(&c).unwrap()).clone();
    remote.add_nar(&info, &mut &*nar, Repair::No).unwrap();
    assert!(remote.is_valid(&c).unwrap());
    // what is not what it was said to be is refused, and the connection goes on
    info.path = source
        .store_dir()
        .make_text_path("d", &Hash::digest(HashAlgo::Sha256, b"4"), &none)
        .unwrap();
    info.ca =
        Some(ContentAddress { method: Method::Text, hash: Hash::digest(HashAlgo::Sha256, b"4") });
    assert!(remote.add_nar(&info, &mut &*nar, Repair::No).is_err());
    assert!(remote.is_valid(&c).unwrap());

    let key = SecretKey::from_seed("k", &[3; 32]).unwrap();
    let signature = key.sign(b"whatever");
    remote.add_signatures(&c, &[signature.clone()].into()).unwrap();
    assert_eq!(remote.path_info(&c).unwrap().signatures, [signature].into());
}

#[test]
fn derivations_are_built_by_the_other_side() {
    let world = world();
    let (remote, events) = world.remote(Trust::Trusted);
    let local = world.local(&Logger::silent());
    let drv = derivation(&local, "good", "hello");
    let path = remote.add_derivation(&drv, Repair::No).unwrap();
    let output = out(&drv, &local);
    assert_eq!(remote.read_derivation(&path).unwrap(), drv);
    assert_eq!(
        remote.query_derivation_outputs(&path).unwrap(),
        [("out".to_owned(), Some(output.clone()))].into()
    );
    let wanted = [DerivedPath::all_outputs(path.clone())];
    let missing = remote.query_missing(&wanted).unwrap();
    assert_eq!(missing.will_build, std::slice::from_ref(&path));

    let results = remote.build(&wanted, BuildMode::Normal).unwrap();
    assert_eq!(results[0].path, wanted[0]);
    assert_eq!(results[0].result.status, BuildStatus::Built, "{results:?}");
    assert_eq!(results[0].result.built_outputs["out"].out_path, output);
    assert_eq!(std::fs::read(local.real_path(&output)).unwrap(), b"hello\n");
    assert!(events.text().contains("building good"), "{}", events.text());
    assert!(remote.query_missing(&wanted).unwrap().will_build.is_empty());
    assert_eq!(remote.query_valid_derivers(&output).unwrap(), [path.clone()].into());
    let again = remote.build(&wanted, BuildMode::Check).unwrap();
    assert!(again[0].result.status.is_success(), "{again:?}");
    remote.ensure_path(&output).unwrap();

    let mut bad = derivation(&local, "bad", "x");
    bad.args[1] = "echo no luck; exit 1".into();
    bad.outputs.insert("out".into(), Output::Deferred);
    bad.env.insert("out".into(), "".into());
    local.fill_output_paths(&mut bad).unwrap();
    let bad_path = remote.add_derivation(&bad, Repair::No).unwrap();
    let wanted = [DerivedPath::all_outputs(bad_path), wanted[0].clone()];
    let results = remote.build(&wanted, BuildMode::Normal).unwrap();
    assert_eq!(results[0].result.status, BuildStatus::PermanentFailure);
    assert!(results[0].result.error.contains("no luck"), "{results:?}");
    assert!(results[1].result.status.is_success());

    let id = &results[1].result.built_outputs["out"].id;
    assert_eq!(
        remote.query_realisation(&DrvOutput { output_name: "x".into(), ..id.clone() }).unwrap(),
        None
    );
    remote.add_build_log(&path, b"a log").unwrap();
    assert!(local.build_log(&path).unwrap().is_some());
}

#[test]
fn a_derivation_is_built_without_being_in_the_store() {
    let world = world();
    let (remote, _) = world.remote(Trust::Trusted);
    let local = world.local(&Logger::silent());
    let drv = derivation(&local, "whole", "sent");
    let path = drv.store_path(local.store_dir()).unwrap();
    let result = remote.build_derivation(&path, &drv, BuildMode::Normal).unwrap();
    assert_eq!(result.status, BuildStatus::Built, "{result:?}");
    assert_eq!(result.times_built, 1);
    let result = remote.build_derivation(&path, &drv, BuildMode::Normal).unwrap();
    assert_eq!(result.status, BuildStatus::AlreadyValid);
    assert_eq!(result.built_outputs["out"].out_path, out(&drv, &local));
}

#[test]
fn the_store_is_looked_after() {
    let world = world();
    let (remote, _) = world.remote(Trust::Trusted);
    let local = world.local(&Logger::silent());
    let kept = remote.add_text("kept", b"1", &BTreeSet::new(), Repair::No).unwrap();
    let link = world.dir.path().join("link");
    std::os::unix::fs::symlink(local.store_dir().print(&kept), &link).unwrap();
    remote.add_indirect_root(&link).unwrap();
    let roots = remote.find_roots().unwrap();
    assert!(roots[&kept].contains(link.to_str().unwrap()), "{roots:?}");
    let other = world.dir.path().join("other");
    assert_eq!(remote.add_perm_root(&kept, &other).unwrap(), other);
    assert!(other.symlink_metadata().unwrap().is_symlink());

    let live = GcOptions { action: Action::ReturnLive, ..GcOptions::default() };
    assert!(remote.collect_garbage(&live).unwrap().paths.contains(&local.store_dir().print(&kept)));
    let result = remote.collect_garbage(&GcOptions {
        action: Action::DeleteSpecific([kept.clone()].into()),
        ..GcOptions::default()
    });
    assert!(result.unwrap_err().to_string().contains("still alive"));

    remote.optimise().unwrap();
    assert!(!remote.verify(true, None).unwrap());
    let real = local.real_path(&kept);
    let mut permissions = real.metadata().unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&real, permissions).unwrap();
    std::fs::write(&real, b"2").unwrap();
    assert!(remote.verify(true, None).unwrap());
    remote.add_temp_root(&kept).unwrap();
}

#[test]
fn fixed_outputs_may_be_built_by_anybody() {
    let world = world();
    let (remote, _) = world.remote(Trust::Untrusted);
    assert_eq!(remote.trusts_us().unwrap(), Some(false));
    let ca = ContentAddress { method: Method::Flat, hash: Hash::digest(HashAlgo::Sha256, b"x\n") };
    let drv = Derivation {
        outputs: [("out".to_owned(), Output::Fixed(ca))].into(),
        env: Default::default(),
        ..derivation(&world.local(&Logger::silent()), "fixed", "x")
    };
    let path = drv.output_path(&world.layout.store_dir, "out").unwrap().unwrap();
    let mut drv = drv;
    drv.env.insert("out".into(), world.layout.store_dir.print(&path).into());
    // under a name that is not its own
    let lie = firn_model::StorePath::from_parts(&[9; 20], "fixed.drv").unwrap();
    let result = remote.build_derivation(&lie, &drv, BuildMode::Normal).unwrap();
    assert_eq!(result.status, BuildStatus::Built, "{result:?}");
    assert!(remote.is_valid(&path).unwrap());
    assert!(!remote.is_valid(&lie).unwrap());
    let info: Arc<PathInfo> = remote.path_info(&path).unwrap();
    assert_eq!(info.ca, Some(ca));
}

#[test]
fn settings_of_a_client_decide_how_what_it_builds_is_kept() {
    use std::os::unix::fs::MetadataExt as _;
    let world = world();
    let (remote, _) = world.remote(Trust::Trusted);
    let local = world.local(&Logger::silent());
    let mut options =
        firn_daemon::ClientOptions::from_settings(&world.settings, firn_event::Level::Info, false);
    options.overrides.insert("auto-optimise-store".into(), "true".into());
    remote.set_options(&options, true).unwrap();
    let inodes: BTreeSet<u64> = ["one", "two"]
        .into_iter()
        .map(|name| {
            let drv = derivation(&local, name, "the same");
            let path = remote.add_derivation(&drv, Repair::No).unwrap();
            let wanted = [DerivedPath::all_outputs(path)];
            let results = remote.build(&wanted, BuildMode::Normal).unwrap();
            assert_eq!(results[0].result.status, BuildStatus::Built, "{results:?}");
            local.real_path(&out(&drv, &local)).metadata().unwrap().ino()
        })
        .collect();
    assert_eq!(inodes.len(), 1);
}
