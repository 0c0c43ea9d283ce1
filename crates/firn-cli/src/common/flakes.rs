//! Flakes for evaluating commands: where registries are, and `builtins.getFlake`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_eval::{FlakeLoader, Vm};
use firn_flake::Registries;
use firn_flake::registry::{Entry, Registry, Use};
use firn_model::input::{Attr, FlakeRef};
use firn_store::Settings;
use firn_store::layout::Environment;

/// Where the registries of this user and machine are.
pub fn registries(settings: &Settings, env: &Environment) -> Registries {
    let system = firn_store::settings::conf_file(env).with_file_name("registry.json");
    let global = settings.text("flake-registry");
    let chosen = firn_store::settings::find("flake-registry").is_none_or(|s| s.default != global);
    // `nixpkgs` is the distribution, as `<nixpkgs>` is, where nobody has set up a registry that says otherwise
    let (built_in, fallback): (&[&str], &[&str]) =
        if chosen { (&["firn"], &["nixpkgs"]) } else { (&["firn", "nixpkgs"], &[]) };
    Registries {
        flags: Registry::default(),
        user: env.config_dir().ok().map(|dir| dir.join("registry.json")),
        system: Some(system),
        global: global.to_owned(),
        cache: Some(super::fetch::cache_folder().join("flake-registries")),
        built_in: own_names(built_in),
        fallback: own_names(fallback),
    }
}

/// The tree that the distribution of this program is in, and its folder there.
pub fn own_tree() -> Option<(PathBuf, String)> {
    let place = super::distribution::find().and_then(|path| std::path::absolute(path).ok());
    let distribution = place.filter(|path| path.join("flake.nix").is_file())?;
    // with the program, systems of flakes can have it in them, whose evaluation sees the flake alone
    let installation = distribution.parent().filter(|folder| is_installation(folder));
    Some(match (installation, distribution.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) => (folder.to_owned(), name.to_owned()),
        _ => (distribution, String::new()),
    })
}

/// Names for the distribution that belongs to this program; none where there is no such.
fn own_names(names: &[&str]) -> Registry {
    let Some((tree, dir)) = own_tree() else { return Registry::default() };
    let tree = tree.to_string_lossy();
    let reference = |attrs: &[(&str, &str)]| {
        let attrs = attrs.iter().filter(|(_, text)| !text.is_empty());
        let attrs = attrs.map(|(n, text)| ((*n).to_owned(), Attr::String((*text).to_owned())));
        FlakeRef::from_attrs(attrs.collect(), &|_| true).ok()
    };
    let entry = |name: &&str| {
        let from = reference(&[("type", "indirect"), ("id", name)])?;
        let to = reference(&[("type", "path"), ("path", &tree), ("dir", &dir)])?;
        Some(Entry { from, to, exact: false })
    };
    Registry { entries: names.iter().filter_map(entry).collect() }
}

/// Whether a folder holds a program and its distribution and nothing else, and is thus no more than what it is
/// installed from.
fn is_installation(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let known = |name: &std::ffi::OsStr| name == "bin" || name == "distribution";
    folder.join("bin/firn").is_file()
        && entries.into_iter().all(|entry| entry.is_ok_and(|e| known(&e.file_name())))
}

/// Loads flakes for `builtins.getFlake`.
pub fn loader(registries: Registries) -> FlakeLoader {
    let others = registries.clone();
    let find = move |vm: &Vm, text: &str| {
        let (reference, _) = firn_flake::reference::parse(text, &super::eval::current_dir())?;
        let (input, dir) = others.resolve(vm, &reference.input, Use::All)?;
        let tree = firn_eval::builtins::fetch_input(vm, &input)?;
        let root = tree.root(vm.store_dir());
        vm.shared.io.allow(&root);
        Ok(root.join(dir.unwrap_or(reference.dir)))
    };
    FlakeLoader(
        Arc::new(move |vm, text, pos| firn_flake::call::get_flake(vm, &registries, text, pos)),
        Arc::new(find),
    )
}
