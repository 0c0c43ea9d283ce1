//! The built-in formatter on files: finding them, and replacing those that change.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use firn_event::Level;
use firn_store::error::errno_text;
use firn_syntax::Origin;

use crate::commands::nix::call::Call;
use crate::common::legacy::{Failure, Outcome, usage};

/// What became of a file.
enum Done {
    Same,
    /// It was replaced, or would be.
    Changed,
    Failed(String),
}

/// Formats the files and folders named, or `folder` if none is; with `check` only tells which would change.
/// `-` stands for standard input, whose result goes to standard output.
pub fn run(call: &mut Call<'_>, names: &[String], folder: &Path, check: bool) -> Outcome {
    if names.iter().any(|name| name == "-") {
        if names.len() > 1 {
            return usage("'-' cannot be formatted together with files");
        }
        return standard_input(call, check);
    }
    let mut failed = 0_usize;
    let mut found = Vec::new();
    let mut complain = |text: String| {
        firn_ui::print_error(&text);
        failed += 1;
    };
    if names.is_empty() {
        find(folder, &mut found, &mut complain);
    }
    for name in names {
        let path = Path::new(name);
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => find(path, &mut found, &mut complain),
            Ok(_) => found.push(path.to_owned()),
            Err(e) => complain(format!("reading file '{name}': {}", errno_text(&e))),
        }
    }
    found.sort();
    found.dedup();
    let mut changed = 0_usize;
    for (path, done) in found.iter().zip(all(&found, check)) {
        match done {
            Done::Same => {}
            Done::Changed => {
                changed += 1;
                if check {
                    writeln!(call.out, "{}", shown(path).display())?;
                }
            }
            Done::Failed(text) => {
                firn_ui::print_error(&text);
                failed += 1;
            }
        }
    }
    let would = if check { "would change" } else { "changed" };
    let files = if found.len() == 1 { "file" } else { "files" };
    call.say(Level::Info, format!("formatter: {changed} of {} {files} {would}", found.len()));
    if failed > 0 || (check && changed > 0) {
        call.out.flush()?;
        return Err(Failure::Exit(1));
    }
    Ok(())
}

fn standard_input(call: &mut Call<'_>, check: bool) -> Outcome {
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
    let new =
        firn_format::format(&text, &Origin::Stdin).map_err(|e| Failure::Message(e.to_string()))?;
    if !check {
        call.out.write_all(new.as_bytes())?;
    } else if new.as_bytes() != text {
        writeln!(call.out, "-")?;
        call.out.flush()?;
        return Err(Failure::Exit(1));
    }
    Ok(())
}

/// A path below the present folder as it is seen from there.
fn shown(path: &Path) -> &Path {
    let path = path.strip_prefix(".").unwrap_or(path);
    let Ok(here) = std::env::current_dir() else { return path };
    path.strip_prefix(here).unwrap_or(path)
}

/// The `.nix` files below a folder, but not those of Git itself nor what symbolic links lead to.
fn find(folder: &Path, found: &mut Vec<PathBuf>, complain: &mut impl FnMut(String)) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |e: std::io::Error| {
            format!("reading folder '{}': {}", folder.display(), errno_text(&e))
        };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                complain(failed(e));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok(entry) => entry,
                Err(e) => {
                    complain(failed(e));
                    continue;
                }
            };
            let (kind, path) = (entry.0, entry.1.path());
            if kind.is_dir() {
                if entry.1.file_name() != ".git" {
                    folders.push(path);
                }
            } else if kind.is_file() && path.extension().is_some_and(|e| e == "nix") {
                found.push(path);
            }
        }
    }
}

/// Formats all files, several at a time.
fn all(files: &[PathBuf], check: bool) -> Vec<Done> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(n) else { return done };
            done.push((n, one(file, check)));
        }
    };
    let mut done: Vec<(usize, Done)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, done)| done).collect()
}

fn one(file: &Path, check: bool) -> Done {
    let failed = |doing: &str, e: &std::io::Error| {
        Done::Failed(format!("{doing} file '{}': {}", file.display(), errno_text(e)))
    };
    // a symbolic link stays one
    let real = match file.canonicalize() {
        Ok(real) => real,
        Err(e) => return failed("reading", &e),
    };
    let (text, meta) = match std::fs::read(&real).and_then(|text| Ok((text, real.metadata()?))) {
        Ok(read) => read,
        Err(e) => return failed("reading", &e),
    };
    let new = match firn_format::format(&text, &Origin::Path(real.clone())) {
        Ok(new) => new,
        Err(e) => return Done::Failed(e.to_string()),
    };
    if new.as_bytes() == text {
        return Done::Same;
    }
    if check {
        return Done::Changed;
    }
    let mode = meta.permissions().mode() & 0o7777;
    if let Err(e) = firn_store::fs::write_atomically(&real, new.as_bytes(), mode, false) {
        return Done::Failed(e.to_string());
    }
    let now = real.metadata();
    if now.is_ok_and(|now| (now.uid(), now.gid()) != (meta.uid(), meta.gid()))
        && let Err(e) = std::os::unix::fs::chown(&real, Some(meta.uid()), Some(meta.gid()))
    {
        return failed("giving back to its owner the formatted", &e);
    }
    Done::Changed
}
