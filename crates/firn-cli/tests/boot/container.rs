//! The example in a container.

use crate::world::World;

#[test]
fn web_server_boots_switches_and_rolls_back() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a container needs root");
        return;
    }
    let Some(world) = World::new("boot-test", 18_080) else { return };
    let (first, second) = (world.first.as_str(), world.second.as_str());

    let built = world.firn(&["os", "build", "--container", first, "--also", second]);
    let toplevel = built.lines().next().unwrap();
    let closure = world.firn(&["nix-store", "--query", "--requisites", toplevel]);
    for path in closure.lines() {
        assert!(path.starts_with("/nix/store/"), "{path} is not in the store");
    }

    world.boot("--container", first, &["--also", second]);
    world.page_with("first generation");

    // the system is well, and is what its configuration says
    assert_eq!(world.inside("systemctl list-units --state=failed --plain --no-legend"), "");
    assert_eq!(world.inside("readlink /run/current-system"), toplevel);
    assert_eq!(world.inside("cat /proc/sys/net/core/somaxconn"), "4096");
    assert!(world.inside("id alice").contains("wheel"));
    assert_eq!(world.inside("uname -n"), "web");
    let rules = world.inside("nft list ruleset");
    assert!(rules.contains("tcp dport { 80, 443 } accept"), "{rules}");
    assert!(rules.contains("hook input priority filter; policy drop;"), "{rules}");
    // nothing but these is outside of the store, /etc and what programs write
    assert_eq!(world.inside("find /usr /bin -type l | sort"), "/bin/sh\n/usr/bin/env");
    assert_eq!(world.inside("find /usr /bin ! -type d ! -type l"), "");
    assert_eq!(world.inside("ls / | grep -x -e lib64 -e sbin -e opt || true"), "");

    // the next generation, evaluated and activated inside
    world.inside("sed -i s,trial/configuration.nix,trial/second.nix, /etc/nixos/configuration.nix");
    let dry = world.inside("nixos-rebuild dry-activate 2>&1");
    let new = "would start the following units: time-server.service";
    assert!(dry.lines().any(|l| l == new), "a new unit is not told: {dry}");
    world.inside("nixos-rebuild switch");
    world.page_with("second generation");
    assert_eq!(world.inside("systemctl list-units --state=failed --plain --no-legend"), "");
    assert_eq!(world.inside("node-18 --version; node-14 --version"), "v18.12.0\nv14.21.3");
    let again = world.inside("nixos-rebuild dry-activate 2>&1");
    assert!(!again.contains("would"), "the same configuration changes something: {again}");

    // and back
    world.inside("nixos-rebuild switch --rollback");
    world.page_with("first generation");
    assert_eq!(world.inside("readlink /run/current-system"), toplevel);
    let generations = world.inside("nixos-rebuild list-generations");
    assert_eq!(generations.lines().count(), 3, "{generations}");

    // what cannot be built changes nothing
    world.inside("echo '{ services.nginx.enabel = true; }' > /tmp/bad.nix");
    let bad = "nixos-rebuild switch -I nixos-config=/tmp/bad.nix 2>&1; echo code $?";
    let said = world.inside(bad);
    assert!(said.contains("services.nginx.enabel") && said.ends_with("code 1"), "{said}");
    assert_eq!(world.inside("readlink /run/current-system"), toplevel);
}
