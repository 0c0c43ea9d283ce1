//! Manual pages of the commands of `nix`, from the table that parses their command lines: one page each, in
//! the `man` macros of roff, named as C++ Nix names them (`nix3-flake-show.1`).

use std::path::Path;

use super::flags::COMMON;
use super::{COMMANDS, Command, Flag, GLOBAL, examples};
use crate::common::legacy::{Failure, Outcome};

/// Writes all pages into the folder `dir`, which is made if it is missing. Gives how many there are.
pub fn write(dir: &Path) -> Outcome<usize> {
    let failed = |path: &Path, e: &std::io::Error| {
        Failure::Message(format!("cannot write '{}': {e}", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|e| failed(dir, &e))?;
    let mut pages: Vec<(String, String)> = COMMANDS
        .iter()
        .map(|c| (format!("nix3-{}.1", c.path.replace(' ', "-")), page(c)))
        .collect();
    pages.push(("nix.1".to_owned(), overview()));
    for (name, text) in &pages {
        let file = dir.join(name);
        std::fs::write(&file, text).map_err(|e| failed(&file, &e))?;
    }
    Ok(pages.len())
}

/// The page about a command.
fn page(command: &Command) -> String {
    let name = format!("nix {}", command.path);
    let mut text = head(&name.replace(' ', "-").replacen("nix-", "nix3-", 1), &name, command.about);
    text += &format!(
        ".SH SYNOPSIS\n.B {}\n[\\fIoption\\fR…] {}\n",
        escape(&name),
        escape(command.arguments)
    );
    let examples = examples::of(command.path);
    if !examples.is_empty() {
        text += ".SH EXAMPLES\n";
        for (line, about) in examples {
            text += &format!(".TP\n.B nix {}\n{}\n", escape(line), escape(about));
        }
    }
    if !command.flags.is_empty() {
        text += ".SH OPTIONS\n";
        for flag in command.flags.iter().flat_map(|g| g.iter()) {
            text += &option(flag);
        }
    }
    text + &common() + ".SH SEE ALSO\n.BR nix (1)\n"
}

/// The page about `nix` as a whole.
fn overview() -> String {
    let mut text = head("nix", "nix", "build, run, search, inspect");
    text += ".SH SYNOPSIS\n.B nix\n\\fIcommand\\fR [\\fIoption\\fR…] [\\fIargument\\fR…]\n.SH COMMANDS\n";
    for command in COMMANDS {
        text += &format!(
            ".TP\n.BR nix3-{} (1)\n{}\n",
            escape(&command.path.replace(' ', "-")),
            escape(command.about)
        );
    }
    text + &common()
}

fn head(title: &str, name: &str, about: &str) -> String {
    format!(
        ".TH {} 1 \"\" \"Firn {}\"\n.SH NAME\n{} \\- {}\n",
        escape(&title.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        escape(name),
        escape(about)
    )
}

fn common() -> String {
    let flags = GLOBAL.iter().chain(COMMON);
    let options: String = flags.map(option).collect();
    format!(
        ".SH OPTIONS OF ALL COMMANDS\n{options}.PP\nEvery setting is an option too; \
         \\fBnix config show\\fR lists them.\n"
    )
}

fn option(flag: &Flag) -> String {
    let short = flag.short.map_or_else(String::new, |c| format!("\\-{c}, "));
    let labels: String = flag.labels.iter().map(|l| format!(" \\fI{}\\fR", escape(l))).collect();
    format!(".TP\n\\fB{short}\\-\\-{}\\fR{labels}\n{}\n", escape(flag.long), escape(flag.about))
}

/// Text that roff shows as it is.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.chars().next() {
        Some('.' | '\'') => format!("\\&{text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_taken_for_a_request() {
        assert_eq!(escape(".#hello"), "\\&.#hello");
        assert_eq!(escape("a\\b-c"), "a\\eb\\-c");
    }

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let count = write(dir.path()).unwrap();
        assert_eq!(count, COMMANDS.len() + 1);
        let text = std::fs::read_to_string(dir.path().join("nix3-flake-show.1")).unwrap();
        assert!(text.starts_with(".TH NIX3\\-FLAKE\\-SHOW 1"), "{text}");
        assert!(text.contains(".B nix flake show github:NixOS/patchelf"), "{text}");
    }
}
