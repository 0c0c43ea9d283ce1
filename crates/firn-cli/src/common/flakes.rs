//! Flakes for evaluating commands: where registries are, and `builtins.getFlake`.

use std::sync::Arc;

use firn_eval::FlakeLoader;
use firn_flake::Registries;
use firn_flake::registry::Registry;
use firn_store::Settings;
use firn_store::layout::Environment;

/// Where the registries of this user and machine are.
pub fn registries(settings: &Settings, env: &Environment) -> Registries {
    let system = firn_store::settings::conf_file(env).with_file_name("registry.json");
    Registries {
        flags: Registry::default(),
        user: env.config_dir().ok().map(|dir| dir.join("nix/registry.json")),
        system: Some(system),
        global: settings.text("flake-registry").to_owned(),
    }
}

/// Loads flakes for `builtins.getFlake`.
pub fn loader(registries: Registries) -> FlakeLoader {
    FlakeLoader(Arc::new(move |vm, text, pos| {
        firn_flake::call::get_flake(vm, &registries, text, pos)
    }))
}
