{
  description = "Several machines that share most of their configuration";

  # the distribution that comes with Firn; `nix flake update` takes over a newer one
  inputs.firn.url = "flake:firn";

  outputs =
    { self, firn }:
    let
      inherit (firn) lib;
      system = "x86_64-linux";

      # each file in machines/ is one, by its name
      names = map (lib.removeSuffix ".nix") (
        builtins.filter (lib.hasSuffix ".nix") (builtins.attrNames (builtins.readDir ./machines))
      );

      machine =
        name:
        lib.nixosSystem {
          # every module gets these: `{ machines, ... }:`
          specialArgs.machines = import ./network.nix;
          modules = [
            ./common.nix
            (./machines + "/${name}.nix")
            {
              nixpkgs.hostPlatform = system;
              networking.hostName = name;
            }
          ];
        };

      # the system of one machine, which `nix build .#NAME` builds
      toplevel = name: self.nixosConfigurations.${name}.config.system.build.toplevel;
    in
    {
      nixosConfigurations = lib.genAttrs names machine;
      packages.${system} = lib.genAttrs names toplevel;
    };
}
