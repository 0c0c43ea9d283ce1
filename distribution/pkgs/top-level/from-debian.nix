# Names for users from entries of the lock: a helper of the package layers.
#
#   from { name = "entry"; other = { entry = "…"; mainProgram = "…"; license = …; }; }
# gives packages under nixpkgs' names, each with the meta that the lock cannot know.
{ lib, final }:
let
  inherit (final) debian;

  describe =
    name: given:
    let
      it = if builtins.isString given then { entry = given; } else given;
      package =
        debian.${it.entry}
          or (throw "the package ‘${name}’ is Debian's ‘${it.entry}’, which the lock file does not have");
      meta = removeAttrs it [
        "entry"
        "passthru"
      ];
    in
    package.overrideAttrs (old: {
      meta = old.meta // meta;
      passthru = old.passthru // it.passthru or { };
    });
in
lib.mapAttrs describe
