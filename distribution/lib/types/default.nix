# Option types: what a value may be, and how several definitions become one.
#
#   base.nix         what a type is made of; merging two types
#   simple.nix       booleans, numbers, packages, paths, raw values
#   text.nix         strings
#   containers.nix   lists and sets
#   submodules.nix   modules as values
#   combinators.nix  types made of other types
{ lib }:
let
  base = import ./base.nix { inherit lib; };
  args = {
    inherit lib base;
    inherit types;
  };
  types =
    base
    // import ./simple.nix args
    // import ./text.nix args
    // import ./containers.nix args
    // import ./submodules.nix args
    // import ./combinators.nix args
    // {
      inherit types;
    };
in
types
