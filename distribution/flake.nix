{
  description = "Firn's distribution: a Nix library, packages, system modules and templates for projects";

  outputs =
    { self }:
    let
      systems = [ "x86_64-linux" ];
      lib = import ./lib/flake.nix { inherit self; };
      forEach = lib.genAttrs systems;
    in
    {
      inherit lib;

      # the whole set, as `import <nixpkgs> { }` has it, without the user's own settings
      legacyPackages = forEach (
        system:
        import ./. {
          inherit system;
          config = { };
          overlays = [ ];
        }
      );

      # what of it is a package; sets of packages, functions and builders are left out
      packages = forEach (
        system:
        lib.filterAttrs (
          _: value:
          let
            # some cannot be evaluated without a setting
            found = builtins.tryEval (
              lib.isDerivation value && builtins.seq value.drvPath (!(value.meta.broken or false))
            );
          in
          found.success && found.value
        ) self.legacyPackages.${system}
      );

      # `nix develop firn#rust`: the tools of one language, for projects that have no flake
      devShells = forEach (
        system: import ./pkgs/shells.nix { pkgs = self.legacyPackages.${system}; }
      );

      # modules beyond those that every system has
      nixosModules = {
        minimal = ./nixos/modules/profiles/minimal.nix;
        headless = ./nixos/modules/profiles/headless.nix;
        qemu-guest = ./nixos/modules/profiles/qemu-guest.nix;
        notDetected = ./nixos/modules/installer/scan/not-detected.nix;
      };

      # `nix flake init -t firn#rust`
      templates = import ./templates;

      # the tests of the packages, where this is a source tree and not an installation
      checks = forEach (
        system:
        lib.optionalAttrs (builtins.pathExists ./tests/builds) (
          import ./tests/builds { pkgs = self.legacyPackages.${system}; }
        )
      );
    };
}
