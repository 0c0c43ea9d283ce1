//! Flakes for evaluating commands: where registries are, and `builtins.getFlake`.

use std::path::PathBuf;
use std::sync::Arc;

use firn_eval::{FlakeLoader, Vm};
use firn_flake::Registries;
use firn_flake::registry::{Registry, Use};
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
    let others = registries.clone();
    let find = move |vm: &Vm, text: &str| {
        let (reference, _) = firn_flake::reference::parse(text, &super::eval::current_dir())?;
        let (input, dir) = others.resolve(vm, &reference.input, Use::All)?;
        let tree = firn_eval::builtins::fetch_input(vm, &input)?;
        let root = PathBuf::from(vm.store_dir().print(&tree.path));
        vm.shared.io.allow(&root);
        Ok(root.join(dir.unwrap_or(reference.dir)))
    };
    FlakeLoader(
        Arc::new(move |vm, text, pos| firn_flake::call::get_flake(vm, &registries, text, pos)),
        Arc::new(find),
    )
}
