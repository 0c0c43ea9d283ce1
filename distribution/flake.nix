{
  description = "Firn's distribution: a Nix library, packages and system modules";

  outputs =
    { self }:
    let
      systems = [ "x86_64-linux" ];
      forEach =
        f:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = f system;
          }) systems
        );

      lib = (import ./lib).extend (
        final: prev: {
          # a system from modules, as flakes write it: nixosSystem { modules = [ ./configuration.nix ]; }
          nixosSystem =
            { modules, ... }@args:
            import ./nixos/lib/eval-config.nix (
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
      );
    in
    {
      inherit lib;

      legacyPackages = forEach (
        system:
        import ./. {
          inherit system;
          config = { };
          overlays = [ ];
        }
      );
    };
}
