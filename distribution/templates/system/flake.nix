{
  description = "The configuration of one machine";

  # the distribution that comes with Firn; `nix flake update` takes over a newer one
  inputs.firn.url = "flake:firn";

  outputs =
    { self, firn }:
    {
      # the name is the machine's, as `hostname` says it
      nixosConfigurations.machine = firn.lib.nixosSystem {
        modules = [ ./configuration.nix ];
      };
    };
}
