# Firn as a package: the binary given as `firnBinary`, the one in the settings (config.firn.binary), or the one beside
# the distribution (bin/firn next to the folder `distribution`); its other names are links to it. The distribution comes along,
# laid out the same way, so that a system evaluated inside itself comes to the same paths.
{
  lib,
  importBinary,
  runCommandLocal,
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

  program = importBinary {
    pname = "firn-program";
    version = "0.1.0";
    spec = {
      kind = "binary";
      sources = [ "${source}" ];
      target = "bin/firn";
      executables = [ "bin/firn" ];
      dependencies = [ "${glibc}" ];
    };
  };

  distribution = builtins.path {
    name = "firn-distribution";
    path = ../.;
    filter = path: _: baseNameOf path != "tests";
  };
in
runCommandLocal "firn-0.1.0"
  {
    inherit commands;
    meta = {
      description = "Nix and NixOS in one program";
      mainProgram = "firn";
      platforms = [ "x86_64-linux" ];
    };
  }
  ''
    mkdir -p $out/bin
    cp ${program}/bin/firn $out/bin/firn
    for name in $commands; do ln -s firn $out/bin/$name; done
    cp -r --no-preserve=mode ${distribution} $out/distribution
    # what can be run can still be run
    (cd ${distribution} && find . -type f -perm -0100) | while read -r file; do chmod +x "$out/distribution/$file"; done
  ''
