//! Formats every `.nix` file below the folders named, twice: how many stay as they are, and what fails.
//!
//! With `--show`, the differences of the first files are printed as `diff -u` has them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use firn_syntax::Origin;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return found.push(folder.to_owned()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "nix") {
            found.push(path);
        }
    }
}

#[allow(clippy::print_stdout)]
fn main() {
    let mut all = Vec::new();
    let mut out = None;
    for arg in std::env::args().skip(1) {
        match arg.strip_prefix("--out=") {
            Some(dir) => out = Some(PathBuf::from(dir)),
            None => files(Path::new(&arg), &mut all),
        }
    }
    all.sort();
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let report = Mutex::new(Vec::new());
    let counts: [AtomicUsize; 3] = Default::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(text) = std::fs::read(path) else { continue };
                    let name = path.display();
                    let began = Instant::now();
                    let line = match firn_format::format(&text, &Origin::Path(path.clone())) {
                        Err(error) => format!("failed {name}: {error}"),
                        Ok(new) => {
                            let again =
                                firn_format::format(new.as_bytes(), &Origin::Path(path.clone()));
                            if !again.is_ok_and(|again| again == new) {
                                counts[1].fetch_add(1, Ordering::Relaxed);
                                report.lock().expect("lock").push(format!("unstable {name}"));
                            }
                            if new.as_bytes() == text {
                                counts[0].fetch_add(1, Ordering::Relaxed);
                                continue;
                            }
                            if let Some(out) = &out {
                                let flat = name.to_string().replace('/', "+");
                                std::fs::write(out.join(flat), &new).expect("write");
                            }
                            format!("changed {name}")
                        }
                    };
                    if began.elapsed().as_secs() > 1 {
                        report.lock().expect("lock").push(format!("slow {name}"));
                    }
                    report.lock().expect("lock").push(line);
                }
            });
        }
    });
    let mut report = report.into_inner().expect("lock");
    report.sort();
    for line in report {
        println!("{line}");
    }
    println!(
        "{} files, {} unchanged, {} unstable, {:.1?}",
        all.len(),
        counts[0].load(Ordering::Relaxed),
        counts[1].load(Ordering::Relaxed),
        start.elapsed()
    );
}
