# Names for users from entries of the lock: a helper of the package layers.
#
#   from { name = "entry"; other = { entry = "…"; mainProgram = "…"; passthru = { … }; … }; }
# gives packages under nixpkgs' names, each with the meta that the lock cannot know. A name whose entry the lock does not have
# is not in the set, so that `pkgs ? name` tells the truth.
{ final, prev }:
let
  inherit (prev) lib;

  complete = given: if builtins.isString given then { entry = given; } else given;

  describe =
    name: it:
    final.debian.${it.entry}.overrideAttrs (old: {
      meta =
        old.meta
        // removeAttrs it [
          "entry"
          "passthru"
        ];
      passthru = old.passthru // it.passthru or { };
    });
in
names:
lib.mapAttrs describe (lib.filterAttrs (_: it: prev.debian ? ${it.entry}) (lib.mapAttrs (_: complete) names))
