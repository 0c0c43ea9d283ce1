# The derivations of one file of `nixos/`, for `cargo xtask conformance`: `{ NAME = DRVPATH; }`.
#
# A file is a function of what is below to a set of derivations.
{ nixpkgs, file }:
let
  system = "x86_64-linux";
  pkgs = import nixpkgs {
    inherit system;
    config = { };
    overlays = [ ];
  };
  # A tree without its Haskell packages (a snapshot that leaves large files out) has no pandoc.
  whole = {
    nixpkgs.overlays =
      if pkgs.haskellPackages ? pandoc-cli then [ ] else [ (_: previous: { pandoc = previous.hello; }) ];
  };
  evaluate =
    modules:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      inherit system;
      modules = [ whole ] ++ modules;
    };
  base = {
    fileSystems."/" = {
      device = "/dev/disk/by-label/root";
      fsType = "ext4";
    };
    boot.loader.grub.device = "/dev/vda";
    system.stateVersion = "25.11";
  };
in
builtins.mapAttrs (_: derivation: derivation.drvPath) (import file {
  inherit nixpkgs pkgs;
  # The `system.build` of a module by itself.
  bare = module: (evaluate [ module ]).config.system.build;
  # The whole system of a module, on a machine with one disk.
  machine = module: {
    toplevel = (evaluate [ base module ]).config.system.build.toplevel;
  };
})
