//! C++ Nix's language tests, case by case, from a source tree of it: what is printed, or the final error.
//!
//! A case is a file `(parse|eval)-(okay|fail)-NAME.nix` with the expected output (`.exp`, `.exp.xml`) or
//! error (`.err.exp`) and perhaps `.flags` beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::message::final_error;
use crate::sides::Side;

/// How the cases of one kind came out.
#[derive(Default)]
struct Count {
    cases: usize,
    identical: usize,
    /// Of those that must fail: how many also print the rest (traces, excerpts) as the reference does.
    whole: usize,
}

/// Runs all cases below `tree` and prints the counts and differences. Gives the number of differences.
pub fn run(tree: &Path, ours: &Side) -> Result<usize, String> {
    let folder = find(tree)?;
    let parent = folder.parent().ok_or("the folder of language tests has no parent")?.to_owned();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .map_err(|e| format!("cannot read '{}': {e}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".nix")?.to_owned()))
        .collect();
    names.sort();
    let mut differences = Vec::new();
    let mut table: Vec<(&str, Count)> = ["parse-okay", "eval-okay", "parse-fail", "eval-fail"]
        .map(|k| (k, Count::default()))
        .into();
    for name in &names {
        let Some((kind, count)) =
            table.iter_mut().find(|(k, _)| name.starts_with(&format!("{k}-")))
        else {
            continue;
        };
        if folder.join(format!("{name}.exp-disabled")).exists() {
            continue;
        }
        count.cases += 1;
        let case = Case { name, folder: &folder, parent: &parent, ours };
        let outcome = if kind.ends_with("okay") { case.okay(kind) } else { case.fail(kind) }?;
        match outcome {
            Outcome::Identical { whole } => {
                count.identical += 1;
                count.whole += usize::from(whole);
            }
            Outcome::Different(text) => differences.push(format!("{name}: {text}")),
        }
    }
    println!("language tests of {}", folder.display());
    for (kind, count) in &table {
        match kind.ends_with("okay") {
            true => println!("  {kind:<10} {} of {} identical", count.identical, count.cases),
            false => println!(
                "  {kind:<10} {} of {} with the same final error, {} of them with the same whole text",
                count.identical, count.cases, count.whole
            ),
        }
    }
    for difference in &differences {
        println!("  {difference}");
    }
    Ok(differences.len())
}

/// The folder of the cases: the one given, or where a source tree has it.
fn find(tree: &Path) -> Result<PathBuf, String> {
    [tree.to_owned(), tree.join("tests/functional/lang"), tree.join("lang")]
        .into_iter()
        .find(|f| f.join("eval-okay-arithmetic.nix").exists() || has_cases(f))
        .and_then(|f| f.canonicalize().ok())
        .ok_or_else(|| {
            format!("'{}' has no language tests (tests/functional/lang/*.nix)", tree.display())
        })
}

fn has_cases(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|e| {
            let name = e.file_name();
            let name = name.to_string_lossy();
            name.starts_with("eval-okay-") && name.ends_with(".nix")
        })
    })
}

enum Outcome {
    Identical { whole: bool },
    Different(String),
}

struct Case<'a> {
    name: &'a str,
    folder: &'a Path,
    /// Where commands run; files are named from here.
    parent: &'a Path,
    ours: &'a Side,
}

impl Case<'_> {
    fn file(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}", self.name))
    }

    fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut all = vec![("TEST_VAR", "foo"), ("NIX_REMOTE", "dummy://"), ("NO_COLOR", "1")];
        all.extend(variables);
        let mut command = self.ours.command("nix-instantiate", &all);
        command.current_dir(self.parent).stdin(Stdio::null());
        command
    }

    /// The words of the case's flags file.
    fn flags(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.file(".flags")).ok()?;
        let bare = text.lines().map(|l| l.split('#').next().unwrap_or_default());
        Some(bare.flat_map(str::split_whitespace).map(str::to_owned).collect())
    }

    fn source(&self) -> Result<Stdio, String> {
        let path = self.file(".nix");
        let file = fs::File::open(&path);
        file.map(Stdio::from).map_err(|e| format!("cannot open '{}': {e}", path.display()))
    }

    /// Output and errors with the folder's name made neutral, and whether it succeeded.
    fn finish(&self, command: &mut Command) -> Result<(Vec<u8>, String, bool), String> {
        let output = command.output().map_err(|e| format!("cannot run {command:?}: {e}"))?;
        let here = self.parent.to_string_lossy();
        let errors = String::from_utf8_lossy(&output.stderr).replace(&*here, "/pwd");
        let printed = match String::from_utf8(output.stdout) {
            Ok(text) => text.replace(&*here, "/pwd").into_bytes(),
            Err(raw) => raw.into_bytes(),
        };
        Ok((printed, errors, output.status.success()))
    }

    fn okay(&self, kind: &str) -> Result<Outcome, String> {
        let path = format!("lang/{}.nix", self.name);
        let xml = self.file(".exp.xml");
        let (mut command, expected) = if kind.starts_with("parse") {
            let mut command = self.command(&[]);
            command.args(["--parse", "-"]).stdin(self.source()?);
            (command, self.file(".exp"))
        } else if xml.exists() {
            let mut command = self.command(&[]);
            command.args(["--eval", "--xml", "--no-location", "--strict", &path]);
            (command, xml)
        } else {
            let mut command =
                self.command(&[("NIX_PATH", "lang/dir3:lang/dir4"), ("HOME", "/fake-home")]);
            command.args(self.flags().unwrap_or_default()).args(["--eval", "--strict", &path]);
            (command, self.file(".exp"))
        };
        let (printed, errors, success) = self.finish(&mut command)?;
        if !success {
            let said = final_error(&errors).unwrap_or(errors);
            return Ok(Outcome::Different(format!("fails: {said}")));
        }
        let wanted = fs::read(&expected)
            .map_err(|e| format!("cannot read '{}': {e}", expected.display()))?;
        if printed != wanted {
            return Ok(Outcome::Different(first_difference(&printed, &wanted)));
        }
        // warnings count too
        let wanted = fs::read_to_string(self.file(".err.exp")).unwrap_or_default();
        Ok(if errors == wanted || expected.extension().is_some_and(|e| e == "xml") {
            Outcome::Identical { whole: true }
        } else {
            let text = first_difference(errors.as_bytes(), wanted.as_bytes());
            Outcome::Different(format!("standard error: {text}"))
        })
    }

    fn fail(&self, kind: &str) -> Result<Outcome, String> {
        let mut command = self.command(&[]);
        if kind.starts_with("parse") {
            command.args(["--parse", "-"]).stdin(self.source()?);
        } else {
            let usual = ["--eval", "--strict", "--show-trace"].map(str::to_owned).to_vec();
            command.args(self.flags().unwrap_or(usual)).arg(format!("lang/{}.nix", self.name));
        }
        let (printed, errors, success) = self.finish(&mut command)?;
        if success {
            let printed = String::from_utf8_lossy(&printed);
            return Ok(Outcome::Different(format!("must fail, but gives {}", printed.trim_end())));
        }
        let expected = self.file(".err.exp");
        let wanted = fs::read(&expected)
            .map_err(|e| format!("cannot read '{}': {e}", expected.display()))?;
        let wanted = String::from_utf8_lossy(&wanted).into_owned();
        let (ours, theirs) = (final_error(&errors), final_error(&wanted));
        Ok(if ours == theirs {
            Outcome::Identical { whole: errors == wanted }
        } else {
            let shown = |m: Option<String>| m.map_or("nothing".into(), |m| format!("{m:?}"));
            Outcome::Different(format!("{} instead of {}", shown(ours), shown(theirs)))
        })
    }
}

/// The first line that differs, of both.
fn first_difference(ours: &[u8], wanted: &[u8]) -> String {
    let (a, b) = (String::from_utf8_lossy(ours), String::from_utf8_lossy(wanted));
    let (mut a, mut b) = (a.lines(), b.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (a.next(), b.next()) {
            (None, None) => return "the ends of lines differ".into(),
            (x, y) if x == y => {}
            (x, y) => {
                let cut = |l: Option<&str>| {
                    l.map_or("nothing".into(), |l| {
                        format!("{:?}", l.chars().take(200).collect::<String>())
                    })
                };
                return format!("line {number}: {} instead of {}", cut(x), cut(y));
            }
        }
    }
}
