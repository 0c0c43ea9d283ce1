# Evaluates a list of modules together with all of the system modules of this folder.
# The result has `config`, `options`, `pkgs`, `lib` and `extendModules`.
{
  # null when the configuration itself sets nixpkgs.hostPlatform (as flakes do).
  system ? builtins.currentSystem,
  # A finished package set; without it, `nixpkgs.*` options decide how one is made.
  pkgs ? null,
  lib ? import ../../lib,
  baseModules ? import ../modules/module-list.nix,
  extraModules ? [ ],
  modules,
  modulesLocation ? null,
  extraArgs ? { },
  specialArgs ? { },
  check ? true,
  prefix ? [ ],
}:
let
  located =
    if modulesLocation == null then
      modules
    else
      map (lib.setDefaultModuleLocation modulesLocation) modules;

  fromArguments = {
    _file = toString ./eval-config.nix;
    key = toString ./eval-config.nix;
    config = lib.mkMerge [
      (lib.mkIf (system != null) { nixpkgs.system = lib.mkDefault system; })
      (lib.mkIf (pkgs != null) { nixpkgs.pkgs = lib.mkForce pkgs; })
      {
        _module.args = extraArgs // {
          inherit baseModules extraModules modules;
          noUserModules = evaluate [ ];
        };
        _module.check = check;
      }
    ];
  };

  evaluate =
    userModules:
    lib.evalModules {
      class = "nixos";
      inherit prefix;
      modules = baseModules ++ extraModules ++ [ fromArguments ] ++ userModules;
      specialArgs = {
        modulesPath = toString ../modules;
      }
      // specialArgs;
    };

  withPackages =
    evaluated:
    evaluated
    // {
      inherit (evaluated._module.args) pkgs;
      inherit lib extraArgs;
      extendModules = arguments: withPackages (evaluated.extendModules arguments);
    };
in
withPackages (evaluate located)
