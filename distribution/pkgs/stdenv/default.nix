# stdenv: the derivation that holds `setup` (sourced by every build, and by nix-shell), with mkDerivation and what else nixpkgs
# has on it.
{
  lib,
  config,
  hostPlatform,
  shellPackage,
  libc,
  initialPath,
  # the wrapped compiler, or null
  cc,
  # programs that every build finds, beside the compiler
  extraTools,
  # attributes that every derivation gets where it does not set them
  defaults ? { },
}@args:
let
  shell = "${shellPackage}/bin/bash";

  parts = [
    ./setup/10-base.sh
    ./setup/20-inputs.sh
    ./setup/30-substitute.sh
    ./setup/40-unpack.sh
    ./setup/50-phases.sh
    ./setup/60-fixup.sh
    ./setup/90-start.sh
  ];

  tools = lib.optional (cc != null) cc ++ extraTools;

  defaultHardening = [
    "bindnow"
    "format"
    "fortify"
    "pic"
    "relro"
    "stackprotector"
    "strictoverflow"
  ];

  header = ''
    # The build environment of Firn's distribution. Sourced, never run.
    export SHELL=${shell}
    shell=${shell}
    initialPath="${lib.concatMapStringsSep " " (p: "${p}") initialPath}"
    defaultNativeBuildInputs="${lib.concatMapStringsSep " " (p: "${p}") tools}"
    : "''${NIX_HARDENING_ENABLE=${lib.concatStringsSep " " defaultHardening}}"
    export NIX_HARDENING_ENABLE
    export GCONV_PATH=${libc}/lib/gconv
  '';

  drv = derivation {
    name = if cc == null then "stdenv-no-cc" else "stdenv";
    inherit (hostPlatform) system;
    builder = shell;
    args = [
      "-e"
      ./assemble.sh
    ];
    inherit header parts initialPath;
    coreutils = builtins.head initialPath;
    passAsFile = [ "header" ];
  };

  mkDerivationPlain = import ./make-derivation.nix { inherit lib config; } stdenv;
  mkDerivation =
    if defaults == { } then
      mkDerivationPlain
    else
      attrs:
      mkDerivationPlain (
        if builtins.isFunction attrs then final: defaults // attrs final else defaults // attrs
      );

  stdenv = drv // {
    inherit
      mkDerivation
      shell
      initialPath
      cc
      defaultHardening
      hostPlatform
      shellPackage
      ;
    inherit (hostPlatform) system;
    buildPlatform = hostPlatform;
    targetPlatform = hostPlatform;
    bintools = if cc == null then null else cc.bintools;
    hasCC = cc != null;
    isLinux = true;
    isDarwin = false;
    isx86_64 = hostPlatform.isx86_64;
    isAarch64 = hostPlatform.isAarch64;
    is64bit = true;
    is32bit = false;
    isi686 = false;
    defaultNativeBuildInputs = tools;
    defaultBuildInputs = [ ];
    extraNativeBuildInputs = extraTools;
    allowedRequisites = null;
    disallowedRequisites = [ ];
    meta = {
      description = "The default build environment";
      platforms = [ hostPlatform.system ];
    };
    override = change: import ./default.nix (args // (if builtins.isFunction change then change args else change));
    withAttrs = more: import ./default.nix (args // { defaults = defaults // more; });
  };
in
stdenv
