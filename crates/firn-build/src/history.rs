//! How long builds took before, so that the next one can be guessed: which to begin with, and what a display tells.
//!
//! One text file, `firn/build-times` in the store's state, has a line for each successful build: system, name, and
//! milliseconds, with tabs between. The name is `pname`, or the derivation's name without its version, so that a new
//! version is guessed by the one before. Nothing depends on it but an order: lines that make no sense are left out,
//! a file that cannot be read or written is as if it were not there. Each line is added by one write at the end, and
//! whoever finds the file too long writes a shorter one in its place, so several processes need no lock for it; a
//! line that one of them adds in that moment is lost.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use firn_model::derivation::Derivation;

/// How many times are remembered of a name.
const TIMES: usize = 5;
/// How long the file may become, in bytes, and how long it is after it was made shorter at the most.
const MOST_BYTES: u64 = 512 * 1024;
const KEPT_BYTES: usize = 256 * 1024;
/// What is longer is no name to remember.
const LONGEST_NAME: usize = 200;

/// What builds of a kind are called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    system: String,
    name: String,
}

impl Key {
    fn of(drv: &Derivation) -> Option<Self> {
        let attrs = drv.structured_attrs().ok().flatten();
        let own = match &attrs {
            Some(attrs) => attrs.get("pname").and_then(|name| name.as_str()).map(str::to_owned),
            None => drv.env.get(&b"pname"[..]).map(ToString::to_string),
        };
        let name = own
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| without_version(&drv.name).to_owned());
        let plain = |text: &str| {
            !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
        };
        let system = drv.system.to_string();
        (plain(&name) && plain(&system)).then_some(Self { system, name })
    }
}

/// The part of a name before its version, which begins with a dash and something other than a letter.
fn without_version(name: &str) -> &str {
    let bytes = name.as_bytes();
    let version = (0..bytes.len())
        .find(|&n| bytes[n] == b'-' && bytes.get(n + 1).is_some_and(|b| !b.is_ascii_alphabetic()));
    match version {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// In milliseconds, the latest last.
    times: HashMap<Key, VecDeque<u64>>,
}

impl History {
    /// Reads what is remembered in a store's state.
    pub fn read(state_dir: &Path) -> Self {
        let mut history = Self::default();
        let Ok(file) = File::open(file(state_dir)) else { return history };
        let mut text = Vec::new();
        // Longer than it can be, it is not ours.
        if file.take(2 * MOST_BYTES).read_to_end(&mut text).is_err() {
            return history;
        }
        for (key, time) in text.split(|b| *b == b'\n').filter_map(parse) {
            history.add(key, time);
        }
        history
    }

    fn add(&mut self, key: Key, time: u64) {
        let times = self.times.entry(key).or_default();
        times.push_back(time);
        if times.len() > TIMES {
            times.pop_front();
        }
    }

    /// How long this one may take: the middle one of the last times.
    pub fn estimate(&self, drv: &Derivation) -> Option<Duration> {
        let mut times: Vec<u64> = self.times.get(&Key::of(drv)?)?.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).map(|millis| Duration::from_millis(*millis))
    }
}

/// Remembers how long a build took.
pub(crate) fn note(state_dir: &Path, drv: &Derivation, time: Duration) {
    let Some(key) = Key::of(drv) else { return };
    // Nothing is told of a failure: who cannot write here, cannot, and the build is done.
    let _ = append(&file(state_dir), &line(&key, time));
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("firn/build-times")
}

fn line(key: &Key, time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    format!("{}\t{}\t{millis}\n", key.system, key.name)
}

fn parse(line: &[u8]) -> Option<(Key, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split('\t');
    let (system, name, millis) = (fields.next()?, fields.next()?, fields.next()?);
    let sound = fields.next().is_none()
        && [system, name].iter().all(|text| !text.is_empty() && text.len() <= LONGEST_NAME);
    // a year of building is a damaged line
    let time = millis.parse().ok().filter(|millis| *millis < 365 * 24 * 3_600_000)?;
    sound.then(|| (Key { system: system.to_owned(), name: name.to_owned() }, time))
}

fn append(file: &Path, line: &str) -> io::Result<()> {
    let mut options = File::options();
    options.append(true).create(true);
    let mut open = match options.open(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(file.parent().unwrap_or(file))?;
            options.open(file)?
        }
        other => other?,
    };
    open.write_all(line.as_bytes())?;
    if open.metadata()?.len() > MOST_BYTES { shorten(file) } else { Ok(()) }
}

/// Writes the file anew, without what is not remembered and what is oldest.
fn shorten(path: &Path) -> io::Result<()> {
    let mut text = Vec::new();
    File::open(path)?.take(2 * MOST_BYTES).read_to_end(&mut text)?;
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut size = 0;
    for line in text.split(|b| *b == b'\n').rev() {
        let Some((key, _)) = parse(line) else { continue };
        let count = seen.entry(key).or_default();
        *count += 1;
        size += line.len() + 1;
        if size > KEPT_BYTES {
            break;
        }
        if *count <= TIMES {
            kept.push(line);
        }
    }
    let mut new = Vec::with_capacity(size);
    for line in kept.into_iter().rev() {
        new.extend_from_slice(line);
        new.push(b'\n');
    }
    let folder = path.parent().unwrap_or(path);
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(&new)?;
    temporary.persist(path).map(drop).map_err(|e| e.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drv(name: &str, pname: Option<&str>) -> Derivation {
        let mut drv = Derivation { name: name.into(), system: "s".into(), ..Derivation::default() };
        if let Some(pname) = pname {
            drv.env.insert("pname".into(), pname.into());
        }
        drv
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn another_version_is_guessed_by_the_ones_before() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(History::read(dir.path()).estimate(&drv("a-1", None)), None);
        for n in [100, 9, 7, 8, 200, 8] {
            note(dir.path(), &drv("hello-2.10", None), seconds(n));
        }
        let history = History::read(dir.path());
        assert_eq!(history.estimate(&drv("hello-2.12", None)), Some(seconds(8)));
        assert_eq!(history.estimate(&drv("x-3", Some("hello"))), Some(seconds(8)));
        assert_eq!(history.estimate(&drv("hello-world", None)), None);
        let other = Derivation { system: "t".into(), ..drv("hello-2.10", None) };
        assert_eq!(history.estimate(&other), None);
    }

    #[test]
    fn versions_begin_with_something_other_than_a_letter() {
        for (name, short) in [
            ("hello-2.10", "hello"),
            ("a-b-c", "a-b-c"),
            ("gcc-wrapper-13", "gcc-wrapper"),
            ("-1", "-1"),
            ("x-", "x-"),
            ("", ""),
        ] {
            assert_eq!(without_version(name), short, "{name}");
        }
    }

    #[test]
    fn what_is_damaged_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        note(dir.path(), &drv("a", None), seconds(3));
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(
            b"s\ta\nx\xff\ts\t1\n\t\t\ns\ta\t99999999999999999999\ns\ta\t-1\ns\ta",
        );
        fs::write(&path, &text).unwrap();
        // what comes next stands on the half line that a crash left
        note(dir.path(), &drv("a", None), seconds(500));
        note(dir.path(), &drv("a", None), seconds(3));
        assert_eq!(History::read(dir.path()).estimate(&drv("a", None)), Some(seconds(3)));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        note(dir.path(), &drv("a", None), seconds(3));
        assert_eq!(History::read(dir.path()).estimate(&drv("a", None)), None);
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut text = "s\tseldom\t5000\n".repeat(3);
        let filler = "s\tfiller\t1000\n";
        text.push_str(&filler.repeat(usize::try_from(MOST_BYTES).unwrap() / filler.len() / 2));
        for n in 0.. {
            if text.len() > usize::try_from(MOST_BYTES).unwrap() {
                break;
            }
            text.push_str(&format!("s\tpackage{n}\t1000\n"));
        }
        fs::write(&path, text).unwrap();
        note(dir.path(), &drv("last", None), seconds(7));
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= KEPT_BYTES as u64, "{size}");
        let history = History::read(dir.path());
        assert_eq!(history.estimate(&drv("last", None)), Some(seconds(7)));
        assert_eq!(history.estimate(&drv("seldom", None)), None, "the oldest go");
        assert!(history.times.len() > 1000);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn several_may_write_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let dir = dir.path();
                scope.spawn(move || {
                    let name = format!("p{n}");
                    for _ in 0..50 {
                        note(dir, &drv(&name, None), seconds(n + 1));
                    }
                });
            }
        });
        let text = fs::read_to_string(file(dir.path())).unwrap();
        assert_eq!(text.lines().filter(|line| parse(line.as_bytes()).is_some()).count(), 200);
    }
}
