//! The options of `nixos-rebuild`: its own, and those that go on to the build.

use std::path::PathBuf;

/// What `--help` prints.
pub const HELP: &str = "\
Usage: nixos-rebuild ACTION [OPTION…]

Actions:
  switch            build the configuration, make it the boot default, and activate it
  boot              build the configuration and make it the boot default
  test              build the configuration and activate it, but keep the boot default
  build             build the configuration and link it as ./result
  dry-build         show what would be built
  dry-activate      build the configuration and show what activating it would change
  build-vm          build a virtual machine that runs the configuration
  list-generations  list the generations of the system
  edit              open the configuration in $EDITOR

Options:
  --rollback                 go back to the generation before the present one instead of building
  -p, --profile-name NAME    use the profile NAME beside the system's own
  -c, --specialisation NAME  activate a specialisation of the configuration
  -f, --file FILE            take the configuration from an attribute of FILE …
  -A, --attr ATTRIBUTE       … namely this one
  --json                     list generations as JSON
  -I, --option, --arg, --argstr, -j, --cores, -k, -K, -L, -v, --show-trace, … are those of nix-build
";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Build, make the default, activate.
    Switch,
    /// Build and make the default.
    Boot,
    /// Build and activate.
    Test,
    /// Build.
    Build,
    /// Say what would be built.
    DryBuild,
    /// Say what activating would change.
    DryActivate,
    /// Build a machine that runs it.
    BuildVm,
    /// List the generations.
    ListGenerations,
    /// Open it in an editor.
    Edit,
    /// Look into it.
    Repl,
}

/// The parsed command line.
#[derive(Debug)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Go back instead of building.
    pub rollback: bool,
    /// List as JSON.
    pub json: bool,
    /// Another profile's name.
    pub profile_name: Option<String>,
    /// A specialisation to activate.
    pub specialisation: Option<String>,
    /// A file with the configuration in it.
    pub file: Option<PathBuf>,
    /// Where in the file.
    pub attribute: Option<String>,
    /// Arguments that go on to `nix-build`.
    pub passed: Vec<String>,
}

/// Options of `nix-build` with the number of values they take.
const PASSED: &[(&str, usize)] = &[
    ("-I", 1),
    ("--include", 1),
    ("--option", 2),
    ("--arg", 2),
    ("--argstr", 2),
    ("-j", 1),
    ("--max-jobs", 1),
    ("--cores", 1),
    ("--builders", 1),
    ("--log-format", 1),
    ("--store", 1),
    ("-k", 0),
    ("--keep-going", 0),
    ("-K", 0),
    ("--keep-failed", 0),
    ("-L", 0),
    ("--print-build-logs", 0),
    ("-Q", 0),
    ("--no-build-output", 0),
    ("--quiet", 0),
    ("-v", 0),
    ("-vv", 0),
    ("-vvv", 0),
    ("--verbose", 0),
    ("--show-trace", 0),
    ("--fallback", 0),
    ("--repair", 0),
    ("--impure", 0),
    ("--offline", 0),
];

impl Options {
    /// Parses the command line.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut action = None;
        let mut options = Self {
            action: Action::Build,
            rollback: false,
            json: false,
            profile_name: None,
            specialisation: None,
            file: None,
            attribute: None,
            passed: Vec::new(),
        };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let mut value =
                || rest.next().cloned().ok_or_else(|| format!("the option '{arg}' needs a value"));
            match arg.as_str() {
                "--rollback" => options.rollback = true,
                "--json" => options.json = true,
                "-p" | "--profile-name" => options.profile_name = Some(value()?),
                "-c" | "--specialisation" => options.specialisation = Some(value()?),
                "-f" | "--file" => options.file = Some(PathBuf::from(value()?)),
                "-A" | "--attr" => options.attribute = Some(value()?),
                "--fast" | "--no-build-nix" | "--no-reexec" => {}
                "--flake" => {
                    return Err(
                        "flakes are not supported by this version; use -f FILE -A ATTRIBUTE".into(),
                    );
                }
                "--target-host" | "--build-host" => {
                    return Err(format!(
                        "'{arg}' is not supported by this version: run nixos-rebuild on that machine"
                    ));
                }
                "--install-bootloader" => {
                    return Err("installing a boot loader is not supported by this version".into());
                }
                "--upgrade" | "--upgrade-all" => {
                    return Err(format!(
                        "'{arg}' is not supported by this version: there are no channels yet"
                    ));
                }
                _ if arg.starts_with('-') => {
                    let Some((_, count)) = PASSED.iter().find(|(name, _)| name == arg) else {
                        return Err(format!(
                            "'{arg}' is not an option of nixos-rebuild; see 'nixos-rebuild --help'"
                        ));
                    };
                    options.passed.push(arg.clone());
                    for _ in 0..*count {
                        let next = rest.next();
                        options.passed.push(
                            next.cloned().ok_or_else(|| {
                                format!("the option '{arg}' needs {count} value(s)")
                            })?,
                        );
                    }
                }
                word if action.is_none() => action = Some(parse_action(word)?),
                other => return Err(format!("unexpected argument '{other}'")),
            }
        }
        options.action = action.ok_or_else(|| format!("no action was given\n\n{HELP}"))?;
        Ok(options)
    }

    /// The profile whose generations are meant.
    pub fn profile(&self) -> PathBuf {
        match self.profile_name.as_deref() {
            None | Some("system") => PathBuf::from("/nix/var/nix/profiles/system"),
            Some(name) => PathBuf::from("/nix/var/nix/profiles/system-profiles").join(name),
        }
    }
}

fn parse_action(word: &str) -> Result<Action, String> {
    Ok(match word {
        "switch" => Action::Switch,
        "boot" => Action::Boot,
        "test" => Action::Test,
        "build" => Action::Build,
        "dry-build" | "dry-run" => Action::DryBuild,
        "dry-activate" => Action::DryActivate,
        "build-vm" => Action::BuildVm,
        "list-generations" => Action::ListGenerations,
        "edit" => Action::Edit,
        "repl" => Action::Repl,
        "build-image" | "build-vm-with-bootloader" => {
            return Err(format!("the action '{word}' is not supported by this version"));
        }
        _ => return Err(format!("unknown action '{word}'; see 'nixos-rebuild --help'")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn own_options_and_those_that_go_on() {
        let o = parse("switch -I a=b --option cores 2 --rollback -L").unwrap();
        assert_eq!(o.action, Action::Switch);
        assert!(o.rollback);
        assert_eq!(o.passed, ["-I", "a=b", "--option", "cores", "2", "-L"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(parse("swich").unwrap_err().contains("unknown action 'swich'"));
        assert!(parse("switch --nope").unwrap_err().contains("'--nope' is not an option"));
        assert!(parse("switch --option cores").unwrap_err().contains("needs 2 value(s)"));
        assert!(parse("--rollback").unwrap_err().contains("no action was given"));
    }
}
