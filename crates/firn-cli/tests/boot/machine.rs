//! The example in a virtual machine that keeps its state.

use crate::world::World;

#[test]
fn a_machine_keeps_its_state() {
    let program = format!("qemu-system-{}", std::env::consts::ARCH);
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|dir| dir.join(&program).is_file()) {
        eprintln!("skipped: '{program}' is not there");
        return;
    }
    // outlives the machine, which is stopped when the world ends
    let state = tempfile::tempdir().unwrap();
    let Some(world) = World::new("boot-test-vm", 18_081) else { return };
    let folder = state.path().to_str().unwrap();
    let options = ["--also", world.second.as_str(), "--state", folder];
    world.boot("--vm", &world.first, &options);
    // a machine that is up answers, without a second try
    let page = world.page().unwrap();
    assert!(page.contains("first generation"), "{page}");
    assert_eq!(world.inside("systemctl list-units --state=failed --plain --no-legend"), "");
    let first = world.inside("readlink /run/current-system");

    let note = "echo kept | tee /var/lib/note /home/alice/note /etc/note";
    assert_eq!(world.inside(note), "kept");
    world.inside("sed -i s,trial/configuration.nix,trial/second.nix, /etc/nixos/configuration.nix");
    // a path that no image of the host has
    let added = world.inside("nix-store --add /etc/note");
    world.inside("nixos-rebuild switch");
    let second = world.inside("readlink /run/current-system");
    assert_ne!(first, second);
    world.stop();

    // the present generation, and everything that was written
    world.boot("--vm", &world.first, &options);
    let page = world.page().unwrap();
    assert!(page.contains("second generation"), "{page}");
    assert_eq!(world.inside("cat /var/lib/note /home/alice/note /etc/note"), "kept\nkept\nkept");
    assert_eq!(world.inside(&format!("nix-store --check-validity {added} && cat {added}")), "kept");
    assert_eq!(world.inside("readlink /run/booted-system"), second);
    assert_eq!(world.inside("nixos-rebuild list-generations").lines().count(), 3);
    assert_eq!(world.inside("systemctl list-units --state=failed --plain --no-legend"), "");
    world.inside("nix-store --verify");
    world.stop();

    // another configuration is a new generation; those before it can still be gone back to, though
    // the image that is made for it has them not
    world.boot("--vm", &world.other, &["--state", folder]);
    assert_eq!(world.inside("uname -n"), "clockwork");
    assert_eq!(world.inside("nixos-rebuild list-generations").lines().count(), 4);
    world.inside("nixos-rebuild switch --rollback");
    assert_eq!(world.inside("readlink /run/current-system; cat /var/lib/note"), second + "\nkept");
}
