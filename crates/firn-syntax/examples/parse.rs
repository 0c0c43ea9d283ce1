//! Prints the parsed form of each file named, one after the other, as `nix-instantiate --parse` does.
//!
//! * `--time`: only parse, and say how fast.
//! * `--globals=a,b,…`: also report variables that are neither defined nor among these.
//! * `--out=DIR`: write each result, or its error, to a file of the same name in DIR.

use firn_syntax::{Ast, Options, Origin, ParseError, Source, Symbol, ast, parse, scope};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Arguments {
    time: bool,
    globals: Option<HashSet<Symbol>>,
    out: Option<PathBuf>,
    files: Vec<PathBuf>,
}

fn arguments() -> Arguments {
    let mut found = Arguments::default();
    for arg in std::env::args().skip(1) {
        if arg == "--time" {
            found.time = true;
        } else if let Some(names) = arg.strip_prefix("--globals=") {
            found.globals = Some(names.split(',').map(|n| Symbol::intern(n.as_bytes())).collect());
        } else if let Some(dir) = arg.strip_prefix("--out=") {
            found.out = Some(dir.into());
        } else {
            found.files.push(arg.into());
        }
    }
    found
}

fn checked(
    result: Result<Ast, ParseError>,
    globals: Option<&HashSet<Symbol>>,
) -> Result<Ast, ParseError> {
    let tree = result?;
    if let Some(globals) = globals {
        scope::check(&tree, &|name| globals.contains(&name))?;
    }
    Ok(tree)
}

fn main() -> std::io::Result<()> {
    let arguments = arguments();
    let options = Options::default();
    let (mut bytes, mut failures, mut spent) = (0, 0, Duration::ZERO);
    for name in &arguments.files {
        let path = std::path::absolute(name)?;
        let text = std::fs::read(&path)?;
        bytes += text.len();
        let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let source = Source::new(Origin::Path(path), text);
        let start = Instant::now();
        let result = parse(source, &dir, &options);
        spent += start.elapsed();
        let mut out = Vec::new();
        match checked(result, arguments.globals.as_ref()) {
            Ok(_) if arguments.time => continue,
            Ok(tree) => {
                for warning in tree.warnings() {
                    writeln!(out, "warning: {}", warning.message)?;
                }
                ast::show(&tree, tree.root(), &mut out);
                out.push(b'\n');
            }
            Err(error) => {
                failures += 1;
                for warning in &error.warnings {
                    writeln!(out, "warning: {}", warning.message)?;
                }
                writeln!(out, "error: {error}")?;
            }
        }
        match &arguments.out {
            Some(dir) => std::fs::write(dir.join(name.file_name().unwrap_or_default()), out)?,
            None => std::io::stdout().write_all(&out)?,
        }
    }
    if arguments.time {
        let rate = bytes as f64 / 1e6 / spent.as_secs_f64();
        let count = arguments.files.len();
        let mut err = std::io::stderr();
        writeln!(
            err,
            "{count} files, {bytes} bytes, {failures} failures, {spent:.2?}, {rate:.1} MB/s"
        )?;
    }
    Ok(())
}
