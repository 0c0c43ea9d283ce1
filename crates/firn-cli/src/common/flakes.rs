//! Flakes for evaluating commands: where registries are, and `builtins.getFlake`.

use std::sync::Arc;

use firn_eval::FlakeLoader;
use firn_flake::Registries;
use firn_flake::registry::{Entry, Registry};
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
        user: env.config_dir().ok().map(|dir| dir.join("nix/registry.json")),
        system: Some(system),
        global: global.to_owned(),
        built_in: own_names(built_in),
        fallback: own_names(fallback),
    }
}

/// Names for the distribution that belongs to this program; none where there is no such.
fn own_names(names: &[&str]) -> Registry {
    let Some(distribution) = super::distribution::find().filter(|d| d.join("flake.nix").is_file())
    else {
        return Registry::default();
    };
    let Ok(path) = std::path::absolute(distribution) else { return Registry::default() };
    let path = path.to_string_lossy();
    let reference = |attrs: [(&str, &str); 2]| {
        let attrs = attrs.map(|(name, text)| (name.to_owned(), Attr::String(text.to_owned())));
        FlakeRef::from_attrs(attrs.into(), &|_| true).ok()
    };
    let entry = |name: &&str| {
        let from = reference([("type", "indirect"), ("id", name)])?;
        Some(Entry { from, to: reference([("type", "path"), ("path", &path)])?, exact: false })
    };
    Registry { entries: names.iter().filter_map(entry).collect() }
}

/// Loads flakes for `builtins.getFlake`.
pub fn loader(registries: Registries) -> FlakeLoader {
    FlakeLoader(Arc::new(move |vm, text, pos| {
        firn_flake::call::get_flake(vm, &registries, text, pos)
    }))
}
