//! What `nix --help` prints, and what it says to words that it does not know.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::flags::COMMON;
use super::{COMMANDS, Command, FAMILIES, GLOBAL, examples};
use crate::common::legacy::{Failure, Outcome, did_you_mean, usage};

/// The help of a command, a family of commands, or of all; or why there is no command.
pub fn print(out: &mut dyn Write, command: Option<&Command>, words: &str, asked: bool) -> Outcome {
    if let Some(command) = command {
        return one(out, command);
    }
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
        flags(out, GLOBAL.iter().chain(COMMON))?;
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
    let examples = examples::of(command.path);
    if !examples.is_empty() {
        writeln!(out, "\nExamples:")?;
    }
    for (line, about) in examples {
        writeln!(out, "  # {about}\n  $ nix {line}")?;
    }
    if !command.flags.is_empty() {
        writeln!(out, "\nOptions:")?;
    }
    flags(out, command.flags.iter().flat_map(|group| group.iter()))?;
    Ok(())
}

/// `nix __dump-cli`: the table of commands as JSON, in the form of C++ Nix's, for programs that read it.
pub fn dump(out: &mut dyn Write) -> Outcome {
    let mut commands = Map::new();
    for command in COMMANDS {
        let entry = json!({
            "description": command.about,
            "flags": flags_json(command.flags.iter().flat_map(|g| g.iter())),
            "args": command.arguments.split_whitespace().map(|label| {
                let bare = label.trim_matches(['[', ']', '…']);
                json!({
                    "label": bare,
                    "optional": label.starts_with('['),
                    "arity": if label.ends_with('…') { Value::Null } else { 1.into() },
                })
            }).collect::<Vec<_>>(),
        });
        match command.path.split_once(' ') {
            None => commands.insert(command.path.to_owned(), entry),
            Some((family, name)) => {
                let about = FAMILIES.iter().find(|(n, _)| *n == family).map_or("", |(_, a)| a);
                let family = commands
                    .entry(family)
                    .or_insert_with(|| json!({ "description": about, "commands": {} }));
                family["commands"].as_object_mut().and_then(|m| m.insert(name.to_owned(), entry))
            }
        };
    }
    let global = flags_json(GLOBAL.iter().chain(COMMON));
    let text = json!({ "args": { "commands": commands, "flags": global } });
    Ok(writeln!(out, "{text}")?)
}

fn flags_json<'a>(flags: impl Iterator<Item = &'a super::Flag>) -> Value {
    let entry = |f: &super::Flag| {
        let about = json!({
            "description": f.about,
            "labels": f.labels,
            "shortName": f.short.map(String::from),
        });
        (f.long.to_owned(), about)
    };
    Value::Object(flags.map(entry).collect())
}

/// The commands of a family: their last word and what they do.
fn members(family: &str) -> Vec<(&'static str, &'static str)> {
    COMMANDS
        .iter()
        .filter_map(|c| Some((c.path.strip_prefix(family)?.strip_prefix(' ')?, c.about)))
        .collect()
}

fn flags<'a>(out: &mut dyn Write, flags: impl Iterator<Item = &'a super::Flag>) -> Outcome {
    let flags: Vec<&super::Flag> = flags.collect();
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
    let hint = did_you_mean(candidates.into_iter(), last);
    Err(Failure::Usage(format!("'{last}' is not a recognised command{hint}")))
}
