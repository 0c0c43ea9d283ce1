# Evaluation tests of the system modules. `nix-instantiate --eval --strict distribution/tests/nixos` gives "all N hold",
# or fails and names each case with what was found and what was expected. Nothing is built.
let
  tools = import ./tools.nix;
  files = {
    assertions = ./assertions.nix;
    boot = ./boot.nix;
    environment = ./environment.nix;
    examples = ./examples.nix;
    firewall = ./firewall.nix;
    network = ./network.nix;
    nginx = ./nginx.nix;
    nix = ./nix.nix;
    profiles = ./profiles.nix;
    ssh = ./ssh.nix;
    systemd = ./systemd.nix;
    toplevel = ./toplevel.nix;
    users = ./users.nix;
  };
  cases = builtins.concatLists (
    builtins.attrValues (
      builtins.mapAttrs (
        file: path:
        let
          found = import path tools;
        in
        map (name: found.${name} // { name = "${file}.${name}"; }) (builtins.attrNames found)
      ) files
    )
  );
  failed = builtins.filter (case: case.expr != case.expected) cases;
  show = case: "${case.name}\n  found:    ${builtins.toJSON case.expr}\n  expected: ${builtins.toJSON case.expected}";
in
if failed == [ ] then
  "all ${toString (builtins.length cases)} hold"
else
  throw "${toString (builtins.length failed)} of ${toString (builtins.length cases)} cases fail:\n${
    builtins.concatStringsSep "\n" (map show failed)
  }"
