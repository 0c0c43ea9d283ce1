# The Firn binary as a package: the one given as `firnBinary`, the one in the settings (config.firn.binary), or the one beside
# the distribution (bin/firn next to the folder `distribution`). Its other names are links to it.
{
  lib,
  importBinary,
  config,
  firnBinary,
  glibc,
}:
let
  beside = ../../bin/firn;
  binary =
    if firnBinary != null then
      firnBinary
    else if config ? firn.binary then
      config.firn.binary
    else if builtins.pathExists beside then
      beside
    else
      throw "there is no Firn binary to package: pass `firnBinary` to the package set, or set `config.firn.binary` to the path of one";
  # a path outside the store is copied into it under a name that says nothing of where it was
  source =
    if builtins.isPath binary then
      builtins.path {
        name = "firn-binary";
        path = binary;
      }
    else if lib.isStorePath (toString binary) || builtins.isAttrs binary then
      binary
    else
      builtins.path {
        name = "firn-binary";
        path = /. + binary;
      };

  commands = [
    "nix"
    "nix-build"
    "nix-channel"
    "nix-collect-garbage"
    "nix-copy-closure"
    "nix-daemon"
    "nix-env"
    "nix-hash"
    "nix-instantiate"
    "nix-prefetch-url"
    "nix-shell"
    "nix-store"
    "nixos-enter"
    "nixos-generate-config"
    "nixos-install"
    "nixos-option"
    "nixos-rebuild"
    "nixos-version"
    "home-manager"
  ];
in
importBinary {
  pname = "firn";
  version = "0.1.0";
  spec = {
    kind = "binary";
    sources = [ "${source}" ];
    target = "bin/firn";
    executables = [ "bin/firn" ];
    dependencies = [ "${glibc}" ];
    symlinks = lib.listToAttrs (
      map (name: {
        name = "bin/${name}";
        value = "firn";
      }) commands
    );
  };
  meta = {
    description = "Nix and NixOS in one program";
    mainProgram = "firn";
    platforms = [ "x86_64-linux" ];
  };
}
