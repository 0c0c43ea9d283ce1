//! What `nix --help` prints, and what it says to words that it does not know.

use std::io::Write;

use super::{COMMANDS, Command, FAMILIES, GLOBAL};
use crate::common::legacy::{Failure, Outcome, usage};

/// The help of a command, a family of commands, or of all; or why there is no command.
pub fn print(out: &mut dyn Write, command: Option<&Command>, words: &str, asked: bool) -> Outcome {
    if let Some(command) = command {
        return one(out, command);
    }
    let words = words.strip_prefix("help").map_or(words, str::trim_start);
    if !asked {
        return if words.is_empty() {
            usage("no subcommand specified")
        } else {
            let mut text = format!("nix {words} requires a sub-command. Available sub-commands:\n");
            for (name, _) in members(words) {
                text.push_str("\n         · ");
                text.push_str(name);
            }
            usage(text)
        };
    }
    if words.is_empty() {
        writeln!(out, "Usage: nix [option…] command [option…] [argument…]\n\nCommands:")?;
        let mut lines: Vec<(&str, &str)> = FAMILIES.to_vec();
        lines.extend(COMMANDS.iter().filter(|c| !c.path.contains(' ')).map(|c| (c.path, c.about)));
        lines.sort_unstable();
        table(out, &lines)?;
        writeln!(out, "\nOptions of all commands, settings among them ('nix config show'):")?;
        flags(out, GLOBAL)?;
        writeln!(out, "\n'nix command --help' tells more.")?;
    } else {
        let about = FAMILIES.iter().find(|(name, _)| *name == words).map_or("", |(_, a)| a);
        writeln!(out, "Usage: nix {words} command [option…] [argument…]\n\n{about}\n\nCommands:")?;
        table(out, &members(words))?;
    }
    Ok(())
}

fn one(out: &mut dyn Write, command: &Command) -> Outcome {
    writeln!(
        out,
        "Usage: nix {} [option…] {}\n\n{}",
        command.path, command.arguments, command.about
    )?;
    if !command.flags.is_empty() {
        writeln!(out, "\nOptions:")?;
    }
    for group in command.flags {
        flags(out, group)?;
    }
    Ok(())
}

/// The commands of a family: their last word and what they do.
fn members(family: &str) -> Vec<(&'static str, &'static str)> {
    COMMANDS
        .iter()
        .filter_map(|c| Some((c.path.strip_prefix(family)?.strip_prefix(' ')?, c.about)))
        .collect()
}

fn flags(out: &mut dyn Write, flags: &[super::Flag]) -> Outcome {
    let names: Vec<String> = flags
        .iter()
        .map(|f| {
            let short = f.short.map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
            let mut name = format!("{short}--{}", f.long);
            for label in f.labels {
                name.push(' ');
                name.push_str(label);
            }
            name
        })
        .collect();
    let lines: Vec<(&str, &str)> =
        names.iter().map(String::as_str).zip(flags.iter().map(|f| f.about)).collect();
    table(out, &lines)
}

fn table(out: &mut dyn Write, lines: &[(&str, &str)]) -> Outcome {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(34);
    for (name, about) in lines {
        writeln!(out, "  {name:width$}  {about}")?;
    }
    Ok(())
}

/// The error for a word that is no command, with those that are like it.
pub fn unknown(words: &[String], known: &[&str]) -> Outcome {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before.join(" ")),
        None => ("", String::new()),
    };
    let mut candidates: Vec<&str> = known
        .iter()
        .copied()
        .chain(FAMILIES.iter().map(|(name, _)| *name))
        .filter_map(|path| {
            let rest = if before.is_empty() {
                path
            } else {
                path.strip_prefix(before.as_str())?.strip_prefix(' ')?
            };
            rest.split(' ').next()
        })
        .collect();
    candidates.sort_unstable();
    candidates.dedup();
    let near =
        firn_eval::error::best_matches(candidates.iter().map(|c| c.as_bytes()), last.as_bytes());
    let mut text = format!("'{last}' is not a recognised command");
    match &near[..] {
        [] => {}
        [one] => text.push_str(&format!("\n       Did you mean {one}?")),
        [first @ .., last] => {
            text.push_str(&format!("\n       Did you mean one of {} or {last}?", first.join(", ")));
        }
    }
    Err(Failure::Usage(text))
}
