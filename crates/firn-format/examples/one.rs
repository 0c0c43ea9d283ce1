//! Formats standard input to standard output.
use std::io::{Read as _, Write as _};
fn main() -> std::process::ExitCode {
    let mut text = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut text);
    match firn_format::format(&text, &firn_syntax::Origin::Stdin) {
        Ok(new) => {
            let _ = std::io::stdout().write_all(new.as_bytes());
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
