//! What the builder made, put where the cluster collects it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Report;

/// Moves those `outputs` that there are into `folder`, each under its name, where workers can read all of them.
///
/// # Errors
/// What to report in place of success.
pub fn collect<'a>(
    outputs: impl IntoIterator<Item = (&'a String, &'a PathBuf)>,
    folder: &Path,
) -> Result<(), Report> {
    let unable = |what: &Path, e: &io::Error| {
        Report::Unable(format!("moving the output '{}': {e}", what.display()))
    };
    for (name, made) in outputs {
        if made.symlink_metadata().is_err() {
            // whoever asked says so, with the words for that
            continue;
        }
        check(made)?;
        let place = folder.join(name);
        // the mode of the folder above does not matter, but moving a folder needs its own
        match fs::rename(made, &place) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                firn_store::fs::copy_path(made, &place, firn_store::fs::Restore::Plain, None)
                    .map_err(|e| unable(made, &io::Error::other(e.to_string())))?;
            }
            Err(e) => return Err(unable(made, &e)),
        }
    }
    Ok(())
}

/// Makes everything readable; says what cannot be carried.
fn check(path: &Path) -> Result<(), Report> {
    let unable =
        |e: io::Error| Report::Unable(format!("reading the output '{}': {e}", path.display()));
    let unfit = || {
        Err(Report::Unfit(format!(
            "it made '{}', whose name or target is not UTF-8, which the protocol wants",
            path.display()
        )))
    };
    if path.to_str().is_none() {
        return unfit();
    }
    let meta = fs::symlink_metadata(path).map_err(unable)?;
    if meta.is_symlink() {
        return match fs::read_link(path).map_err(unable)?.to_str() {
            Some(_) => Ok(()),
            None => unfit(),
        };
    }
    let mode = meta.mode() & 0o777;
    let needed = match (meta.is_dir(), meta.is_file()) {
        (true, _) => mode | 0o700,
        (_, true) => mode | 0o400,
        _ => {
            return Err(Report::BadOutput(format!(
                "file '{}' has an unsupported type",
                path.display()
            )));
        }
    };
    if needed != mode {
        fs::set_permissions(path, Permissions::from_mode(needed)).map_err(unable)?;
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(unable)? {
            check(&entry.map_err(unable)?.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn collected(make: impl Fn(&Path)) -> Result<Vec<String>, Report> {
        let dir = tempfile::tempdir().unwrap();
        let (made, folder) = (dir.path().join("made"), dir.path().join("outputs"));
        fs::create_dir(&folder).unwrap();
        make(&made);
        let outputs = [("out".to_owned(), made), ("dev".to_owned(), dir.path().join("none"))];
        collect(outputs.iter().map(|(n, p)| (n, p)), &folder)?;
        let names = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name());
        Ok(names.map(|name| name.into_string().unwrap()).collect())
    }

    #[test]
    fn outputs_of_any_kind_are_moved() {
        assert_eq!(collected(|path| fs::write(path, "x").unwrap()), Ok(vec!["out".into()]));
        let link = |path: &Path| std::os::unix::fs::symlink("/nowhere", path).unwrap();
        assert_eq!(collected(link), Ok(vec!["out".into()]));
        let closed = |path: &Path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("f"), "x").unwrap();
            fs::set_permissions(path.join("f"), Permissions::from_mode(0)).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o500)).unwrap();
        };
        assert_eq!(collected(closed), Ok(vec!["out".into()]));
        assert_eq!(collected(|_| {}), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_carried_is_told() {
        let odd = |path: &Path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        };
        assert!(matches!(collected(odd), Err(Report::Unfit(_))));
        let socket = |path: &Path| {
            std::os::unix::net::UnixListener::bind(path).unwrap();
        };
        assert!(matches!(collected(socket), Err(Report::BadOutput(_))));
    }
}
