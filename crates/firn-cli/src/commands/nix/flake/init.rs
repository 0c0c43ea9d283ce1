//! `nix flake init` and `nix flake new`: files from a template of a flake.

use std::path::{Path, PathBuf};

use firn_eval::context::ContextBuilder;
use firn_eval::position::PosId;
use firn_event::Level;

use super::{get, with_flake};
use crate::commands::nix::call::{Call, Stop};
use crate::commands::nix::flags::{Flag, option};
use crate::commands::nix::flakes::{find, outputs};
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome, fail, usage};

/// Flags of both commands.
pub const FLAGS: &[Flag] =
    &[option("template", Some('t'), &["template"], "the template, such as 'templates#rust'")];

/// `nix flake init`.
pub fn init(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    make(call, &current_dir())
}

/// `nix flake new`.
pub fn new(call: &mut Call<'_>) -> Outcome {
    let [dir] = &call.given.args[..] else {
        return usage("required argument 'dest-dir' is missing");
    };
    let dir = current_dir().join(dir);
    make(call, &dir)
}

fn make(call: &mut Call<'_>, target: &Path) -> Outcome {
    let text = call.given.value("template").unwrap_or("templates").to_owned();
    let (reference, fragment) = firn_flake::reference::parse(&text, &current_dir())
        .map_err(|e| Failure::Message(e.message().to_owned()))?;
    let candidates = match fragment.as_str() {
        "" => vec!["templates.default".to_owned(), "defaultTemplate".to_owned()],
        name => vec![format!("templates.{name}"), name.to_owned()],
    };
    let (source, welcome) = with_flake(call, &reference, true, false, |vm, locked| {
        let value = outputs(vm, locked)?;
        let shown = firn_flake::lock_file::url_of(&reference);
        let (value, attr) = find(vm, value, &shown, &candidates)?;
        let Some(path) = get(value, "path") else {
            return Err(Stop::Other(Failure::Message(format!(
                "template '{attr}' lacks attribute 'path'"
            ))));
        };
        let mut context = ContextBuilder::new();
        let what = "while evaluating the path of a template";
        // as it is in the flake's tree: nothing needs to be copied
        let path = vm.coerce(PosId::NONE, path, &mut context, what, false, false, true)?;
        let path = PathBuf::from(String::from_utf8_lossy(&path).into_owned());
        let welcome = match get(value, "welcomeText") {
            Some(v) => {
                let v = vm.force(v, PosId::NONE)?;
                v.as_str().map(|s| String::from_utf8_lossy(s.bytes()).into_owned())
            }
            None => None,
        };
        Ok((vm.shared.io.real(&path), welcome))
    })?;
    let mut plan = Plan::default();
    plan.look(&source, target).map_err(|e| Failure::Message(e.to_string()))?;
    if !plan.conflicts.is_empty() {
        for file in &plan.conflicts {
            call.say(
                Level::Error,
                format!("refusing to overwrite existing file {file:?}; please merge it manually"),
            );
        }
    }
    for (from, to) in &plan.copies {
        copy(from, to).map_err(|e| Failure::Message(format!("writing '{}': {e}", to.display())))?;
        call.say(Level::Notice, format!("wrote: {to:?}"));
    }
    // a flake in a Git repository consists of the files that Git knows
    if target.ancestors().any(|dir| dir.join(".git").exists()) && !plan.copies.is_empty() {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(target).args(["add", "--intent-to-add", "--force", "--"]);
        git.args(plan.copies.iter().map(|(_, to)| to));
        let done = git.status().is_ok_and(|status| status.success());
        if !done {
            call.say(Level::Warn, "the new files could not be added to Git's index".to_owned());
        }
    }
    if !plan.conflicts.is_empty() {
        return fail(format!("encountered {} conflicts - see above", plan.conflicts.len()));
    }
    if let Some(text) = welcome {
        call.say(Level::Notice, format!("\n{}\n", text.trim_end()));
    }
    Ok(())
}

/// What is to be copied, and what is in the way.
#[derive(Default)]
struct Plan {
    copies: Vec<(PathBuf, PathBuf)>,
    conflicts: Vec<PathBuf>,
}

impl Plan {
    fn look(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
        let mut entries: Vec<_> = std::fs::read_dir(from)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if entry.file_type()?.is_dir() {
                self.look(&from, &to)?;
            } else if to.symlink_metadata().is_err() {
                self.copies.push((from, to));
            } else if !same(&from, &to) {
                self.conflicts.push(to);
            }
        }
        Ok(())
    }
}

/// Copies a tree to a place where nothing is, so that the user can write to it.
pub fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut plan = Plan::default();
    std::fs::create_dir_all(to)?;
    plan.look(from, to)?;
    plan.copies.iter().try_for_each(|(from, to)| copy(from, to))
}

fn same(a: &Path, b: &Path) -> bool {
    match (std::fs::read_link(a), std::fs::read_link(b)) {
        (Ok(a), Ok(b)) => a == b,
        (Err(_), Err(_)) => {
            matches!((std::fs::read(a), std::fs::read(b)), (Ok(a), Ok(b)) if a == b)
        }
        _ => false,
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let meta = from.symlink_metadata()?;
    if meta.is_symlink() {
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    std::fs::write(to, std::fs::read(from)?)?;
    let mode = if meta.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode))
}
