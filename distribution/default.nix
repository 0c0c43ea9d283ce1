# Firn's distribution as a function: system, config and overlays → package set.
#
# This file is what `import <nixpkgs>` means where nobody has set up another. It only fills in the impure defaults (the
# machine's system, the user's own config and overlays) and hands over to pkgs/top-level, which is pure.
{
  # the platform to build on and for
  system ? localSystem.system or localSystem,
  localSystem ? builtins.currentSystem,
  crossSystem ? null,
  # settings: an attribute set, a function of the package set, or a file with either
  config ? import ./pkgs/top-level/user-config.nix,
  overlays ? import ./pkgs/top-level/user-overlays.nix,
  # a built Firn binary that `pkgs.firn` packages; by default the one beside this folder
  firnBinary ? null,
  # another library than the distribution's own (for experiments)
  lib ? import ./lib,
}:
let
  here = if builtins.isString system then system else system.system;
  wanted =
    if crossSystem == null then
      here
    else if builtins.isString crossSystem then
      crossSystem
    else
      crossSystem.system or here;
in
if wanted != here then
  throw "cross-compiling (from ${here} to ${wanted}) is not supported by this distribution; set `system` to the platform that builds"
else
  import ./pkgs/top-level {
    inherit
      lib
      config
      overlays
      firnBinary
      ;
    system = here;
  }
