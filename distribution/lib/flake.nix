# What the library has beyond itself when it is a flake's: systems made of modules.
{ self }:
(import ./.).extend (
  final: prev: {
    # nixosSystem { modules = [ ./configuration.nix ]; specialArgs = { … }; }
    nixosSystem =
      { modules, ... }@args:
      import ../nixos/lib/eval-config.nix (
        {
          lib = final;
          # the configuration says it (nixpkgs.hostPlatform), or the caller does
          system = null;
          modules = modules ++ [
            { config.nixpkgs.flake.source = self.outPath; }
          ];
        }
        // removeAttrs args [ "modules" ]
      );
  }
)
