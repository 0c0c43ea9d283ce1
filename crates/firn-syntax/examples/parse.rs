//! Prints the parsed form of each file named, one after the other, as `nix-instantiate --parse` does.
//!
//! With `--time` as the first argument it only parses, and says how fast.

use firn_syntax::{Options, Origin, Source, ast, parse};
use std::io::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let time_only = args.first().is_some_and(|a| a == "--time");
    if time_only {
        args.remove(0);
    }
    let options = Options { pipe_operators: true, ..Options::default() };
    let mut out = Vec::new();
    let (mut bytes, mut failures, mut spent) = (0, 0, std::time::Duration::ZERO);
    for name in &args {
        let path = std::path::absolute(Path::new(name))?;
        let text = std::fs::read(&path)?;
        bytes += text.len();
        let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let source = Source::new(Origin::Path(path), text);
        let start = std::time::Instant::now();
        let result = parse(source, &dir, &options);
        spent += start.elapsed();
        match result {
            Ok(tree) if time_only => {
                std::hint::black_box(tree.len());
            }
            Ok(tree) => {
                ast::show(&tree, tree.root(), &mut out);
                out.push(b'\n');
                std::io::stdout().write_all(&out)?;
                out.clear();
            }
            Err(error) => {
                failures += 1;
                writeln!(std::io::stderr(), "error: {error}")?;
            }
        }
    }
    if time_only {
        let rate = bytes as f64 / 1e6 / spent.as_secs_f64();
        writeln!(
            std::io::stderr(),
            "{} files, {bytes} bytes, {failures} failures, {spent:.2?}, {rate:.1} MB/s",
            args.len()
        )?;
    }
    Ok(())
}
