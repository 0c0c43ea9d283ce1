//! No bytes make the readers of tar and Debian archives panic, and no member gets a place outside the tree.
#![no_main]

use std::path::Path;

use firn_import::archive::{deb, tar};
use firn_import::tree::Tree;
use libfuzzer_sys::fuzz_target;

fn check(tree: &Tree) {
    for (path, _) in tree.iter() {
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        assert!(inside && !path.contains('\0'), "{path:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzz");
    let place = |name: &str| Some(name.to_owned());
    for links_inside in [false, true] {
        let mut tree = Tree::default();
        let options = tar::Options { strip: usize::from(links_inside), target: "", links_inside, place: &place };
        if tar::read(path, data, &options, &mut tree).is_ok() {
            check(&tree);
        }
    }
    let mut tree = Tree::default();
    if deb::read_data(path, data, &place, &mut tree).is_ok() {
        check(&tree);
    }
    let _ = deb::control(path, data);
});
