//! Files that arguments name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use firn_eval::position::PosId;
use firn_eval::{Error, Vm};

use super::current_dir;

/// The file or folder that an argument stands for: a path, `<name>` of the search path, the URL of a tarball,
/// `channel:NAME`, or `flake:REFERENCE`.
///
/// # Errors
/// If the search path has no such name, or what the URL names cannot be had.
pub fn named_file(vm: &mut Vm, text: &str) -> Result<PathBuf, Error> {
    if let Some(name) = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')) {
        let search_path = vm.shared.settings.search_path.clone();
        return vm.find_file(&search_path, name, PosId::NONE);
    }
    if is_url(text) {
        return vm.find_file(&[(String::new(), text.to_owned())], "", PosId::NONE);
    }
    let path = firn_eval::paths::canonical(current_dir().join(text).as_os_str().as_bytes());
    Ok(PathBuf::from(OsStr::from_bytes(&path)))
}

fn is_url(text: &str) -> bool {
    ["channel:", "flake:", "http://", "https://", "file://", "git://", "s3://"]
        .iter()
        .any(|start| text.starts_with(start))
}
