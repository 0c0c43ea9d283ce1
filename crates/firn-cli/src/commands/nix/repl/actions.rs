//! Commands that reach beyond the session: loading, building, editing, shells, logs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use firn_eval::position::PosId;
use firn_eval::{Value, View, Vm, packages};
use firn_model::store_path::StorePath;
use firn_repl::Command;
use firn_syntax::{Symbol, sym};

use super::super::call::Stop;
use super::super::edit::editor;
use super::super::flakes;
use super::lines::{Next, Repl, put, say};
use crate::common::eval::current_dir;
use crate::common::legacy::Failure;

fn message(text: impl Into<String>) -> Stop {
    Stop::Other(Failure::Message(text.into()))
}

impl Repl<'_> {
    /// Carries out the commands that are not the session's own.
    pub(super) fn act(&mut self, vm: &mut Vm, command: Command<'_>) -> Result<Next, Stop> {
        let (Command::Build { expr, .. }
        | Command::Edit(expr)
        | Command::Install(expr)
        | Command::Shell(expr)
        | Command::Use(expr)
        | Command::Log(expr)) = command
        else {
            return Ok(Next::Prompt);
        };
        let Some(value) = self.session.evaluate(vm, expr)? else { return Ok(Next::More) };
        match command {
            Command::Edit(_) => self.edit(vm, value, expr)?,
            Command::Use(_) => {
                let wrap = "drv: (import <nixpkgs> {}).runCommand \"shell\" { buildInputs = [ drv ]; } \"\"";
                let Some(wrap) = self.session.evaluate(vm, wrap)? else { return Ok(Next::More) };
                let wrapped = vm.apply1(wrap, value, PosId::NONE)?;
                let drv = self.derivation(vm, wrapped)?;
                self.run_nix("nix-shell", &[], &drv)?;
            }
            _ => {
                let drv = self.derivation(vm, value)?;
                match command {
                    Command::Build { link, .. } => self.build(&drv, link)?,
                    Command::Install(_) => self.run_nix("nix-env", &["-i"], &drv)?,
                    Command::Shell(_) => self.run_nix("nix-shell", &[], &drv)?,
                    _ => self.log(&drv)?,
                }
            }
        }
        Ok(Next::Prompt)
    }

    /// Loads what the command line named.
    pub fn load_installables(&mut self, vm: &mut Vm) -> Result<(), Stop> {
        let (Some(root), Some(args)) = (self.root, self.args) else { return Ok(()) };
        let mut values = root.values(args);
        for (item, text) in self.loaded.clone() {
            say(&format!("Loading installable '{text}'..."));
            let found = values.get(vm, &item)?;
            let mut value = vm.force(found.value, found.pos)?;
            if root.is_file() {
                value = vm.auto_call(args, value)?;
            }
            self.add(vm, value)?;
        }
        Ok(())
    }

    /// Loads a file.
    pub(super) fn load_file(&mut self, vm: &mut Vm, file: &str) -> Result<(), Stop> {
        self.files.retain(|known| known != file);
        self.files.push(file.to_owned());
        let path = match file.strip_prefix('<').and_then(|s| s.strip_suffix('>')) {
            Some(name) => {
                let search_path = vm.shared.settings.search_path.clone();
                vm.find_file(&search_path, name, PosId::NONE)?
            }
            None => {
                use std::os::unix::ffi::OsStrExt as _;
                let whole = current_dir().join(file);
                let whole = firn_eval::paths::canonical(whole.as_os_str().as_bytes());
                PathBuf::from(std::ffi::OsStr::from_bytes(&whole))
            }
        };
        let mut value = vm.eval_file(&path)?;
        let none = firn_eval::value::SetBuilder::default().finish(&mut vm.heap);
        value = vm.auto_call(self.args.unwrap_or(none), value)?;
        Ok(self.add(vm, value)?)
    }

    /// Loads a flake.
    pub(super) fn load_flake(&mut self, vm: &mut Vm, text: &str) -> Result<(), Stop> {
        if text.is_empty() {
            return Err(message(
                "cannot use ':load-flake' without a path specified. (Use '.' for the current working directory.)",
            ));
        }
        self.flakes.retain(|known| known != text);
        self.flakes.push(text.to_owned());
        let reference = flakes::plain_reference(text)?;
        if vm.shared.settings.pure && !reference.input.is_locked() {
            return Err(message(format!(
                "cannot use ':load-flake' on unlocked flake reference '{text}' (use --impure to override)"
            )));
        }
        let mut locking = self.world.locking.clone();
        locking.no_write = true;
        let locked = locking.lock(vm, &reference)?;
        let value = firn_flake::value_of(vm, &locked)?;
        Ok(self.add(vm, value)?)
    }

    /// Loads everything again.
    pub(super) fn reload(&mut self, vm: &mut Vm) -> Result<(), Stop> {
        vm.forget_files();
        self.session.reset(vm);
        for file in std::mem::take(&mut self.files) {
            say(&format!("Loading {file}..."));
            self.load_file(vm, &file)?;
        }
        self.load_installables(vm)?;
        for flake in std::mem::take(&mut self.flakes) {
            say(&format!("Loading flake '{flake}'..."));
            self.load_flake(vm, &flake)?;
        }
        Ok(())
    }

    /// The derivation that a value is.
    fn derivation(&self, vm: &mut Vm, value: Value) -> Result<StorePath, Stop> {
        let none = || message("expression does not evaluate to a derivation, so I can't build it");
        let value = vm.force(value, PosId::NONE)?;
        let set = value.as_set().ok_or_else(none)?;
        let kind = set.get(Symbol::intern(b"type")).ok_or_else(none)?;
        let kind = vm.force(kind, PosId::NONE)?;
        if kind.as_str().is_none_or(|text| text.bytes() != b"derivation") {
            return Err(none());
        }
        if !set.has(sym::DRV_PATH) {
            return Err(message(
                "expression did not evaluate to a valid derivation (no 'drvPath' attribute)",
            ));
        }
        let drv = packages::Package { attrs: set }.drv_path(vm)?;
        vm.shared.io.flush()?;
        if !self.world.store.is_valid(&drv).map_err(Failure::from)? {
            let shown = vm.store_dir().print(&drv);
            return Err(message(format!("expression evaluated to invalid derivation '{shown}'")));
        }
        Ok(drv)
    }

    fn build(&self, drv: &StorePath, link: bool) -> Result<(), Stop> {
        let results = self.world.build(drv)?;
        let dir = self.world.store.store_dir();
        put("\nThis derivation produced the following outputs:\n");
        for (output, path) in results.outputs.iter().flat_map(|(_, outputs)| outputs) {
            if link {
                let name = format!("repl-result-{output}");
                let at = current_dir().join(&name);
                self.world.store.add_perm_root(path, &at).map_err(Failure::from)?;
                put(format!("  ./{name} -> {}\n", dir.print(path)));
            } else {
                put(format!("  {output} -> {}\n", dir.print(path)));
            }
        }
        Ok(())
    }

    fn log(&self, drv: &StorePath) -> Result<(), Stop> {
        match self.world.store.build_log(drv).map_err(Failure::from)? {
            Some(log) => {
                page(&log);
                Ok(())
            }
            None => {
                let shown = self.world.store.store_dir().print(drv);
                Err(message(format!("build log of '{shown}' is not available")))
            }
        }
    }

    /// Runs another command of this program on a derivation.
    fn run_nix(&self, command: &str, args: &[&str], drv: &StorePath) -> Result<(), Stop> {
        let store = &self.world.store;
        let status = Process::new("/proc/self/exe")
            .arg(command)
            .args(args)
            .arg(store.store_dir().print(drv))
            .env("NIX_REMOTE", store.uri())
            .status()
            .map_err(|e| message(format!("starting '{command}': {e}")))?;
        if status.success() {
            return Ok(());
        }
        Err(message(match status.code() {
            Some(code) => format!("program '{command}' failed with exit code {code}"),
            None => format!("program '{command}' failed due to a signal"),
        }))
    }

    fn edit(&mut self, vm: &mut Vm, value: Value, text: &str) -> Result<(), Stop> {
        let (file, line) = place(vm, value, text)?;
        let (program, args) = editor(&file, line);
        let status = Process::new(&program)
            .args(args)
            .status()
            .map_err(|e| message(format!("cannot run editor '{program}': {e}")))?;
        if !status.success() {
            return Err(message(format!("editor '{program}' failed")));
        }
        self.reload(vm)
    }
}

/// Where a value is written.
fn place(vm: &mut Vm, value: Value, text: &str) -> Result<(PathBuf, u32), Stop> {
    use std::os::unix::ffi::OsStrExt as _;
    let file = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    let unknown = || message(format!("cannot find position information for '{text}'"));
    let pos = match value.view() {
        View::Path(path) => return Ok((file(path.bytes()), 0)),
        View::Str(s) => return Ok((file(s.bytes()), 0)),
        View::Function(f) => f.lambda().params[0].pos,
        View::Partial(p) => p.function().lambda().params[p.args().len()].pos,
        _ => {
            let set = value.as_set().ok_or_else(unknown)?;
            return super::super::edit::position(vm, set)?.ok_or_else(unknown);
        }
    };
    let at = pos.location().ok_or_else(unknown)?;
    match at.path() {
        Some(path) => Ok((path.to_owned(), at.line)),
        None => Err(message(format!("'{at}' cannot be shown in an editor"))),
    }
}

/// Shows a text, in the user's pager on a terminal.
pub(super) fn page(text: &[u8]) {
    let mut whole = text.to_vec();
    if whole.last() != Some(&b'\n') {
        whole.push(b'\n');
    }
    if rustix::termios::isatty(std::io::stdout()) {
        let pager = ["NIX_PAGER", "PAGER"].iter().find_map(|name| std::env::var(name).ok());
        let pager = pager.unwrap_or_else(|| "less -R".to_owned());
        if pager != "cat" && !pager.is_empty() {
            let shell = Path::new("/bin/sh");
            let child = Process::new(shell).arg("-c").arg(&pager).stdin(Stdio::piped()).spawn();
            if let Ok(mut child) = child {
                if let Some(mut input) = child.stdin.take() {
                    // A pager that is left early reads no further.
                    let _ = input.write_all(&whole);
                }
                if child.wait().is_ok_and(|status| status.code() != Some(127)) {
                    return;
                }
            }
        }
    }
    put(whole);
}
