//! Running many expressions in one process on each side.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use super::outcome::{Outcome, from_repl, normal_message, normal_value, split_repl};
use crate::sides::Side;

/// Seconds of processor time after which a process that evaluates a batch is ended: a busy machine must not
/// look like an endless evaluation.
const LIMIT: &str = "20";
/// The same in seconds that pass, for what waits instead of working.
const PATIENCE: &str = "300";
/// Address space of a process, in KiB: what needs more would need all there is.
const MEMORY: &str = "4000000";

/// Comes first in each process. C++ Nix evaluates the attributes of a set in the order in which it first
/// met their names, which shows in which of several errors comes first: this makes that order that of
/// the alphabet.
const PREAMBLE: &str = "{ \"1\" = 0; _x = 0; a = 0; b = 0; c = 0; d = 0; e = 0; f = 0; foo = 0; g = 0; key = 0; p = 0; q = 0; w = 0; x = 0; \"x y\" = 0; y = 0; z = 0; }";

/// What one process made of the first expressions, and what it is taken to have died of if there are more.
type Ran = (Vec<Outcome>, Outcome);

/// Both evaluators.
pub struct Pair {
    /// The program that evaluates line by line with our evaluator.
    pub ours: PathBuf,
    pub reference: Side,
    /// Where they run: a folder of files that expressions read.
    pub folder: PathBuf,
    /// Where what goes to and from the reference lies.
    pub scratch: PathBuf,
}

impl Pair {
    /// What both make of the expressions.
    pub fn run(&self, texts: &[String]) -> Result<Vec<(Outcome, Outcome)>, String> {
        thread::scope(|scope| {
            let theirs = scope.spawn(|| self.until_done(texts, &|t| self.reference_once(t)));
            let ours = self.until_done(texts, &|t| self.ours_once(t))?;
            let theirs = theirs.join().map_err(|_| "a thread of the fuzzer panicked")??;
            Ok(ours.into_iter().zip(theirs).collect())
        })
    }

    /// Runs processes until every text has its outcome: what a process dies of is taken as that, and the
    /// next one goes on behind it.
    fn until_done(
        &self,
        texts: &[String],
        once: &dyn Fn(&[String]) -> Result<Ran, String>,
    ) -> Result<Vec<Outcome>, String> {
        let mut outcomes = Vec::with_capacity(texts.len());
        while outcomes.len() < texts.len() {
            let mut batch = vec![PREAMBLE.to_owned()];
            batch.extend_from_slice(&texts[outcomes.len()..]);
            let (some, ending) = once(&batch)?;
            if some.is_empty() {
                return Err(format!("an evaluator did not survive '{PREAMBLE}'"));
            }
            outcomes.extend(some.into_iter().skip(1));
            if outcomes.len() < texts.len() {
                outcomes.push(ending);
            }
        }
        outcomes.truncate(texts.len());
        Ok(outcomes)
    }

    fn ours_once(&self, texts: &[String]) -> Result<Ran, String> {
        let mut command = Command::new("sh");
        let mut child = command
            .args(["-c", &limited("\"$0\"")])
            .arg(&self.ours)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot run '{}': {e}", self.ours.display()))?;
        let mut input = child.stdin.take().ok_or("no pipe")?;
        let output = child.stdout.take().ok_or("no pipe")?;
        let lines = texts.join("\n") + "\n";
        let writer = thread::spawn(move || {
            // it may die before it has read everything
            let _ = input.write_all(lines.as_bytes());
        });
        let mut outcomes = Vec::new();
        for line in BufReader::new(output).lines() {
            let line = line.map_err(|e| format!("cannot read what the evaluator says: {e}"))?;
            let said: serde_json::Value = serde_json::from_str(&line)
                .map_err(|e| format!("the evaluator said '{line}': {e}"))?;
            outcomes.push(match (said["value"].as_str(), said["error"].as_str()) {
                (Some(value), _) => Outcome::Value(normal_value(value)),
                (_, Some(error)) => Outcome::Error(normal_message(error)),
                _ => return Err(format!("the evaluator said '{line}'")),
            });
        }
        let _ = writer.join();
        let status = child.wait().map_err(|e| e.to_string())?;
        Ok((outcomes, ending(status.code())))
    }

    fn reference_once(&self, texts: &[String]) -> Result<Ran, String> {
        let fail = |what: &str, e: std::io::Error| format!("cannot {what} a scratch file: {e}");
        let (input, output) = (self.scratch.join("input"), self.scratch.join("output"));
        let lines: String = texts.iter().map(|t| format!(":p {t}\n")).collect();
        fs::write(&input, lines).map_err(|e| fail("write", e))?;
        let out = File::create(&output).map_err(|e| fail("create", e))?;
        let errors = out.try_clone().map_err(|e| fail("share", e))?;
        let nix = match &self.reference {
            Side::Folder(folder) => folder.join("nix"),
            Side::Prefix(_) => "nix".into(),
        };
        let mut command = self.reference.shell();
        command
            .arg(limited("env TERM=dumb \"$0\" \"$@\""))
            .arg(nix)
            .args(["--extra-experimental-features", "nix-command", "repl"])
            .current_dir(&self.folder)
            .stdin(File::open(&input).map_err(|e| fail("open", e))?)
            .stdout(out)
            .stderr(errors);
        let status = command.status().map_err(|e| format!("cannot run {command:?}: {e}"))?;
        let said = fs::read(&output).map_err(|e| fail("read", e))?;
        let said = String::from_utf8_lossy(&said);
        let mut parts = split_repl(&said);
        if parts.is_empty() {
            return Err(format!("the reference's 'nix repl' gave no prompt: {said}"));
        }
        if !status.success() {
            // the last one is what it died of
            parts.truncate(parts.len().min(texts.len()) - 1);
        } else if parts.len() < texts.len() {
            return Err(format!(
                "the reference's 'nix repl' answered {} of {} lines; the next was: {}",
                parts.len(),
                texts.len(),
                texts[parts.len()]
            ));
        }
        Ok((parts.into_iter().map(from_repl).collect(), ending(status.code())))
    }
}

/// A command of a shell that runs another within the limits.
fn limited(command: &str) -> String {
    format!("ulimit -v {MEMORY}; ulimit -t {LIMIT}; exec timeout -s KILL {PATIENCE} {command}")
}

/// What a process that ended early died of: `timeout` gives 124, or 137 where it had to kill, as the
/// kernel does where the processor time is used up; 152 stands for its signal that comes before.
fn ending(code: Option<i32>) -> Outcome {
    if matches!(code, Some(124 | 137 | 152)) { Outcome::Timeout } else { Outcome::Crash }
}

/// Makes the files that expressions read.
pub fn make_files(folder: &Path) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("cannot make '{}': {e}", folder.display());
    fs::create_dir_all(folder.join("a")).map_err(fail)?;
    for (name, text) in
        [("a/b.txt", "text\n"), ("data.json", "{\"a\": [1, 2.5, null]}"), ("c.nix", "x: x")]
    {
        fs::write(folder.join(name), text).map_err(fail)?;
    }
    Ok(())
}
