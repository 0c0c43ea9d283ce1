# Tests of the package set by building: each attribute is a derivation that fails when something does not work.
#   nix-build distribution/tests/builds
{
  system ? builtins.currentSystem,
  pkgs ? import ../.. {
    inherit system;
    config = { };
    overlays = [ ];
  },
}:
let
  part = file: import file { inherit pkgs; inherit (pkgs) lib; };
in
part ./programs.nix // part ./compiler.nix // part ./phases.nix // part ./environments.nix // part ./images.nix
