use super::*;
use crate::LocalStore;
use crate::store::{Repair, Store as _};

struct Case {
    dir: tempfile::TempDir,
    store: LocalStore,
    profile: PathBuf,
}

fn case() -> Case {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let store =
        LocalStore::open(StoreLayout::in_root(&root), crate::StoreOptions::default()).unwrap();
    let profile = root.join("profiles/p");
    Case { dir, store, profile }
}

impl Case {
    fn set(&self, text: &str) -> PathBuf {
        let path = self.store.add_text("t", text.as_bytes(), &BTreeSet::new(), Repair::No).unwrap();
        set(&self.store, &self.profile, &path).unwrap()
    }
    fn numbers(&self) -> (Vec<u64>, Option<u64>) {
        let found = generations(&self.profile).unwrap();
        (found.all.iter().map(|g| g.number).collect(), found.current)
    }
    fn delete(&self, arguments: &[&str]) -> Result<()> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        delete(&self.profile, &Which::parse(&arguments)?, false, &Logger::silent())
    }
    fn switch(&self, to: Option<u64>) -> Result<()> {
        switch(&self.profile, to, false, &Logger::silent())
    }
}

#[test]
fn a_generation_is_made_only_when_something_changed() {
    let case = case();
    case.set("one");
    case.set("one");
    assert_eq!(case.numbers(), (vec![1], Some(1)));
    let link = case.set("two");
    assert_eq!(case.numbers(), (vec![1, 2], Some(2)));
    assert_eq!(std::fs::read_link(&case.profile).unwrap(), Path::new("p-2-link"));
    assert!(std::fs::read_link(link).unwrap().starts_with("/nix/store"));
    // its links are roots
    let roots = case.store.find_roots().unwrap();
    assert_eq!(roots.values().flatten().filter(|l| l.contains("p-")).count(), 2);
    drop(case.dir);
}

#[test]
fn back_and_forth() {
    let case = case();
    for text in ["a", "b", "c"] {
        case.set(text);
    }
    case.switch(None).unwrap();
    assert_eq!(case.numbers().1, Some(2));
    case.switch(Some(3)).unwrap();
    case.switch(Some(1)).unwrap();
    assert_eq!(
        case.switch(None).unwrap_err().to_string(),
        "no profile version older than the current (1) exists"
    );
    assert_eq!(case.switch(Some(9)).unwrap_err().to_string(), "profile version 9 does not exist");
    // after going back, a new generation still gets a new number
    case.set("d");
    assert_eq!(case.numbers(), (vec![1, 2, 3, 4], Some(4)));
}

#[test]
fn deleting_generations() {
    let case = case();
    for text in ["a", "b", "c", "d", "e"] {
        case.set(text);
    }
    case.delete(&["1"]).unwrap();
    assert_eq!(case.numbers().0, [2, 3, 4, 5]);
    let error = case.delete(&["2", "5"]).unwrap_err().to_string();
    assert!(error.starts_with("cannot delete current version of profile"), "{error}");
    case.switch(Some(4)).unwrap();
    case.delete(&["+2"]).unwrap();
    // newer ones than the present stay
    assert_eq!(case.numbers(), (vec![3, 4, 5], Some(4)));
    case.delete(&["old"]).unwrap();
    assert_eq!(case.numbers(), (vec![4], Some(4)));
    for (bad, message) in [
        ("+0", "Must keep at least one generation"),
        ("0d", "invalid number of days specifier '0d'"),
        ("x", "invalid generation number 'x'"),
    ] {
        let error = case.delete(&[bad]).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn what_was_present_at_the_time_stays() {
    let case = case();
    let day = 24 * 3600;
    let mut links = Vec::new();
    for text in ["a", "b", "c", "d"] {
        links.push(case.set(text));
    }
    // made 40, 30, 20 and 1 days ago: ten days ago, generation 3 was the present one
    for (link, days) in links.iter().zip([40, 30, 20, 1]) {
        let time = rustix::fs::Timespec { tv_sec: now() - days * day, tv_nsec: 0 };
        rustix::fs::utimensat(
            rustix::fs::CWD,
            link,
            &rustix::fs::Timestamps { last_access: time, last_modification: time },
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }
    case.delete(&["10d"]).unwrap();
    assert_eq!(case.numbers().0, [3, 4]);
}
