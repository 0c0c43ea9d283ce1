//! Programs of the user that run before and after builds.

#![allow(missing_docs, clippy::unwrap_used)]

#[macro_use]
mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use common::World;
use firn_build::SandboxMode;
use firn_event::{Event, Level};
use firn_store::Store;

/// A program in the world's folder.
fn program(world: &World, name: &str, script: &str) -> PathBuf {
    let path = world.dir.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_hook_adds_paths_to_a_sandbox() {
    let mut world = world!();
    let dir = world.dir.path().to_owned();
    std::fs::create_dir(dir.join("licence")).unwrap();
    std::fs::write(dir.join("licence/key"), "secret").unwrap();
    let said = dir.join("said");
    let script = format!(
        "echo \"$@\" > {said}; test -d \"$2/nix/store\" || exit 9; echo warned >&2\n\
         echo extra-sandbox-paths; echo /licence={dir}/licence; echo {dir}/licence/key",
        said = said.display(),
        dir = dir.display()
    );
    world.options.pre_build_hook = Some(program(&world, "hook", &script));
    let script =
        format!("read a < /licence/key; read b < {}/licence/key; echo $a $b > $out", dir.display());
    let drv = world.drv("licensed", &script).add();
    // the files end without a line feed, which `read` tells by its status
    assert_eq!(world.text(&drv), "secret secret\n");
    let said = std::fs::read_to_string(said).unwrap();
    let shown = world.store.store_dir().print(&drv);
    let (path, root) = said.trim_end().split_once(' ').unwrap();
    assert_eq!(path, shown);
    assert!(root.ends_with(".chroot/root"), "{root}");
    assert_eq!(world.errors(), ["warned"]);
}

#[test]
fn a_build_does_not_begin_without_its_hook() {
    let mut world = world!();
    let drv = world.drv("x", "echo > $out").add();
    let hook = program(&world, "hook", "");
    world.options.pre_build_hook = Some(hook.clone());
    let told = |script: &str| {
        program(&world, "hook", script);
        world.build(&[&drv]).unwrap_err().message
    };
    let shown = format!("the pre-build-hook '{}'", hook.display());
    let error = told("exit 3");
    assert!(error.contains(&format!("{shown} failed: exit status: 3")), "{error}");
    let error = told("echo format-disk");
    assert!(error.contains(&format!("{shown} gave the unknown command 'format-disk'")), "{error}");
    let error = told("echo extra-sandbox-paths; echo /x=/no/such/file");
    assert!(error.contains("path '/no/such/file', which the pre-build-hook named"), "{error}");
    std::fs::remove_file(&hook).unwrap();
    let error = world.build(&[&drv]).unwrap_err().message;
    assert!(error.contains(&format!("{shown} cannot be run: No such file")), "{error}");
    // without a sandbox there is nothing that it could add to
    let Some(mut world) = World::in_place() else { return };
    world.options.pre_build_hook = Some("/no/such/hook".into());
    assert_eq!(world.options.sandbox, SandboxMode::Off);
    let drv = world.open_drv("y", "echo y > $out").add();
    assert_eq!(world.text(&drv), "y\n");
}

#[test]
fn a_hook_learns_what_was_built() {
    let mut world = world!();
    let said = world.dir.path().join("said");
    let script = format!("echo $DRV_PATH $OUT_PATHS > {}; exit 1", said.display());
    world.options.post_build_hook = Some(program(&world, "hook", &script));
    let drv = world.drv("two", "echo > $out; echo > $b").output("b").add();
    let outputs = world.build(&[&drv]).unwrap().outputs[0].1.clone();
    let dir = world.store.store_dir();
    let wanted = [&drv, &outputs["b"], &outputs["out"]].map(|path| dir.print(path)).join(" ");
    assert_eq!(std::fs::read_to_string(said).unwrap().trim_end(), wanted);
    // its failure is told and is not that of the build
    let events = world.kept.0.lock().unwrap();
    let warned = events.iter().any(|event| {
        matches!(event, Event::Message { level: Level::Warn, text }
            if text.contains("the post-build-hook") && text.contains("failed: exit status: 1"))
    });
    assert!(warned, "{events:?}");
}
