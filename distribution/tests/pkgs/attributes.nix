# Every top-level package's derivation path, as a set: two evaluators must print the same.
#   nix-instantiate --eval --strict --json distribution/tests/pkgs/attributes.nix
let
  system = "x86_64-linux";
  # any file stands for the binary
  pkgs = import ../.. {
    inherit system;
    config = { };
    overlays = [ ];
    firnBinary = ./attributes.nix;
  };
  drvPath =
    name:
    let
      tried = builtins.tryEval (
        let
          value = pkgs.${name};
        in
        if builtins.isAttrs value && value.type or "" == "derivation" then value.drvPath else null
      );
    in
    if tried.success then tried.value else "fails";
  present = builtins.filter (e: e.value != null) (
    map (name: {
      inherit name;
      value = drvPath name;
    }) (builtins.attrNames pkgs)
  );
in
builtins.listToAttrs present // builtins.mapAttrs (_: p: p.drvPath) pkgs.debian
