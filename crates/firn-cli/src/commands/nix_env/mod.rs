//! `nix-env`: packages in profiles, and the generations of profiles.
//!
//! | file | holds |
//! | --- | --- |
//! | `item` | a package |
//! | `sources` | where packages come from, and which are meant |
//! | `change` | what changes a profile |
//! | `environment` | the contents of a profile |
//! | `query` | what is printed about packages |

mod change;
mod environment;
mod item;
mod query;
mod sources;

pub use item::split_name;
pub use sources::installed;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use firn_eval::Vm;
use firn_eval::error::render;
use firn_eval::io::EvalIo;
use firn_event::Level;
use firn_store::profile::{self, Which};

use self::change::{Change, Install, Upgrade};
use self::sources::{Source, Sources};
use super::nix::Stop;
use crate::common::build::Workbench;
use crate::common::eval::{EvalArgs, Session, named_file};
use crate::common::legacy::{self, Common, Failure, Outcome, Taken, absolute, fail, usage};
use crate::common::local_time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Install,
    Upgrade,
    Uninstall,
    SetFlag,
    Set,
    Query,
    ListGenerations,
    SwitchGeneration,
    Rollback,
    DeleteGenerations,
    SwitchProfile,
}

/// What the command line said, apart from what all commands share.
#[derive(Default)]
struct Options {
    operation: Option<Operation>,
    profile: Option<String>,
    file: Option<String>,
    force_name: Option<String>,
    system_filter: Option<String>,
    dry_run: bool,
    prebuilt: bool,
    arguments: Vec<String>,
    /// Flags of the operation, with the values of those that have one.
    flags: Vec<(String, Option<String>)>,
    instead: Option<String>,
    eval: EvalArgs,
}

/// Runs `nix-env`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-env", |out| main(args, out))
}

impl Options {
    fn take(&mut self, arg: &str, rest: &mut legacy::Arguments) -> Outcome<Taken> {
        let found = match arg {
            _ if rest.only_arguments() => {
                self.arguments.push(arg.to_owned());
                return Ok(Taken::Yes);
            }
            "--install" | "-i" => Operation::Install,
            "--upgrade" | "-u" => Operation::Upgrade,
            "--uninstall" | "-e" => Operation::Uninstall,
            "--set-flag" => Operation::SetFlag,
            "--set" => Operation::Set,
            "--query" | "-q" => Operation::Query,
            "--list-generations" => Operation::ListGenerations,
            "--switch-generation" | "-G" => Operation::SwitchGeneration,
            "--rollback" => Operation::Rollback,
            "--delete-generations" => Operation::DeleteGenerations,
            "--switch-profile" | "-S" => Operation::SwitchProfile,
            _ => {
                self.take_flag(arg, rest)?;
                return Ok(Taken::Yes);
            }
        };
        if self.operation.is_some_and(|o| o != found) {
            return usage("only one operation may be specified");
        }
        self.operation = Some(found);
        Ok(Taken::Yes)
    }

    fn take_flag(&mut self, arg: &str, rest: &mut legacy::Arguments) -> Outcome {
        match arg {
            "--profile" | "-p" => self.profile = Some(rest.value(arg)?),
            "--file" | "-f" => self.file = Some(rest.value(arg)?),
            "--force-name" => self.force_name = Some(rest.value(arg)?),
            "--system-filter" => self.system_filter = Some(rest.value(arg)?),
            "--dry-run" => self.dry_run = true,
            "--prebuilt-only" | "-b" => self.prebuilt = true,
            "--help" => self.instead = Some(HELP.to_owned()),
            "--version" => {
                self.instead = Some(format!("nix-env (Nix) {}\n", crate::common::NIX_VERSION));
            }
            // these have other meanings elsewhere
            "--system" | "--from-expression" | "-E" => self.flags.push((arg.to_owned(), None)),
            "--from-profile" => {
                let value = rest.value(arg)?;
                self.flags.push((arg.to_owned(), Some(value)));
            }
            "--attr" | "-A" if self.operation == Some(Operation::Query) => {
                let value = rest.value(arg)?;
                self.flags.push((arg.to_owned(), Some(value)));
            }
            "--priority" if self.operation == Some(Operation::Install) => {
                let value = rest.value(arg)?;
                self.flags.push((arg.to_owned(), Some(value)));
            }
            _ if arg.starts_with('-') => {
                let mut values = std::iter::from_fn(|| rest.next_value());
                if !self.eval.take(arg, &mut values).map_err(Failure::Usage)? {
                    self.flags.push((arg.to_owned(), None));
                }
            }
            _ => self.arguments.push(arg.to_owned()),
        }
        Ok(())
    }

    /// What arguments are; flags that say so are taken out.
    fn source(&mut self) -> Outcome<Source> {
        let mut source = Source::Unknown;
        let flags = std::mem::take(&mut self.flags);
        for (flag, value) in flags {
            match flag.as_str() {
                "--from-expression" | "-E" => source = Source::Functions,
                "--attr" | "-A" => source = Source::Attributes,
                "--from-profile" => {
                    source = Source::Profile(absolute(value.unwrap_or_default())?);
                }
                _ => self.flags.push((flag, value)),
            }
        }
        Ok(source)
    }

    fn install(&mut self) -> Outcome<Install> {
        let mut how = Install::default();
        for (flag, value) in std::mem::take(&mut self.flags) {
            match flag.as_str() {
                "--preserve-installed" | "-P" => how.preserve = true,
                "--remove-all" | "-r" => how.remove_all = true,
                "--priority" => match value.unwrap_or_default().parse() {
                    Ok(priority) => how.priority = Some(priority),
                    Err(_) => return usage("'--priority' requires an integer argument"),
                },
                _ => return usage(format!("unknown flag '{flag}'")),
            }
        }
        Ok(how)
    }

    fn upgrade(&mut self) -> Outcome<Upgrade> {
        let mut which = Upgrade::default();
        for (flag, _) in std::mem::take(&mut self.flags) {
            which = match flag.as_str() {
                "--lt" => Upgrade::Newer,
                "--leq" => Upgrade::NotOlder,
                "--eq" => Upgrade::Same,
                "--always" => Upgrade::Always,
                _ => return usage(format!("unknown flag '{flag}'")),
            };
        }
        Ok(which)
    }

    fn no_flags(&self) -> Outcome {
        match self.flags.first() {
            None => Ok(()),
            Some((flag, _)) => usage(format!("unknown flag '{flag}'")),
        }
    }

    fn no_arguments(&self) -> Outcome {
        if self.arguments.is_empty() { Ok(()) } else { usage("no arguments expected") }
    }

    fn one_argument(&self) -> Outcome<&String> {
        match &self.arguments[..] {
            [one] => Ok(one),
            _ => usage("exactly one argument expected"),
        }
    }
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut options = Options::default();
    let common = Common::parse("nix-env", args, |_, arg, rest| options.take(arg, rest))?;
    if let Some(text) = options.instead {
        return Ok(out.write_all(text.as_bytes())?);
    }
    let Some(operation) = options.operation else { return usage("no operation specified") };
    let logger = common.logger();
    if options.dry_run {
        logger.message(Level::Info, "(dry run; not doing anything)");
    }
    match operation {
        Operation::ListGenerations => {
            options.no_flags()?;
            options.no_arguments()?;
            list(&profile_path(&common, options.profile.as_deref())?, out)
        }
        Operation::SwitchGeneration => {
            options.no_flags()?;
            let Ok(number) = options.one_argument()?.parse() else {
                return usage("expected a generation number");
            };
            let profile = profile_path(&common, options.profile.as_deref())?;
            Ok(profile::switch(&profile, Some(number), options.dry_run, &logger)?)
        }
        Operation::Rollback => {
            options.no_flags()?;
            options.no_arguments()?;
            let profile = profile_path(&common, options.profile.as_deref())?;
            Ok(profile::switch(&profile, None, options.dry_run, &logger)?)
        }
        Operation::DeleteGenerations => {
            options.no_flags()?;
            let which = Which::parse(&options.arguments).map_err(|e| match &e {
                firn_store::Error::Profile(text) if !text.starts_with("Must") => {
                    Failure::Usage(text.clone())
                }
                _ => e.into(),
            })?;
            let profile = profile_path(&common, options.profile.as_deref())?;
            Ok(profile::delete(&profile, &which, options.dry_run, &logger)?)
        }
        Operation::SwitchProfile => {
            options.no_flags()?;
            let target = absolute(options.one_argument()?)?;
            let link = if common.settings.bool("use-xdg-base-directories") {
                let dir = common.env.state_dir()?;
                firn_store::fs::create_dirs(&dir)?;
                dir.join("profile")
            } else {
                common.env.home()?.join(".nix-profile")
            };
            Ok(profile::switch_link(&link, &target)?)
        }
        Operation::Install
        | Operation::Upgrade
        | Operation::Uninstall
        | Operation::SetFlag
        | Operation::Set
        | Operation::Query => packages(&common, operation, options, out),
    }
}

/// The operations on packages, all of which evaluate.
fn packages(
    common: &Common,
    operation: Operation,
    mut options: Options,
    out: &mut dyn Write,
) -> Outcome {
    let source = match operation {
        Operation::Install | Operation::Upgrade | Operation::Set => options.source()?,
        _ => Source::Unknown,
    };
    let (mut how, mut which, mut columns) = Default::default();
    match operation {
        Operation::Install => how = options.install()?,
        Operation::Upgrade => which = options.upgrade()?,
        Operation::Query => {
            columns = query::Columns::parse(&options.flags)?;
            columns.prebuilt = options.prebuilt;
        }
        _ => options.no_flags()?,
    }
    let profile = profile_path(common, options.profile.as_deref())?;
    let expression = default_expression(common);
    let store = common.open_store()?;
    let bench =
        Workbench::with(store.clone(), common.build_options(), common.display(), &common.settings);
    let eval = std::mem::take(&mut options.eval);
    let session = Session::with(common.settings.clone(), common.env.clone(), eval);
    let settings = session.eval_settings(operation == Operation::Query);
    let system = settings.system.clone();
    let io: Arc<dyn EvalIo> = Arc::new(bench.io());
    let evaluator = session.evaluator(io, settings);
    let logger = common.logger();
    let keep_derivations = common.settings.bool("keep-env-derivations");
    let mut printed = Vec::new();
    let result = evaluator.complete(|vm: &mut Vm| -> Result<(), Stop> {
        let expression = match &options.file {
            Some(file) => named_file(vm, file)?,
            None => expression?,
        };
        let sources = Sources {
            source,
            expression,
            system_filter: options.system_filter.unwrap_or_else(|| "*".to_owned()),
            system,
            args: session.auto_args(vm)?,
            store: &store,
            substituter: bench.options.substituter.clone(),
            warn: &|text| logger.warn(text),
            tell: &|text| logger.message(firn_event::Level::Notice, text),
        };
        let args = &options.arguments;
        if operation == Operation::Query {
            return query::run(vm, &sources, &profile, &columns, args, &mut printed);
        }
        let change = Change {
            bench: &bench,
            sources,
            profile: &profile,
            dry_run: options.dry_run,
            prebuilt: options.prebuilt,
            force_name: options.force_name,
            keep_derivations,
        };
        match operation {
            Operation::Install => change.install(vm, args, how),
            Operation::Upgrade => change.upgrade(vm, args, which),
            Operation::Uninstall => change.uninstall(vm, args),
            Operation::SetFlag => change.set_flag(vm, args),
            _ => change.set(vm, args),
        }
    });
    out.write_all(&printed)?;
    result.map_err(|stop| match stop {
        Stop::Eval(error) => Failure::Shown(render::render(&error, &session.render_options())),
        Stop::Other(failure) => failure,
    })
}

/// The expression that packages come from if nobody names one. It is made, with links to the channels, if it is
/// not there.
fn default_expression(common: &Common) -> Outcome<PathBuf> {
    let path = if common.settings.bool("use-xdg-base-directories") {
        common.env.state_dir()?.join("defexpr")
    } else {
        common.env.home()?.join(".nix-defexpr")
    };
    if !path.exists() {
        let make = || -> Outcome {
            let layout = firn_store::layout::StoreLayout::from_environment(&common.env)?;
            firn_store::fs::create_dirs(&path)?;
            let own = profile::profiles_dir(&layout, &common.env)?.join("channels");
            firn_store::fs::replace_symlink(&own, &path.join("channels"))?;
            if !common.env.is_root() {
                let root = layout.profiles_dir().join("per-user/root/channels");
                firn_store::fs::replace_symlink(&root, &path.join("channels_root"))?;
            }
            Ok(())
        };
        // a home that cannot be written to is no reason to fail: there may be a --file
        let _ = make();
    }
    Ok(path)
}

/// The profile to work on: `-p`, `NIX_PROFILE`, or the user's own.
fn profile_path(common: &Common, given: Option<&str>) -> Outcome<PathBuf> {
    if let Some(profile) = given {
        return absolute(profile);
    }
    if let Some(profile) = common.env.nonempty("NIX_PROFILE") {
        return absolute(profile);
    }
    let store = common.open_store()?;
    let xdg = common.settings.bool("use-xdg-base-directories");
    Ok(profile::default_profile(store.layout(), &common.env, xdg)?)
}

fn list(profile: &std::path::Path, out: &mut dyn Write) -> Outcome {
    let _lock = profile::lock(profile)?;
    let found = profile::generations(profile)?;
    for generation in found.all {
        let Some(time) = local_time::format(generation.created) else {
            return fail("cannot convert time");
        };
        let current = if Some(generation.number) == found.current { "(current)" } else { "" };
        writeln!(out, "{:>4}   {time}   {current}", generation.number)?;
    }
    Ok(())
}

const HELP: &str = "\
Usage: nix-env [-p PROFILE] OPERATION [FLAG…] [ARGUMENT…]

Packages:
  -i, --install NAME…                     add packages; replaces those of the same names
      -A, --attr                          arguments are attribute paths
      -E, --from-expression               arguments are functions of the expression
      --from-profile PROFILE              arguments are names in another profile
      -P, --preserve-installed            keep packages of the same names
      -r, --remove-all                    remove everything else
      --priority N                        a lower number wins where files collide
  -u, --upgrade [NAME…]                   replace packages by newer ones
      --lt, --leq, --eq, --always         which versions are taken
  -e, --uninstall NAME…                   remove packages
      --set-flag FLAG VALUE NAME…         set active, priority or keep of packages
      --set PACKAGE                       make a package the whole profile
  -q, --query [NAME…]                     list packages
      -a, --available                     those of the expression, not of the profile
      -s, --status, -c, --compare-versions, -P, --attr-path, --system, --drv-path,
      --out-path, --description, --meta   what is shown; --no-name leaves out the name
      --xml, --json                       the format

  -f, --file FILE                         the expression, instead of ~/.nix-defexpr
  -b, --prebuilt-only                     only what need not be built
      --system-filter SYSTEM              only what is for this machine; '*' for all
      --dry-run                           tell what would be done

Generations:
      --list-generations                  list the generations of the profile
      --delete-generations old|+N|Nd|N…   delete generations
  -G, --switch-generation N               make a generation the present one
      --rollback                          go back to the generation before the present one
  -S, --switch-profile PROFILE            make ~/.nix-profile lead to another profile
";
