//! `nix flake check`: whether the outputs of a flake are what they should be, and whether its checks build.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use firn_build::{BuildError, DerivedPath};
use firn_eval::position::PosId;
use firn_eval::{Error, Value, View, Vm, packages};
use firn_event::{Level, Logger};
use firn_model::StorePath;

use super::{reference, with_flake};
use crate::commands::nix::call::Call;
use crate::commands::nix::flakes::outputs;
use crate::commands::nix::realise;
use crate::common::legacy::{Failure, Outcome, stderr_logger};

/// `nix flake check`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let wanted = reference(call)?;
    let session = call.session()?;
    let keep_going = call.given.has("keep-going") || call.common.settings.bool("keep-going");
    let build = !call.given.has("no-build");
    let mut checker = Checker {
        system: session.eval_settings(true).system,
        all_systems: call.given.has("all-systems"),
        keep_going,
        logger: stderr_logger(call.common.verbosity),
        checks: BTreeMap::new(),
        omitted: BTreeSet::new(),
        errors: Vec::new(),
    };
    let checker = with_flake(call, &wanted, !build, true, |vm, locked| {
        let value = outputs(vm, locked)?;
        for (name, value, pos) in members(vm, value, PosId::NONE)? {
            checker.output(vm, &name, value, pos)?;
        }
        Ok(checker)
    })?;
    for error in &checker.errors {
        let text = firn_eval::error::render::render(error, &session.render_options());
        let _ = std::io::Write::write_all(&mut std::io::stderr(), (text + "\n").as_bytes());
    }
    let mut failed = !checker.errors.is_empty();
    if build && !checker.checks.is_empty() {
        failed |= run_checks(call, &checker)?;
    }
    if failed {
        return Err(Failure::Message("some errors were encountered during the evaluation".into()));
    }
    call.say(Level::Info, "all checks passed!".to_owned());
    if !checker.omitted.is_empty() {
        let systems: Vec<&str> = checker.omitted.iter().map(String::as_str).collect();
        checker.logger.warn(format!(
            "The check omitted these incompatible systems: {}\nUse '--all-systems' to check all.",
            systems.join(", ")
        ));
    }
    Ok(())
}

/// Builds the checks. True if some have failed and the others were built all the same.
fn run_checks(call: &mut Call<'_>, checker: &Checker) -> Outcome<bool> {
    let bench = call.bench()?;
    let all: Vec<DerivedPath> =
        checker.checks.keys().cloned().map(DerivedPath::all_outputs).collect();
    let plan = bench.store.missing(&all, &bench.options, bench.logger()).map_err(Failure::from)?;
    bench
        .logger()
        .message(Level::Info, format!("running {} flake checks...", plan.will_build.len()));
    let run = |wanted: &[DerivedPath]| -> Result<(), BuildError> {
        bench.store.build(wanted, &bench.options, bench.logger()).map(drop)
    };
    if !checker.keep_going {
        run(&all).map_err(|e| realise::failure(&e))?;
        return Ok(false);
    }
    let mut failed = false;
    for (drv, paths) in &checker.checks {
        let Err(error) = run(&[DerivedPath::all_outputs(drv.clone())]) else { continue };
        failed = true;
        let drv = bench.store.store_dir().print(drv);
        for path in paths {
            bench.logger().message(
                Level::Error,
                format!(
                    "failed to build attribute '{path}', build of '{drv}^*' failed: {}",
                    error.message
                ),
            );
        }
    }
    Ok(failed)
}

struct Checker {
    system: String,
    all_systems: bool,
    keep_going: bool,
    logger: Logger,
    /// The derivations to build, and the attributes that they are.
    checks: BTreeMap<StorePath, Vec<String>>,
    omitted: BTreeSet<String>,
    errors: Vec<Error>,
}

impl Checker {
    /// Does a part of the work. If that fails, the error is taken down, or ends everything.
    fn part(
        &mut self,
        vm: &mut Vm,
        pos: PosId,
        what: String,
        work: impl FnOnce(&mut Self, &mut Vm) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.logger.message(Level::Talkative, format!("{what}..."));
        match work(self, vm) {
            Ok(()) => Ok(()),
            Err(e) => {
                let e = e.trace(pos, format!("while {what}"));
                if !self.keep_going {
                    return Err(e);
                }
                self.errors.push(e);
                Ok(())
            }
        }
    }

    fn output(&mut self, vm: &mut Vm, name: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking flake output '{name}'"), |this, vm| {
            let instead = match name {
                "defaultPackage" => Some("packages.<system>.default"),
                "defaultApp" => Some("apps.<system>.default"),
                "defaultTemplate" => Some("templates.default"),
                "defaultBundler" => Some("bundlers.<system>.default"),
                "overlay" => Some("overlays.default"),
                "devShell" => Some("devShells.<system>.default"),
                "nixosModule" => Some("nixosModules.default"),
                _ => None,
            };
            let value = vm.force(value, pos)?;
            if let Some(instead) = instead {
                this.logger.warn(format!(
                    "flake output attribute '{name}' is deprecated; use '{instead}' instead"
                ));
            }
            this.output_of(vm, name, value, pos)
        })
    }

    fn output_of(
        &mut self,
        vm: &mut Vm,
        name: &str,
        value: Value,
        pos: PosId,
    ) -> Result<(), Error> {
        match name {
            "checks" | "packages" | "devShells" | "apps" | "bundlers" => {
                for (system, value, pos) in self.systems(vm, value, pos)? {
                    for (attr, value, pos) in members(vm, value, pos)? {
                        let path = format!("{name}.{system}.{attr}");
                        match name {
                            "apps" => self.app(vm, &path, value, pos)?,
                            "bundlers" => self.bundler(vm, &path, value, pos)?,
                            _ => {
                                let drv = self.derivation(vm, &path, value, pos)?;
                                if let Some(drv) = drv
                                    && name == "checks"
                                    && system == self.system
                                {
                                    self.checks.entry(drv).or_default().push(path.clone());
                                }
                            }
                        }
                    }
                }
            }
            "formatter" | "defaultPackage" | "devShell" | "defaultApp" | "defaultBundler" => {
                for (system, value, pos) in self.systems(vm, value, pos)? {
                    let path = format!("{name}.{system}");
                    match name {
                        "defaultApp" => self.app(vm, &path, value, pos)?,
                        "defaultBundler" => self.bundler(vm, &path, value, pos)?,
                        _ => drop(self.derivation(vm, &path, value, pos)?),
                    }
                }
            }
            "legacyPackages" => drop(self.systems(vm, value, pos)?),
            "overlay" => self.overlay(vm, name, value, pos)?,
            "nixosModule" => self.module(vm, name, value, pos)?,
            "defaultTemplate" => self.template(vm, name, value, pos)?,
            "hydraJobs" => self.hydra(vm, name, value, pos)?,
            "overlays" | "nixosModules" | "nixosConfigurations" | "templates" => {
                for (attr, value, pos) in members(vm, value, pos)? {
                    let path = format!("{name}.{attr}");
                    match name {
                        "overlays" => self.overlay(vm, &path, value, pos)?,
                        "nixosModules" => self.module(vm, &path, value, pos)?,
                        "nixosConfigurations" => self.system_of(vm, &path, value, pos)?,
                        _ => self.template(vm, &path, value, pos)?,
                    }
                }
            }
            "lib"
            | "nixopsConfigurations"
            | "darwinConfigurations"
            | "darwinModules"
            | "flakeModule"
            | "flakeModules"
            | "homeConfigurations"
            | "homeModule"
            | "homeModules"
            | "herculesCI" => {}
            _ => self.logger.warn(format!("unknown flake output '{name}'")),
        }
        Ok(())
    }

    /// The systems in a set that are to be checked.
    fn systems(
        &mut self,
        vm: &mut Vm,
        value: Value,
        pos: PosId,
    ) -> Result<Vec<(String, Value, PosId)>, Error> {
        let mut found = Vec::new();
        for (system, value, pos) in members(vm, value, pos)? {
            if !system.contains('-') {
                let e = Error::other(format!("'{system}' is not a valid system type")).at(pos);
                if !self.keep_going {
                    return Err(e);
                }
                self.errors.push(e);
            }
            if self.all_systems || system == self.system {
                found.push((system, value, pos));
            } else {
                self.omitted.insert(system);
            }
        }
        Ok(found)
    }

    fn derivation(
        &mut self,
        vm: &mut Vm,
        path: &str,
        value: Value,
        pos: PosId,
    ) -> Result<Option<StorePath>, Error> {
        let mut found = None;
        self.logger.message(Level::Talkative, format!("checking derivation {path}..."));
        self.part(vm, pos, format!("checking the derivation '{path}'"), |this, vm| {
            let value = vm.force(value, pos)?;
            let drv = match value.as_set() {
                Some(attrs) if vm.is_derivation(attrs)? => {
                    let package = packages::Package { attrs };
                    package.name(vm)?;
                    package.drv_path(vm)?
                }
                _ => {
                    let text = format!("flake attribute '{path}' is not a derivation");
                    return Err(Error::other(text));
                }
            };
            let shown = vm.store_dir().print(&drv);
            this.logger.message(Level::Talkative, format!("derivation evaluated to {shown}"));
            found = Some(drv);
            Ok(())
        })?;
        Ok(found)
    }

    fn app(&mut self, vm: &mut Vm, path: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the app definition '{path}'"), |this, vm| {
            let all = members(vm, value, pos)?;
            let get = |name: &str| all.iter().find(|(n, _, _)| n == name).map(|(_, v, p)| (*v, *p));
            let Some((kind, at)) = get("type") else {
                return Err(Error::other(format!("app '{path}' lacks attribute 'type'")));
            };
            vm.force_string_no_context(kind, at, "")?;
            let Some((program, at)) = get("program") else {
                return Err(Error::other(format!("app '{path}' lacks attribute 'program'")));
            };
            vm.force_string(program, at, "")?;
            match get("meta") {
                None => this.logger.warn(format!("app '{path}' lacks attribute 'meta'")),
                Some((meta, at)) => {
                    let meta = members(vm, meta, at)?;
                    match meta.iter().find(|(n, _, _)| n == "description") {
                        Some((_, v, at)) => drop(vm.force_string_no_context(*v, *at, "")?),
                        None => this
                            .logger
                            .warn(format!("app '{path}' lacks attribute 'meta.description'")),
                    }
                }
            }
            let known = |n: &str| matches!(n, "type" | "program" | "meta");
            match all.iter().find(|(n, _, _)| !known(n)) {
                None => Ok(()),
                Some((name, _, _)) => {
                    Err(Error::other(format!("app '{path}' has unsupported attribute '{name}'")))
                }
            }
        })
    }

    fn overlay(&mut self, vm: &mut Vm, path: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the overlay '{path}'"), |_, vm| {
            let value = vm.force(value, pos)?;
            if !is_lambda(value) {
                return Err(Error::other(format!(
                    "overlay is not a function, but {} instead",
                    value.describe()
                )));
            }
            let name = firn_eval::builtins::argument(value).map(|n| n.as_str().to_string());
            match name.as_deref() {
                Some("_" | "final" | "_final") => Ok(()),
                _ => Err(Error::other("overlay does not take an argument named 'final'")),
            }
        })
    }

    fn module(&mut self, vm: &mut Vm, path: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the NixOS module '{path}'"), |_, vm| {
            vm.force(value, pos).map(drop)
        })
    }

    fn bundler(&mut self, vm: &mut Vm, path: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the template '{path}'"), |_, vm| {
            let value = vm.force(value, pos)?;
            if is_lambda(value) { Ok(()) } else { Err(Error::other("bundler must be a function")) }
        })
    }

    fn hydra(&mut self, vm: &mut Vm, path: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the Hydra jobset '{path}'"), |this, vm| {
            let all = members(vm, value, pos)?;
            let value = vm.force(value, pos)?;
            if let Some(set) = value.as_set()
                && vm.is_derivation(set)?
            {
                return Err(Error::other("jobset should not be a derivation at top-level"));
            }
            for (name, value, pos) in all {
                let path = format!("{path}.{name}");
                let set = vm.force_set(value, pos, "")?;
                if vm.is_derivation(set)? {
                    this.derivation(vm, &path, value, pos)?;
                } else {
                    this.hydra(vm, &path, value, pos)?;
                }
            }
            Ok(())
        })
    }

    fn system_of(
        &mut self,
        vm: &mut Vm,
        path: &str,
        value: Value,
        pos: PosId,
    ) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the NixOS configuration '{path}'"), |_, vm| {
            let none = firn_eval::value::Set::empty();
            let (top, _) = packages::select(vm, "config.system.build.toplevel", none, value)?;
            match top.as_set() {
                Some(set) if vm.is_derivation(set)? => Ok(()),
                _ => Err(Error::other(
                    "attribute 'config.system.build.toplevel' is not a derivation",
                )),
            }
        })
    }

    fn template(&mut self, vm: &mut Vm, path: &str, value: Value, pos: PosId) -> Result<(), Error> {
        self.part(vm, pos, format!("checking the template '{path}'"), |_, vm| {
            let all = members(vm, value, pos)?;
            let get = |name: &str| all.iter().find(|(n, _, _)| n == name).map(|(_, v, p)| (*v, *p));
            let Some((place, at)) = get("path") else {
                return Err(Error::other(format!("template '{path}' lacks attribute 'path'")));
            };
            let mut context = firn_eval::context::ContextBuilder::new();
            let place = vm.coerce_path(at, place, &mut context, "")?;
            let place = PathBuf::from(String::from_utf8_lossy(&place).into_owned());
            if vm.shared.io.kind(&place).ok().flatten().is_none() {
                return Err(Error::other(format!(
                    "template '{path}' refers to a non-existent path '{}'",
                    place.display()
                )));
            }
            let Some((text, at)) = get("description") else {
                let text = format!("template '{path}' lacks attribute 'description'");
                return Err(Error::other(text));
            };
            vm.force_string_no_context(text, at, "")?;
            let known = |n: &str| matches!(n, "path" | "description" | "welcomeText");
            match all.iter().find(|(n, _, _)| !known(n)) {
                None => Ok(()),
                Some((name, _, _)) => Err(Error::other(format!(
                    "template '{path}' has unsupported attribute '{name}'"
                ))),
            }
        })
    }
}

/// The attributes of what must be a set, with their positions.
fn members(vm: &mut Vm, value: Value, pos: PosId) -> Result<Vec<(String, Value, PosId)>, Error> {
    let set = vm.force_set(value, pos, "")?;
    let mut all: Vec<(String, Value, PosId)> = set
        .iter(&mut vm.heap)
        .map(|(name, v)| (name.as_str().to_string(), v, set.position(name)))
        .collect();
    // C++ Nix lets only these build while it evaluates, and so comes to them first.
    all.sort_by_key(|(name, ..)| name != "hydraJobs");
    Ok(all)
}

/// Whether a value is a function of the language.
fn is_lambda(value: Value) -> bool {
    matches!(value.view(), View::Function(_) | View::Partial(_))
}
