mod collect;
mod realisations;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::{Derivation, Output};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::path_info::PathInfo;
use firn_model::store_path::StorePath;

use super::gc::{Action, GcOptions};
use super::*;
use crate::fs::hash_path;
use crate::store::{ClosureOptions, Repair, Store as _};

struct Case {
    dir: tempfile::TempDir,
    store: LocalStore,
}

fn case_with(change: impl FnOnce(&mut StoreOptions)) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let mut options = StoreOptions { reserved_space: 4096, ..StoreOptions::default() };
    change(&mut options);
    let root = dir.path().canonicalize().unwrap();
    let store = LocalStore::open(StoreLayout::in_root(&root), options).unwrap();
    Case { dir, store }
}

fn case() -> Case {
    case_with(|_| {})
}

impl Case {
    fn text(&self, name: &str, references: &[&StorePath]) -> StorePath {
        let references = references.iter().map(|p| (*p).clone()).collect();
        self.store.add_text(name, name.as_bytes(), &references, Repair::No).unwrap()
    }

    /// Another process that has this store open has no temporary roots of ours.
    fn reopened(&self) -> LocalStore {
        LocalStore::open(self.store.layout.clone(), self.store.options.clone()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Forgets the temporary roots of this process.
    fn without_temp_roots(self) -> Self {
        let Self { dir, store } = self;
        let (layout, options) = (store.layout.clone(), store.options.clone());
        drop(store);
        Self { dir, store: LocalStore::open(layout, options).unwrap() }
    }

    fn gc(&self, action: Action) -> BTreeSet<String> {
        self.store.collect_garbage(&GcOptions { action, ..GcOptions::default() }).unwrap().paths
    }

    fn printed(&self, paths: &[&StorePath]) -> BTreeSet<String> {
        paths.iter().map(|p| self.store.print(p)).collect()
    }
}

#[test]
fn text_is_where_its_hash_says_and_knows_its_references() {
    let case = case();
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let info = case.store.path_info(&b).unwrap();
    assert_eq!(info.references, [a.clone()].into());
    assert!(info.is_content_addressed(case.store.store_dir()));
    assert!(info.registration_time > 1_600_000_000);
    let real = case.store.real_path(&b);
    assert_eq!(std::fs::read(&real).unwrap(), b"b");
    assert_eq!((info.nar_hash, info.nar_size), hash_path(&real, HashAlgo::Sha256).unwrap());
    assert_eq!(case.store.query_referrers(&a).unwrap(), [b.clone()].into());
    // adding it again changes nothing
    assert_eq!(case.text("b", &[&a]), b);
    assert_eq!(case.store.query_path_from_hash_part(b.hash_part()).unwrap(), Some(b));
    assert_eq!(case.store.query_path_from_hash_part(&"0".repeat(32)).unwrap(), None);
}

#[test]
fn a_reference_must_be_valid() {
    let case = case();
    let missing = StorePath::from_parts(&[9; 20], "missing").unwrap();
    let error =
        case.store.add_text("a", b"a", &[missing].into(), Repair::No).unwrap_err().to_string();
    assert!(error.ends_with("-missing' is not valid"), "{error}");
    assert!(case.store.query_all_valid_paths().unwrap().is_empty());
}

#[test]
fn sources_get_the_paths_that_nix_computes() {
    let case = case();
    let source = case.path("src");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("f"), "hello\n").unwrap();
    std::fs::write(source.join("skip"), "x").unwrap();
    let store = &case.store;
    let none = BTreeSet::new();
    let mut filter = |p: &Path, _| Ok(!p.ends_with("skip"));
    let path = store
        .add_path(
            "src",
            &source,
            Method::Nar,
            HashAlgo::Sha256,
            Some(&mut filter),
            &none,
            Repair::No,
        )
        .unwrap();
    assert!(!store.real_path(&path).join("skip").exists());
    let info = store.path_info(&path).unwrap();
    assert_eq!(info.ca, Some(ContentAddress { method: Method::Nar, hash: info.nar_hash }));
    let mut filter = |p: &Path, _| Ok(!p.ends_with("skip"));
    let computed = store
        .path_for("src", &source, Method::Nar, HashAlgo::Sha256, Some(&mut filter), &none)
        .unwrap();
    assert_eq!(computed, path);

    let flat = store
        .add_path("f", &source.join("f"), Method::Flat, HashAlgo::Sha1, None, &none, Repair::No)
        .unwrap();
    assert_eq!(std::fs::read(store.real_path(&flat)).unwrap(), b"hello\n");
    assert_eq!(
        store.path_info(&flat).unwrap().ca.unwrap().to_string(),
        format!("fixed:{}", Hash::digest(HashAlgo::Sha1, b"hello\n"))
    );
    let error = store
        .add_path("d", &source, Method::Flat, HashAlgo::Sha256, None, &none, Repair::No)
        .unwrap_err();
    assert!(error.to_string().ends_with("is not a regular file"));
}

#[test]
fn large_sources_take_the_same_path_as_small_ones() {
    let make = |buffer: u64| {
        let case = case_with(|o| o.nar_buffer_size = buffer);
        let source = case.path("src");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("f"), vec![1; 100_000]).unwrap();
        std::fs::write(source.join("skip"), "x").unwrap();
        let none = BTreeSet::new();
        let mut all = Vec::new();
        for (method, algo, path) in [
            (Method::Nar, HashAlgo::Sha256, source.clone()),
            (Method::Nar, HashAlgo::Sha512, source.clone()),
            (Method::Flat, HashAlgo::Sha256, source.join("f")),
        ] {
            let mut filter = |p: &Path, _| Ok(!p.ends_with("skip"));
            let added = case
                .store
                .add_path("n", &path, method, algo, Some(&mut filter), &none, Repair::No)
                .unwrap();
            let info = case.store.path_info(&added).unwrap();
            assert_eq!(case.store.check_path(&added).unwrap(), None);
            all.push((added, info.nar_hash, info.ca));
        }
        let left = std::fs::read_dir(&case.store.layout.real_store_dir)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("tmp"))
            .count();
        assert_eq!(left, 0);
        all
    };
    assert_eq!(make(1 << 20), make(10));
}

fn derivation(name: &str, inputs: &[(&StorePath, &str)]) -> Derivation {
    let mut drv = Derivation {
        name: name.to_owned(),
        system: "x".into(),
        builder: "/bin/sh".into(),
        ..Derivation::default()
    };
    drv.outputs.insert("out".to_owned(), Output::Deferred);
    drv.env.insert("out".into(), "".into());
    for (path, output) in inputs {
        drv.input_drvs.entry((*path).clone()).or_default().outputs.insert((*output).to_owned());
    }
    drv
}

/// A derivation with its output path in place.
fn finished(store: &LocalStore, mut drv: Derivation) -> Derivation {
    let dir = store.store_dir().clone();
    let mut lookup = |path: &StorePath| {
        let input = store.read_derivation(path).unwrap();
        firn_model::derivation::hash_modulo(&input, &dir, false, &mut |_| unreachable!())
    };
    let hash = firn_model::derivation::hash_modulo(&drv, &dir, true, &mut lookup).unwrap();
    drv.fill_output_paths(&dir, &hash).unwrap();
    drv
}

#[test]
fn many_derivations_at_once_are_as_one_by_one() {
    let (one, many) = (case(), case());
    let dir = one.store.store_dir().clone();
    let mut derivations = vec![finished(&one.store, derivation("a", &[]))];
    let first = one.store.add_derivation(&derivations[0], Repair::No).unwrap();
    for name in ["b", "c"] {
        let drv = finished(&one.store, derivation(name, &[(&first, "out")]));
        one.store.add_derivation(&drv, Repair::No).unwrap();
        derivations.push(drv);
    }
    let new = |drv: &Derivation| {
        NewObject::Text(NewText {
            path: drv.store_path(&dir).unwrap(),
            contents: drv.to_aterm(&dir),
            hash: Hash::digest(HashAlgo::Sha256, &drv.to_aterm(&dir)),
            references: drv.references(),
            outputs: drv
                .output_paths(&dir)
                .unwrap()
                .into_iter()
                .filter_map(|(name, path)| Some((name, path?)))
                .collect(),
        })
    };
    // a reference must be valid or come along
    assert!(many.store.add_objects(&[new(&derivations[1])]).is_err());
    assert!(!many.store.is_valid(new(&derivations[1]).path()).unwrap());
    // those that need others may come first, and some twice
    let all: Vec<_> = derivations.iter().rev().chain(&derivations[..1]).map(new).collect();
    many.store.add_objects(&all).unwrap();
    many.store.add_objects(&all).unwrap();
    for new in &all {
        let read = |store: &LocalStore| {
            let info = store.query_path_info(new.path()).unwrap().unwrap();
            let outputs = store.query_derivation_outputs(new.path()).unwrap();
            let file = std::fs::read(store.real_path(new.path())).unwrap();
            (info.nar_hash, info.nar_size, info.references.clone(), info.ca, outputs, file)
        };
        assert_eq!(read(&many.store), read(&one.store));
    }
    let names = std::fs::read_dir(&many.store.layout.real_store_dir).unwrap();
    let left: Vec<_> = names
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains(".tmp-"))
        .collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn sources_are_prepared_and_added_with_what_refers_to_them() {
    let (one, many) = (case(), case());
    let tree = one.path("tree");
    std::fs::create_dir_all(tree.join("sub")).unwrap();
    std::fs::write(tree.join("sub/file"), "contents").unwrap();
    symlink("sub/file", tree.join("link")).unwrap();
    let none = BTreeSet::new();
    let sha = HashAlgo::Sha256;
    let expected =
        one.store.add_path("tree", &tree, Method::Nar, sha, None, &none, Repair::No).unwrap();
    let prepare = || {
        let prepared = many.store.prepare_path("tree", &tree, Method::Nar, sha, None, &none);
        let Prepared::Later(source) = prepared.unwrap() else { panic!("it is small") };
        source
    };
    let source = prepare();
    assert_eq!(source.path, expected);
    assert!(!many.store.is_valid(&expected).unwrap(), "nothing is written yet");
    let text = |text: &str, to: &StorePath| {
        let references = BTreeSet::from([to.clone()]);
        let hash = Hash::digest(sha, text.as_bytes());
        let dir = many.store.store_dir();
        NewObject::Text(NewText {
            path: dir.make_text_path("text", &hash, &references).unwrap(),
            contents: text.into(),
            hash,
            references,
            outputs: BTreeMap::default(),
        })
    };
    // a batch of which one cannot be registered leaves nothing, and no lock
    let nowhere = one.text("nowhere", &[]);
    let real = many.store.real_path(&expected);
    let bad = [NewObject::Source(prepare()), text("bad", &nowhere)];
    assert!(many.store.add_objects(&bad).is_err());
    assert!(!many.store.is_valid(&expected).unwrap() && !real.exists());
    // what lies there without being registered is replaced
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("half"), "").unwrap();
    let good = [NewObject::Source(source), text("good", &expected)];
    many.store.add_objects(&good).unwrap();
    many.store.add_objects(&good).unwrap();
    assert!(many.store.is_valid(good[1].path()).unwrap());
    let info = |store: &LocalStore| {
        let info = store.query_path_info(&expected).unwrap().unwrap();
        (info.nar_hash, info.nar_size, info.references.clone(), info.ca)
    };
    assert_eq!(info(&many.store), info(&one.store));
    assert_eq!(hash_path(&real, sha).unwrap().0, info(&one.store).0);
    assert!(!real.with_extension("lock").exists());
    let names = std::fs::read_dir(&many.store.layout.real_store_dir).unwrap();
    let locks = names.filter(|e| e.as_ref().unwrap().path().extension() == Some("lock".as_ref()));
    assert_eq!(locks.count(), 0);
}

#[test]
fn derivations_register_their_outputs() {
    let case = case();
    let store = &case.store;
    let drv = finished(store, derivation("a", &[]));
    let out = drv.output_path(store.store_dir(), "out").unwrap().unwrap();
    let path = store.add_derivation(&drv, Repair::No).unwrap();
    assert_eq!(path, drv.store_path(store.store_dir()).unwrap());
    assert_eq!(store.read_derivation(&path).unwrap(), drv);
    assert_eq!(store.query_valid_derivers(&out).unwrap(), [path.clone()].into());
    assert_eq!(store.query_derivation_outputs(&path).unwrap()["out"], Some(out));
    // one that needs another, as text: outputs are checked then
    let second = finished(store, derivation("b", &[(&path, "out")]));
    let text = second.to_aterm(store.store_dir());
    let refs = [path.clone()].into();
    let added = store.add_text("b.drv", &text, &refs, Repair::No).unwrap();
    assert_eq!(store.query_derivation_outputs(&added).unwrap().len(), 1);
    // and one that lies
    let mut wrong = second.clone();
    wrong.outputs.insert(
        "out".to_owned(),
        Output::InputAddressed(StorePath::from_parts(&[1; 20], "b").unwrap()),
    );
    let text = wrong.to_aterm(store.store_dir());
    let error = store.add_text("b.drv", &text, &refs, Repair::No).unwrap_err().to_string();
    assert!(error.contains("has incorrect output") && error.contains("should be"), "{error}");
    // a broken one is refused too, and leaves nothing
    let error = store.add_text("c.drv", &text[..40], &refs, Repair::No).unwrap_err().to_string();
    assert!(error.contains("c.drv"), "{error}");
    let names: Vec<_> = std::fs::read_dir(&store.layout.real_store_dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains("c.drv"))
        .collect();
    assert_eq!(names.iter().filter(|n| !n.ends_with(".lock")).count(), 0, "{names:?}");
}

#[test]
fn deep_graphs_of_derivations_need_no_deep_stack() {
    let case = case();
    let store = &case.store;
    let mut last = store.add_derivation(&derivation_fixed("d0"), Repair::No).unwrap();
    let dir = store.store_dir().clone();
    let mut modulo = store_modulo(store, &last);
    for n in 1..3000 {
        let mut drv = derivation(&format!("d{n}"), &[(&last, "out")]);
        let hash =
            firn_model::derivation::hash_modulo(&drv, &dir, true, &mut |_| Ok(modulo.clone()))
                .unwrap();
        drv.fill_output_paths(&dir, &hash).unwrap();
        let previous = modulo.clone();
        modulo =
            firn_model::derivation::hash_modulo(&drv, &dir, false, &mut |_| Ok(previous.clone()))
                .unwrap();
        last = store.add_derivation(&drv, Repair::No).unwrap();
    }
    // checked by a store that knows none of the hashes yet
    let other = case.reopened();
    let mut top = derivation("top", &[(&last, "out")]);
    let hash =
        firn_model::derivation::hash_modulo(&top, &dir, true, &mut |_| Ok(modulo.clone())).unwrap();
    top.fill_output_paths(&dir, &hash).unwrap();
    other.add_text("top.drv", &top.to_aterm(&dir), &top.references(), Repair::No).unwrap();
}

fn derivation_fixed(name: &str) -> Derivation {
    let mut drv = derivation(name, &[]);
    let hash = Hash::digest(HashAlgo::Sha256, b"x");
    drv.outputs.insert("out".into(), Output::Fixed(ContentAddress { method: Method::Flat, hash }));
    drv
}

fn store_modulo(store: &LocalStore, path: &StorePath) -> firn_model::derivation::DrvHashModulo {
    let drv = store.read_derivation(path).unwrap();
    firn_model::derivation::hash_modulo(&drv, store.store_dir(), false, &mut |_| unreachable!())
        .unwrap()
}

/// A NAR and what is known of it, under a path of our choice.
fn nar_of(text: &[u8], digest: u8) -> (PathInfo, Vec<u8>) {
    let mut nar = Vec::new();
    firn_model::nar::NarWriter::new(&mut nar)
        .unwrap()
        .file(false, text.len() as u64, &mut &*text)
        .unwrap();
    let path = StorePath::from_parts(&[digest; 20], "n").unwrap();
    let info = PathInfo::new(path, Hash::digest(HashAlgo::Sha256, &nar), nar.len() as u64);
    (info, nar)
}

#[test]
fn nars_are_believed_only_when_hash_size_and_address_agree() {
    let case = case();
    let store = &case.store;
    let (info, nar) = nar_of(b"contents", 1);
    let add = |info: &PathInfo, nar: &[u8]| store.add_nar(info, &mut &*nar, Repair::No);
    let mut wrong = info.clone();
    wrong.nar_hash = Hash::digest(HashAlgo::Sha256, b"other");
    let error = add(&wrong, &nar).unwrap_err().to_string();
    assert!(
        error.starts_with("hash mismatch importing path '/nix/store/")
            && error.contains("\n  specified: sha256:")
            && error.contains("\n  got:       sha256:"),
        "{error}"
    );
    let mut wrong = info.clone();
    wrong.nar_size += 8;
    assert!(add(&wrong, &nar).unwrap_err().to_string().starts_with("size mismatch"));
    let mut wrong = info.clone();
    wrong.ca = Some(ContentAddress {
        method: Method::Flat,
        hash: Hash::digest(HashAlgo::Sha256, b"other"),
    });
    assert!(add(&wrong, &nar).unwrap_err().to_string().starts_with("ca hash mismatch"));
    assert!(add(&info, &nar[..nar.len() - 8]).is_err());
    // nothing of this is left
    assert!(!store.real_path(&info.path).exists());
    assert!(!store.is_valid(&info.path).unwrap());
    add(&info, &nar).unwrap();
    let mut back = Vec::new();
    store.nar_from_path(&info.path, &mut back).unwrap();
    assert_eq!(back, nar);
    // claims a content address that would lead to another path
    let mut wrong = nar_of(b"contents", 2).0;
    wrong.ca = Some(ContentAddress {
        method: Method::Flat,
        hash: Hash::digest(HashAlgo::Sha256, b"contents"),
    });
    let error = add(&wrong, &nar).unwrap_err().to_string();
    assert!(error.ends_with("because it claims to be content-addressed but isn't"), "{error}");
}

#[test]
fn contents_that_name_their_own_path_are_addressed_without_it() {
    // made with `nix store make-content-addressed` from a file that contains its path twice
    let case = case();
    let path = StorePath::from_base_name("0l4nw2ml5i0s21di2458whv8gwmwlv6y-selfref").unwrap();
    let text = format!("/nix/store/{path} xx /nix/store/{path}\n");
    let (mut info, nar) = nar_of(text.as_bytes(), 1);
    assert_eq!(info.nar_hash.to_sri(), "sha256-JGO8Mkwlhftlwt5qTzy59uU7WsBijqGivyzB4jypeoQ=");
    info.path = path.clone();
    info.references = [path].into();
    info.ca = Some(
        "fixed:r:sha256:14h0d9mkcc4gzfy1ll9hsk67643lhb7936fspk0vgdcyzqk54f60".parse().unwrap(),
    );
    case.store.add_nar(&info, &mut nar.as_slice(), Repair::No).unwrap();
    assert!(case.store.path_info(&info.path).unwrap().is_content_addressed(case.store.store_dir()));
}

#[test]
fn registration_is_all_or_nothing() {
    let case = case();
    let store = &case.store;
    let (mut a, nar) = nar_of(b"a", 1);
    let (mut b, nar_b) = nar_of(b"b", 2);
    std::fs::write(store.real_path(&a.path), &nar).unwrap();
    std::fs::write(store.real_path(&b.path), &nar_b).unwrap();
    a.references.insert(b.path.clone());
    b.references.insert(a.path.clone());
    let error = store.register_valid(&[a.clone(), b.clone()]).unwrap_err().to_string();
    assert!(error.starts_with("cycle detected in the references of '"), "{error}");
    b.references = [StorePath::from_parts(&[3; 20], "x").unwrap()].into();
    assert!(store.register_valid(&[a.clone(), b.clone()]).is_err());
    assert!(store.query_all_valid_paths().unwrap().is_empty());
    // one may refer to another of the same registration, and to itself
    b.references = [b.path.clone()].into();
    store.register_valid(&[a.clone(), b.clone()]).unwrap();
    assert_eq!(store.path_info(&a.path).unwrap().references, a.references);
    assert_eq!(store.path_info(&b.path).unwrap().references, b.references);
}

#[test]
fn closures_follow_what_they_are_told_to() {
    let case = case();
    let store = &case.store;
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let c = case.text("c", &[&b]);
    let closure = |start: &StorePath, options| {
        store.compute_closure(&[start.clone()].into(), options).unwrap()
    };
    let all: BTreeSet<_> = [a.clone(), b.clone(), c.clone()].into();
    assert_eq!(closure(&c, ClosureOptions::default()), all);
    let flip = ClosureOptions { flip: true, ..Default::default() };
    assert_eq!(closure(&a, flip), all);
    assert_eq!(store.topo_sort(&all).unwrap(), [c, b, a]);
    let missing = StorePath::from_parts(&[3; 20], "x").unwrap();
    let error = store.compute_closure(&[missing].into(), ClosureOptions::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidPath { .. }));
}

#[test]
fn verification_finds_what_changed_or_vanished() {
    let case = case();
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let c = case.text("c", &[]);
    let store = &case.store;
    assert!(!store.verify(true, None).unwrap());
    // vanished, and nobody needs it: forgotten
    crate::fs::delete_path(&store.real_path(&c)).unwrap();
    assert!(!store.verify(false, None).unwrap());
    assert!(!store.is_valid(&c).unwrap());
    // vanished, but needed
    crate::fs::delete_path(&store.real_path(&a)).unwrap();
    assert!(store.verify(false, None).unwrap());
    assert!(store.is_valid(&a).unwrap());
    // repaired
    let mut repair = |s: &LocalStore, path: &StorePath| {
        let text = path.name().as_bytes().to_vec();
        let info = s.path_info(path)?;
        s.add_text(path.name(), &text, &info.references, Repair::Yes).map(drop)
    };
    assert!(!store.verify(true, Some(&mut repair)).unwrap());
    assert!(!store.verify(true, None).unwrap());
    // a repair that fails leaves what was there
    let (info, nar) = nar_of(b"x", 9);
    store.add_nar(&info, &mut nar.as_slice(), Repair::No).unwrap();
    assert!(store.add_nar(&info, &mut &nar[..50], Repair::Yes).is_err());
    assert_eq!(std::fs::read(store.real_path(&info.path)).unwrap(), b"x");
    // changed
    let real = store.real_path(&b);
    std::fs::remove_file(&real).unwrap();
    std::fs::write(&real, "changed").unwrap();
    assert!(!store.verify(false, None).unwrap(), "contents are not looked at");
    assert!(store.verify(true, None).unwrap());
    assert!(store.check_path(&b).unwrap().is_some());
    assert!(!store.verify(true, Some(&mut repair)).unwrap());
    assert_eq!(std::fs::read(&real).unwrap(), b"b");
}

#[test]
fn exported_paths_can_be_imported_elsewhere() {
    let case = case();
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let mut out = Vec::new();
    crate::export::export_paths(&case.store, &[a.clone(), b.clone()].into(), &mut out).unwrap();
    let other = self::case();
    let imported = crate::export::import_paths(&other.store, &mut out.as_slice()).unwrap();
    assert_eq!(imported, [a.clone(), b.clone()]);
    assert_eq!(other.store.path_info(&b).unwrap().references, [a].into());
    for len in 0..out.len() {
        let fresh = self::case();
        let result = crate::export::import_paths(&fresh.store, &mut &out[..len]);
        assert!(result.is_err(), "{len} of {} bytes", out.len());
        if len > 100 {
            break; // the rest is as good with larger steps
        }
    }
    // contents that changed are not spread
    let real = case.store.real_path(&b);
    std::fs::remove_file(&real).unwrap();
    std::fs::write(&real, "changed").unwrap();
    let error = crate::export::export_paths(&case.store, &[b].into(), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::PathModified { .. }));
}

#[test]
fn registrations_are_text() {
    let case = case();
    let a = case.text("a", &[]);
    let b = case.text("b", &[&a]);
    let store = &case.store;
    let text = crate::registration::print(store, &b, true, true).unwrap();
    let info = store.path_info(&b).unwrap();
    assert_eq!(
        text,
        format!(
            "{}\n{}\n{}\n\n1\n{}\n",
            store.print(&b),
            info.nar_hash.to_base16(),
            info.nar_size,
            store.print(&a)
        )
    );
    let mut source = text.as_bytes();
    let read = crate::registration::read(store, &mut source, true).unwrap().unwrap();
    assert_eq!((read.nar_hash, &read.references), (info.nar_hash, &info.references));
    assert_eq!(crate::registration::read(store, &mut source, true).unwrap(), None);
    for cut in ["/nix/store", &text[..text.len() - 60]] {
        assert!(crate::registration::read(store, &mut cut.as_bytes(), true).is_err());
    }
}

#[test]
fn two_who_add_the_same_get_one() {
    let case = Arc::new(case());
    let source = case.path("src");
    std::fs::create_dir(&source).unwrap();
    for n in 0..50 {
        std::fs::write(source.join(n.to_string()), vec![0; 1000]).unwrap();
    }
    let layout = case.store.layout.clone();
    let paths: Vec<StorePath> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (source, layout) = (source.clone(), layout.clone());
                scope.spawn(move || {
                    // a store of its own, as another process would have, and another way in
                    let nar_buffer_size = if n % 2 == 0 { 10 } else { 1 << 20 };
                    let options = StoreOptions { nar_buffer_size, ..StoreOptions::default() };
                    let store = LocalStore::open(layout, options).unwrap();
                    let none = BTreeSet::new();
                    store
                        .add_path(
                            "s",
                            &source,
                            Method::Nar,
                            HashAlgo::Sha256,
                            None,
                            &none,
                            Repair::No,
                        )
                        .unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(paths.windows(2).all(|w| w[0] == w[1]));
    assert_eq!(case.store.check_path(&paths[0]).unwrap(), None);
    assert_eq!(case.store.query_all_valid_paths().unwrap().len(), 1);
}

#[test]
fn what_a_killed_process_left_is_made_anew() {
    let case = case();
    let a = case.text("a", &[]);
    let real = case.store.real_path(&a);
    // died before the registration: contents are there, whole or not, and the lock file too
    case.store.invalidate_checked(&a).unwrap();
    std::fs::remove_file(&real).unwrap();
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("half"), "x").unwrap();
    let mut lock = real.clone().into_os_string();
    lock.push(".lock");
    std::fs::write(&lock, "").unwrap();
    let other = case.reopened();
    assert_eq!(other.add_text("a", b"a", &BTreeSet::new(), Repair::No).unwrap(), a);
    assert_eq!(std::fs::read(&real).unwrap(), b"a");
}

#[test]
fn text_that_a_power_cut_has_emptied_is_written_again() {
    let case = case();
    let a = case.text("a", &[]);
    let real = case.store.real_path(&a);
    std::fs::remove_file(&real).unwrap();
    std::fs::write(&real, "").unwrap();
    assert!(case.store.is_valid(&a).unwrap());
    case.text("a", &[]);
    assert_eq!(case.store.check_path(&a).unwrap(), None);
    std::fs::remove_file(&real).unwrap();
    case.text("a", &[]);
    assert_eq!(case.store.check_path(&a).unwrap(), None);
}

#[test]
fn a_store_behind_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("there")).unwrap();
    symlink("there", real.join("here")).unwrap();
    let open = |allow| {
        LocalStore::open(
            StoreLayout::in_root(&real.join("here")),
            StoreOptions { allow_symlinked_store: allow, ..StoreOptions::default() },
        )
    };
    let error = open(false).unwrap_err().to_string();
    assert!(error.contains("is a symlink; this is not allowed for the Nix store"), "{error}");
    open(true).unwrap();
}

#[test]
fn a_read_only_store_answers_and_refuses() {
    let case = case();
    let a = case.text("a", &[]);
    let Case { dir, store } = case;
    let layout = store.layout.clone();
    drop(store);
    let options = StoreOptions { read_only: true, ..StoreOptions::default() };
    let store = LocalStore::open(layout, options).unwrap();
    assert!(store.is_valid(&a).unwrap());
    let error = store.add_text("b", b"b", &BTreeSet::new(), Repair::No).unwrap_err().to_string();
    assert!(error.contains("because the store is read-only: "), "{error}");
    drop(dir);
}

#[test]
fn logs_are_kept_compressed_and_read_in_every_form() {
    let case = case();
    let drv = StorePath::from_parts(&[5; 20], "x.drv").unwrap();
    assert_eq!(case.store.build_log(&drv).unwrap(), None);
    case.store.add_build_log(&drv, b"line\n").unwrap();
    assert_eq!(case.store.build_log(&drv).unwrap().unwrap(), b"line\n");
    let file = case.store.layout.log_file(&drv);
    let compressed = PathBuf::from(format!("{}.bz2", file.display()));
    assert!(compressed.exists());
    std::fs::write(&compressed, "not bzip2").unwrap();
    assert!(case.store.build_log(&drv).unwrap_err().to_string().contains(".bz2"));
    std::fs::write(&file, "plain\n").unwrap();
    assert_eq!(case.store.build_log(&drv).unwrap().unwrap(), b"plain\n");
}
