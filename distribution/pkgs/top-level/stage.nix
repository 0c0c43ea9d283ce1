# The first layer: what the set knows about itself. The library, the platform, callPackage, and the ways to make another
# set out of this one.
{
  lib,
  args,
  platform,
  settings,
}:
final: prev:
let
  again = changes: import ./default.nix (args // changes);
in
{
  inherit lib;
  pkgs = final;
  config = settings;
  inherit (args) overlays firnBinary system;

  # one platform plays all three parts, since nothing is cross-compiled
  buildPlatform = platform;
  hostPlatform = platform;
  targetPlatform = platform;

  callPackage = final.newScope { };
  callPackages = lib.callPackagesWith (final // { inherit (final) pkgs; });
  newScope = extra: lib.callPackageWith (final // extra);

  # the stages of a cross-compiling set, all the same here
  buildPackages = final;
  targetPackages = final;
  pkgsBuildBuild = final;
  pkgsBuildHost = final;
  pkgsBuildTarget = final;
  pkgsHostHost = final;
  pkgsHostTarget = final;
  pkgsTargetTarget = final;
  __splicedPackages = final;

  extend = overlay: final.appendOverlays [ overlay ];
  appendOverlays =
    extra: if extra == [ ] then final else again { overlays = args.overlays ++ extra; };

  # a system whose packages are this set: pkgs.nixos { services.nginx.enable = true; … }
  nixos =
    configuration:
    let
      evaluated = import ../../nixos/lib/eval-config.nix {
        inherit lib;
        pkgs = final;
        modules = lib.toList configuration;
      };
    in
    evaluated.config.system.build // evaluated;

  # `path` is where this set was imported from, as nixpkgs has it
  path = ../..;

  # marks a set to look into for packages (nix-env, search)
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
}
