//! Lines as commands: those that begin with a colon, and everything else.

/// What a line asks for. The texts are what follows the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Nothing was typed.
    Empty,
    /// Bindings or an expression.
    Enter(&'a str),
    /// `:?`
    Help,
    /// `:a`: bind the attributes of a set.
    Add(&'a str),
    /// `:b`, and `:bl` with links to the results.
    Build {
        /// The derivation.
        expr: &'a str,
        /// Whether links are made.
        link: bool,
    },
    /// `:e`: open where a value is written in an editor.
    Edit(&'a str),
    /// `:i`: build and install.
    Install(&'a str),
    /// `:l`: load a file.
    Load(&'a str),
    /// `:lf`: load a flake.
    LoadFlake(&'a str),
    /// `:ll`: the names that were loaded last.
    LastLoaded,
    /// `:p`: print everything.
    Print(&'a str),
    /// `:q`
    Quit,
    /// `:r`: load all files again.
    Reload,
    /// `:sh`: a shell in a derivation's build environment.
    Shell(&'a str),
    /// `:t`: what sort of value it is.
    Type(&'a str),
    /// `:u`: a shell with the package in it.
    Use(&'a str),
    /// `:doc`
    Doc(&'a str),
    /// `:log`
    Log(&'a str),
    /// `:te`: show all steps of errors.
    Trace {
        /// The command as it was typed.
        command: &'a str,
        /// On, off, or the other way.
        wanted: &'a str,
    },
    /// `:bt`: all steps that are under way.
    Backtrace,
    /// `:env`: the names in scope.
    Env,
    /// `:st`: one step.
    Frame(&'a str),
    /// `:s`: go on to the next step.
    Step,
    /// `:c`: go on.
    Continue,
    /// There is no such command.
    Unknown(&'a str),
}

/// All commands with their long forms, for completion. The last are the debugger's.
pub const NAMES: &[&str] = &[
    ":?",
    ":a",
    ":add",
    ":b",
    ":bl",
    ":doc",
    ":e",
    ":edit",
    ":help",
    ":i",
    ":l",
    ":lf",
    ":ll",
    ":last-loaded",
    ":load",
    ":load-flake",
    ":log",
    ":p",
    ":print",
    ":q",
    ":quit",
    ":r",
    ":reload",
    ":sh",
    ":t",
    ":te",
    ":trace-enable",
    ":u",
];

/// Commands that only the debugger has.
pub const DEBUGGER_NAMES: &[&str] =
    &[":backtrace", ":bt", ":c", ":continue", ":env", ":s", ":st", ":step"];

/// What a line asks for; `debugged` in a debugger.
pub fn parse(line: &str, debugged: bool) -> Command<'_> {
    let line = line.trim_matches([' ', '\n', '\r', '\t']);
    if line.is_empty() {
        return Command::Empty;
    }
    if !line.starts_with(':') {
        return Command::Enter(line);
    }
    let (command, rest) = line.split_once([' ', '\n', '\r', '\t']).unwrap_or((line, ""));
    let rest = rest.trim_matches([' ', '\n', '\r', '\t']);
    match command {
        ":?" | ":help" => Command::Help,
        ":bt" | ":backtrace" if debugged => Command::Backtrace,
        ":env" if debugged => Command::Env,
        ":st" if debugged => Command::Frame(rest),
        ":s" | ":step" if debugged => Command::Step,
        ":c" | ":continue" if debugged => Command::Continue,
        ":a" | ":add" => Command::Add(rest),
        ":l" | ":load" => Command::Load(rest),
        ":lf" | ":load-flake" => Command::LoadFlake(rest),
        ":ll" | ":last-loaded" => Command::LastLoaded,
        ":r" | ":reload" => Command::Reload,
        ":e" | ":edit" => Command::Edit(rest),
        ":t" => Command::Type(rest),
        ":u" => Command::Use(rest),
        ":b" => Command::Build { expr: rest, link: false },
        ":bl" => Command::Build { expr: rest, link: true },
        ":i" => Command::Install(rest),
        ":sh" => Command::Shell(rest),
        ":log" => Command::Log(rest),
        ":p" | ":print" => Command::Print(rest),
        ":q" | ":quit" => Command::Quit,
        ":doc" => Command::Doc(rest),
        ":te" | ":trace-enable" => Command::Trace { command, wanted: rest },
        _ => Command::Unknown(command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_make_commands() {
        assert_eq!(parse("  1 + 1\n", false), Command::Enter("1 + 1"));
        assert_eq!(parse(":p  x \n", false), Command::Print("x"));
        assert_eq!(parse(":bl\tx", false), Command::Build { expr: "x", link: true });
        assert_eq!(parse(" \n", false), Command::Empty);
        assert_eq!(parse(":foo bar", false), Command::Unknown(":foo"));
    }

    #[test]
    fn some_commands_are_the_debuggers() {
        assert_eq!(parse(":s", false), Command::Unknown(":s"));
        assert_eq!(parse(":s", true), Command::Step);
        assert_eq!(parse(":st 3", true), Command::Frame("3"));
    }

    #[test]
    fn every_name_is_a_command() {
        for name in NAMES {
            assert!(!matches!(parse(name, false), Command::Unknown(_)), "{name}");
        }
        for name in DEBUGGER_NAMES {
            assert!(!matches!(parse(name, true), Command::Unknown(_)), "{name}");
        }
    }
}
