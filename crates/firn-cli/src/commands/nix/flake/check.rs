//! `nix flake check`: whether the outputs of a flake are what they should be, and whether its checks build.

use firn_build::DerivedPath;
use firn_eval::position::PosId;
use firn_eval::{Error, Value, View, Vm, packages};
use firn_event::{Level, Logger};
use firn_model::StorePath;

use super::{attributes, get, reference, with_flake};
use crate::commands::nix::call::{Call, Stop};
use crate::commands::nix::flakes::outputs;
use crate::commands::nix::realise;
use crate::common::legacy::{Failure, Outcome, stderr_logger};

/// `nix flake check`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let wanted = reference(call)?;
    let session = call.session()?;
    let mut checker = Checker {
        system: session.eval_settings(true).system,
        all_systems: call.given.has("all-systems"),
        keep_going: call.given.has("keep-going"),
        logger: stderr_logger(call.common.verbosity),
        checks: Vec::new(),
        omitted: Vec::new(),
        errors: Vec::new(),
    };
    let checker = with_flake(call, &wanted, false, |vm, locked| {
        let value = outputs(vm, locked)?;
        for (name, value) in attributes(vm, value) {
            checker.logger.message(Level::Talkative, format!("checking flake output '{name}'..."));
            if let Err(e) = checker.output(vm, &name, value) {
                checker.failed(e)?;
            }
        }
        Ok(checker)
    })?;
    for error in &checker.errors {
        let text = firn_eval::error::render::render(error, &session.render_options());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), (text + "\n").as_bytes());
    }
    if !call.given.has("no-build") && !checker.checks.is_empty() {
        call.say(Level::Info, format!("running {} flake checks...", checker.checks.len()));
        let wanted: Vec<DerivedPath> =
            checker.checks.iter().cloned().map(DerivedPath::all_outputs).collect();
        call.bench()?.build(&wanted).map_err(|e| realise::failure(&e))?;
    }
    if !checker.errors.is_empty() {
        return Err(Failure::Message("some errors were encountered during the evaluation".into()));
    }
    if !checker.omitted.is_empty() {
        let mut systems = checker.omitted.clone();
        systems.sort();
        systems.dedup();
        call.say(
            Level::Warn,
            format!(
                "The check omitted these incompatible systems: {}\nUse '--all-systems' to check all.",
                systems.join(", ")
            ),
        );
    }
    call.say(Level::Notice, "all checks passed!".to_owned());
    Ok(())
}

struct Checker {
    system: String,
    all_systems: bool,
    keep_going: bool,
    logger: Logger,
    checks: Vec<StorePath>,
    omitted: Vec<String>,
    errors: Vec<Error>,
}

impl Checker {
    /// Takes an error down, or ends with it.
    fn failed(&mut self, stop: Stop) -> Result<(), Stop> {
        match stop {
            Stop::Eval(error) if self.keep_going => {
                self.errors.push(error);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn output(&mut self, vm: &mut Vm, name: &str, value: Value) -> Result<(), Stop> {
        let traced = |e: Stop| match e {
            Stop::Eval(e) => {
                Stop::Eval(e.trace(PosId::NONE, format!("while checking flake output '{name}'")))
            }
            other => other,
        };
        self.output_of(vm, name, value).map_err(traced)
    }

    fn output_of(&mut self, vm: &mut Vm, name: &str, value: Value) -> Result<(), Stop> {
        let value = vm.force(value, PosId::NONE)?;
        match name {
            "checks" | "packages" | "devShells" | "apps" => {
                for (system, value) in self.systems(vm, value)? {
                    let value = vm.force(value, PosId::NONE)?;
                    for (attr, value) in attributes(vm, value) {
                        let path = format!("{name}.{system}.{attr}");
                        let done = if name == "apps" {
                            app(vm, &path, value)
                        } else {
                            self.derivation(vm, &path, value).map(|drv| {
                                if name == "checks" && system == self.system {
                                    self.checks.push(drv);
                                }
                            })
                        };
                        if let Err(e) = done {
                            self.failed(e)?;
                        }
                    }
                }
            }
            "formatter" | "defaultPackage" | "devShell" => {
                for (system, value) in self.systems(vm, value)? {
                    self.derivation(vm, &format!("{name}.{system}"), value)?;
                }
            }
            "defaultApp" => {
                for (system, value) in self.systems(vm, value)? {
                    app(vm, &format!("{name}.{system}"), value)?;
                }
            }
            "legacyPackages" => {
                self.systems(vm, value)?;
            }
            "overlay" => overlay(vm, name, value)?,
            "overlays" => {
                for (attr, value) in attributes(vm, value) {
                    overlay(vm, &format!("{name}.{attr}"), value)?;
                }
            }
            "nixosModule" => module(vm, name, value)?,
            "nixosModules" => {
                for (attr, value) in attributes(vm, value) {
                    module(vm, &format!("{name}.{attr}"), value)?;
                }
            }
            "nixosConfigurations" => {
                for (attr, value) in attributes(vm, value) {
                    let path = format!("{name}.{attr}");
                    if let Err(e) = self.system_of(vm, &path, value) {
                        self.failed(e)?;
                    }
                }
            }
            "templates" => {
                for (attr, value) in attributes(vm, value) {
                    template(vm, &format!("{name}.{attr}"), value)?;
                }
            }
            "defaultTemplate" => template(vm, name, value)?,
            "lib"
            | "hydraJobs"
            | "nixopsConfigurations"
            | "darwinConfigurations"
            | "darwinModules"
            | "flakeModule"
            | "flakeModules"
            | "homeConfigurations"
            | "homeModule"
            | "homeModules"
            | "herculesCI"
            | "bundlers"
            | "defaultBundler" => {}
            _ => self.logger.warn(format!("unknown flake output '{name}'")),
        }
        Ok(())
    }

    /// The systems in a set that are to be checked.
    fn systems(&mut self, vm: &mut Vm, value: Value) -> Result<Vec<(String, Value)>, Stop> {
        let value = vm.force(value, PosId::NONE)?;
        if value.as_set().is_none() {
            return Err(Error::type_error(format!(
                "expected a set but found {}",
                value.describe()
            ))
            .into());
        }
        let mut found = Vec::new();
        for (system, value) in attributes(vm, value) {
            if !system.contains('-') {
                return Err(Error::other(format!("'{system}' is not a valid system type")).into());
            }
            if self.all_systems || system == self.system {
                found.push((system, value));
            } else {
                self.omitted.push(system);
            }
        }
        Ok(found)
    }

    fn derivation(&mut self, vm: &mut Vm, path: &str, value: Value) -> Result<StorePath, Stop> {
        self.logger.message(Level::Talkative, format!("checking derivation {path}..."));
        let mut check = || -> Result<StorePath, Error> {
            let value = vm.force(value, PosId::NONE)?;
            match value.as_set() {
                Some(set) if vm.is_derivation(set)? => {
                    packages::Package { attrs: set }.drv_path(vm)
                }
                _ => Err(Error::other(format!("flake attribute '{path}' is not a derivation"))),
            }
        };
        let drv = check()
            .map_err(|e| e.trace(PosId::NONE, format!("while checking the derivation '{path}'")))?;
        self.logger.message(
            Level::Talkative,
            format!("derivation evaluated to {}", vm.store_dir().print(&drv)),
        );
        Ok(drv)
    }

    fn system_of(&mut self, vm: &mut Vm, path: &str, value: Value) -> Result<(), Stop> {
        self.logger.message(Level::Talkative, format!("checking NixOS configuration '{path}'..."));
        let mut at = value;
        for step in ["config", "system", "build", "toplevel"] {
            at = vm.force(at, PosId::NONE)?;
            at = get(at, step).ok_or_else(|| {
                Error::other(format!(
                    "attribute '{path}.config.system.build.toplevel' is not a derivation"
                ))
            })?;
        }
        let at = vm.force(at, PosId::NONE)?;
        match at.as_set() {
            Some(set) if vm.is_derivation(set)? => Ok(()),
            _ => Err(Error::other(format!(
                "attribute '{path}.config.system.build.toplevel' is not a derivation"
            ))
            .into()),
        }
    }
}

fn is_function(value: Value) -> bool {
    matches!(
        value.view(),
        View::Function(_) | View::Partial(_) | View::Builtin(_) | View::Applied(_)
    )
}

fn app(vm: &mut Vm, path: &str, value: Value) -> Result<(), Stop> {
    let value = vm.force(value, PosId::NONE)?;
    let text = |vm: &mut Vm, name: &str| -> Result<Option<String>, Stop> {
        let Some(v) = get(value, name) else { return Ok(None) };
        let v = vm.force(v, PosId::NONE)?;
        Ok(v.as_str().map(|s| String::from_utf8_lossy(s.bytes()).into_owned()))
    };
    if text(vm, "type")?.as_deref() != Some("app") {
        return Err(Error::other(format!(
            "app '{path}' lacks attribute 'type' or it is not 'app'"
        ))
        .into());
    }
    match text(vm, "program")? {
        Some(_) => Ok(()),
        None => Err(Error::other(format!("app '{path}' lacks attribute 'program'")).into()),
    }
}

fn overlay(vm: &mut Vm, path: &str, value: Value) -> Result<(), Stop> {
    let value = vm.force(value, PosId::NONE)?;
    if is_function(value) {
        return Ok(());
    }
    Err(Error::type_error(format!(
        "overlay '{path}' is not a function, but {} instead",
        value.describe()
    ))
    .into())
}

fn module(vm: &mut Vm, path: &str, value: Value) -> Result<(), Stop> {
    let value = vm.force(value, PosId::NONE)?;
    if is_function(value)
        || value.as_set().is_some()
        || matches!(value.view(), View::Path(_) | View::Str(_))
    {
        return Ok(());
    }
    Err(Error::type_error(format!(
        "NixOS module '{path}' is {}, but should be a set, a function or a path",
        value.describe()
    ))
    .into())
}

fn template(vm: &mut Vm, path: &str, value: Value) -> Result<(), Stop> {
    let value = vm.force(value, PosId::NONE)?;
    for (name, v) in attributes(vm, value) {
        vm.force(v, PosId::NONE)?;
        if !matches!(name.as_str(), "path" | "description" | "welcomeText") {
            return Err(Error::other(format!(
                "template '{path}' has unsupported attribute '{name}'"
            ))
            .into());
        }
    }
    for name in ["path", "description"] {
        if get(value, name).is_none() {
            return Err(Error::other(format!("template '{path}' lacks attribute '{name}'")).into());
        }
    }
    Ok(())
}
