//! Finds out what a word of a command line is: a command's word, a flag, a flag's value, an argument.

use std::ffi::OsString;

use firn_store::settings::{self, Kind};

use super::super::flags::{COMMON, Flag, Given, REST};
use super::super::{Command, GLOBAL};

/// What the word to be completed is.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// A word of the command's name.
    Word,
    /// A flag.
    Flag,
    /// A value of a flag, counted from 0.
    Value { flag: &'static Flag, index: usize },
    /// The value of a setting that is given as a flag.
    Setting,
    /// An argument.
    Argument,
}

/// A command line that is being written.
pub struct Line {
    pub place: Place,
    /// The words of the command's name.
    pub words: Vec<String>,
    pub command: Option<&'static Command>,
    /// What was given, without the word to be completed.
    pub given: Given,
    /// Flags that all commands have, with their values.
    pub common: Vec<OsString>,
    /// How many arguments stand before the word.
    pub before: usize,
}

impl Line {
    /// Reads `args`, of which number `at` is to be completed.
    pub fn read(args: &[String], at: usize) -> Self {
        let mut line = Self {
            place: Place::Word,
            words: Vec::new(),
            command: None,
            given: Given::default(),
            common: Vec::new(),
            before: 0,
        };
        let mut i = 0;
        let mut only_arguments = false;
        while let Some(arg) = args.get(i) {
            if !only_arguments && arg.starts_with('-') {
                if i == at {
                    line.place = Place::Flag;
                } else if arg == "--" {
                    only_arguments = true;
                } else {
                    i += line.flag(arg, args, i, at);
                }
            } else if i == at {
                line.place = if line.command.is_some() { Place::Argument } else { Place::Word };
                line.before = line.given.args.len();
                // without its command the rest of the line means nothing
                if line.command.is_none() {
                    break;
                }
            } else if line.command.is_some() {
                line.given.args.push(arg.clone());
            } else {
                line.words.push(arg.clone());
                line.command = super::command(&line.words);
            }
            i += 1;
        }
        line
    }

    /// Takes the flag that is number `i` and gives how many values it has.
    fn flag(&mut self, arg: &str, args: &[String], i: usize, at: usize) -> usize {
        let own = self.command.map_or(&[][..], |c| c.flags);
        let known =
            |groups: &[&'static [Flag]]| groups.iter().flat_map(|g| g.iter()).find(|f| f.is(arg));
        let (found, common) = match known(own).or_else(|| known(&[GLOBAL])) {
            Some(flag) => (Some(flag), false),
            None => (known(&[COMMON]), true),
        };
        let values = match found {
            Some(flag) if flag.labels == [REST] => args.len() - i - 1,
            Some(flag) => flag.labels.len(),
            None => usize::from(setting_has_value(arg)),
        };
        let here = i + 1..=i + values;
        if values > 0 && here.contains(&at) {
            self.place = match found {
                Some(flag) => Place::Value { flag, index: at - i - 1 },
                None => Place::Setting,
            };
        } else if let Some(given) = args.get(i + 1..i + 1 + values) {
            match found {
                Some(flag) if !common => self.given.add(flag, given.to_vec()),
                _ => self.common.extend(
                    std::iter::once(arg)
                        .chain(given.iter().map(String::as_str))
                        .map(OsString::from),
                ),
            }
        }
        values
    }
}

/// Whether a setting's name as a flag takes a value.
fn setting_has_value(arg: &str) -> bool {
    let Some(name) = arg.strip_prefix("--") else { return false };
    let name = name.strip_prefix("extra-").unwrap_or(name);
    settings::find(name).is_some_and(|s| !matches!(s.kind, Kind::Bool | Kind::Sandbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, at: usize) -> Line {
        let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Line::read(&args, at - 1)
    }

    #[test]
    fn places_are_told_apart() {
        assert!(matches!(read("fla", 1).place, Place::Word));
        assert!(matches!(read("flake sh", 2).place, Place::Word));
        assert!(matches!(read("build --no", 2).place, Place::Flag));
        assert!(matches!(read("build --cores ", 3).place, Place::Value { index: 0, .. }));
        assert!(matches!(read("build --builders ", 3).place, Place::Setting));
        assert!(matches!(read("build -- -x", 3).place, Place::Argument));
        let line = read("build --override-input a  ./foo -L", 4);
        assert!(matches!(line.place, Place::Value { index: 1, .. }));
        assert_eq!(line.given.args, ["./foo"]);
        let line = read("run --store /x ./foo y", 5);
        assert!(matches!(line.place, Place::Argument));
        assert_eq!((line.before, line.common.len()), (1, 2));
    }
}
