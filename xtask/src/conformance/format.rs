//! The formatter on a tree of files: whether what it writes means the same, whether formatting again changes
//! nothing, and how many files stay as they are. In a tree that is formatted with nixfmt that should be
//! nearly all. The first two are asked again of each file with other white space between its tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use firn_syntax::{Options, Origin, Source, TokenKind, ast, lexemes, parse};

/// The share of files, in hundredths, that have to stay as they are.
const UNCHANGED: usize = 99;

/// How many files of each kind are listed.
const LISTED: usize = 20;

/// A file that takes longer is listed.
const SLOW: Duration = Duration::from_secs(2);

/// What is wrong with a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    Failed,
    OtherTree,
    NotIdempotent,
    FailedDisturbed,
    OtherTreeDisturbed,
    NotIdempotentDisturbed,
    Changed,
    Slow,
}

impl Finding {
    fn title(self) -> &'static str {
        match self {
            Self::Failed => "not formatted",
            Self::OtherTree => "with another tree afterwards",
            Self::NotIdempotent => "changed by formatting again",
            Self::FailedDisturbed => "not formatted, with other white space",
            Self::OtherTreeDisturbed => "with another tree afterwards, with other white space",
            Self::NotIdempotentDisturbed => "changed by formatting again, with other white space",
            Self::Changed => "not as the formatter writes them",
            Self::Slow => "slow",
        }
    }
}

/// Formats all files below `tree` and prints the figures. Gives the number of what is wrong.
pub fn run(tree: &Path) -> Result<usize, String> {
    let mut files = Vec::new();
    find(tree, &mut files)?;
    files.sort();
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut found = Vec::new();
                    if let Err(text) = examine(file, &mut found) {
                        found.push((Finding::Failed, text));
                    }
                    if let Ok(mut all) = findings.lock() {
                        all.extend(found.into_iter().map(|(kind, text)| (kind, file, text)));
                    }
                }
            });
        }
    });
    let mut findings = findings.into_inner().map_err(|e| e.to_string())?;
    findings.sort();
    let count = |kinds: &[Finding]| findings.iter().filter(|(k, _, _)| kinds.contains(k)).count();
    let share = |wrong: usize| {
        let right = files.len() - wrong;
        let percent = 100.0 * right as f64 / files.len().max(1) as f64;
        format!("{right} of {} ({percent:.3} %)", files.len())
    };
    let trees = count(&[Finding::Failed, Finding::OtherTree]);
    let again = count(&[Finding::Failed, Finding::NotIdempotent]);
    let changed = count(&[Finding::Failed, Finding::Changed]);
    let trees_disturbed = count(&[Finding::FailedDisturbed, Finding::OtherTreeDisturbed]);
    let again_disturbed = count(&[Finding::FailedDisturbed, Finding::NotIdempotentDisturbed]);
    println!("the formatter on {}", tree.display());
    println!("  same tree       {}", share(trees));
    println!("  idempotent      {}", share(again));
    println!("  unchanged       {}", share(changed));
    println!("with other white space");
    println!("  same tree       {}", share(trees_disturbed));
    println!("  idempotent      {}", share(again_disturbed));
    let mut last = None;
    let mut listed = 0;
    for (kind, file, text) in &findings {
        if last != Some(*kind) {
            println!("{}:", kind.title());
            (last, listed) = (Some(*kind), 0);
        }
        listed += 1;
        if listed <= LISTED {
            println!("  {}{}{text}", file.display(), if text.is_empty() { "" } else { ": " });
        }
    }
    let few = (files.len() - changed) * 100 < files.len() * UNCHANGED;
    Ok(trees + again + trees_disturbed + again_disturbed + usize::from(few))
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot read '{}': {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            find(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "nix") {
            found.push(path);
        }
    }
    Ok(())
}

fn examine(file: &Path, found: &mut Vec<(Finding, String)>) -> Result<(), String> {
    let text = fs::read(file).map_err(|e| e.to_string())?;
    let start = Instant::now();
    let new = format(&text)?;
    if start.elapsed() > SLOW {
        found.push((Finding::Slow, format!("{:.1?}", start.elapsed())));
    }
    let tree = tree(&text)?;
    let mut note = |kind| found.push((kind, String::new()));
    if new != text {
        note(Finding::Changed);
    }
    if self::tree(&new)? != tree {
        note(Finding::OtherTree);
    }
    if format(&new)? != new {
        note(Finding::NotIdempotent);
    }
    let disturbed = disturb(&text);
    match format(&disturbed) {
        Ok(new) => {
            if self::tree(&new)? != tree {
                note(Finding::OtherTreeDisturbed);
            }
            if format(&new)? != new {
                note(Finding::NotIdempotentDisturbed);
            }
        }
        Err(text) => found.push((Finding::FailedDisturbed, text)),
    }
    Ok(())
}

fn format(text: &[u8]) -> Result<Vec<u8>, String> {
    firn_format::format(text, &Origin::String).map(String::into_bytes).map_err(|e| e.to_string())
}

/// The tree of a text as `nix-instantiate --parse` prints it.
fn tree(text: &[u8]) -> Result<Vec<u8>, String> {
    let options = Options { pipe_operators: true, ..Options::default() };
    let tree = parse(Source::new(Origin::String, text), Path::new("/"), &options)
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    ast::show(&tree, tree.root(), &mut out);
    Ok(out)
}

/// The text with other white space between some of its tokens, where there is nothing but white space.
fn disturb(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut state: u32 = 0x2545_f491;
    let mut in_string = Vec::new();
    for token in lexemes(text, true) {
        let gap = &text[at..token.start];
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let blank = !gap.is_empty() && gap.iter().all(u8::is_ascii_whitespace);
        match (blank && in_string.last() != Some(&true), state % 8) {
            (true, 0 | 1) => out.extend_from_slice(b" "),
            (true, 2) => out.extend_from_slice(b"\n"),
            (true, 3) => out.extend_from_slice(b"\n\n\t"),
            _ => out.extend_from_slice(gap),
        }
        out.extend_from_slice(&text[token.start..token.end]);
        at = token.end;
        match token.kind {
            TokenKind::Quote if in_string.last() == Some(&true) => drop(in_string.pop()),
            TokenKind::Quote | TokenKind::IndOpen => in_string.push(true),
            TokenKind::IndClose => drop(in_string.pop()),
            TokenKind::LBrace | TokenKind::DollarBrace => in_string.push(false),
            TokenKind::RBrace => drop(in_string.pop()),
            _ => {}
        }
    }
    out.extend_from_slice(&text[at..]);
    out
}
