# What the tests share: evaluating a configuration, and looking into texts.
rec {
  lib = import ../../lib;
  evalConfig = import ../../nixos/lib/eval-config.nix;

  # A stand-in for the binary, which these tests never build or run.
  firn = { nixpkgs.config.firn.binary = ./tools.nix; };

  base = {
    fileSystems."/" = {
      device = "/dev/vda1";
      fsType = "ext4";
    };
    boot.loader.grub.device = "/dev/vda";
    networking.hostName = "machine";
    system.stateVersion = "25.11";
  };

  evaluate =
    modules:
    evalConfig {
      system = "x86_64-linux";
      modules = [ firn ] ++ modules;
    };
  # The configuration of a machine that has what is given besides the least.
  machine = module: (evaluate [ base module ]).config;

  # The messages of the assertions that do not hold.
  failures =
    module:
    map (each: each.message) (builtins.filter (each: !each.assertion) (machine module).assertions);

  unit = config: name: config.systemd.units.${name}.text;
  # The values of one key in a unit's text.
  values =
    key: text:
    map (lib.removePrefix "${key}=") (
      builtins.filter (lib.hasPrefix "${key}=") (lib.splitString "\n" text)
    );
  has = lib.hasInfix;
  line = text: wanted: builtins.elem wanted (map lib.trim (lib.splitString "\n" text));
  etc = config: name: config.environment.etc.${name}.text;

  # Whether evaluating throws.
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
}
