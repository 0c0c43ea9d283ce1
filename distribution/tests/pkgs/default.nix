# Tests of the package set by evaluation alone: name → whether it holds. `failed` lists those that do not, and `ok` is true when
# there are none:   nix-instantiate --eval distribution/tests/pkgs -A ok
{
  system ? "x86_64-linux",
  pkgs ? import ../.. {
    inherit system;
    config = { };
    overlays = [ ];
  },
}:
let
  inherit (pkgs) lib;
  parts = [
    ./overlays.nix
    ./derivations.nix
    ./builders.nix
    ./projects.nix
    ./formats.nix
    ./settings.nix
  ];
  cases = builtins.foldl' (all: part: all // import part { inherit pkgs lib system; }) { } parts;
  holds =
    name:
    let
      tried = builtins.tryEval cases.${name};
    in
    tried.success && tried.value == true;
  failed = builtins.filter (name: !holds name) (builtins.attrNames cases);
in
{
  inherit cases failed;
  count = builtins.length (builtins.attrNames cases);
  ok = failed == [ ] || throw "tests of the package set that fail: ${builtins.concatStringsSep ", " failed}";
}
