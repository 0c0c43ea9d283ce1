# A whole system from one configuration: `import <firn/nixos> { configuration = ./configuration.nix; }`.
# Without arguments it is the configuration that NIX_PATH names nixos-config.
{
  configuration ? <nixos-config>,
  system ? builtins.currentSystem,
  specialArgs ? { },
}:
let
  evaluated = import ./lib/eval-config.nix {
    inherit system specialArgs;
    modules = [ configuration ];
  };
in
{
  inherit (evaluated) config options pkgs;
  system = evaluated.config.system.build.toplevel;
  vm = evaluated.config.system.build.vm;
}
