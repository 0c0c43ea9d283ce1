# What is known of each platform the distribution can build for, under nixpkgs' names. A new platform is an entry in
# `known` and a lock file of its packages (../debian).
{ lib, system }:
let
  known = {
    x86_64-linux = {
      cpu = "x86_64";
      multiarch = "x86_64-linux-gnu";
      dynamicLinker = "ld-linux-x86-64.so.2";
      linuxArch = "x86_64";
      kernelFile = "bzImage";
      efiArch = "x64";
      npmArch = "x64";
      debianArch = "amd64";
      qemuArch = "x86_64";
      ubootArch = "x86_64";
      goArch = "amd64";
    };
  };

  facts =
    known.${system}
      or (throw "the system ‘${system}’ is not supported by this distribution; it can build for: ${builtins.concatStringsSep ", " (builtins.attrNames known)}");

  elaborated = lib.systems.elaborate system;
in
# an unknown system is an error at once, not when some part of it is asked for
builtins.seq facts elaborated
// {
  inherit system;
  config = "${facts.cpu}-unknown-linux-gnu";
  linuxArch = facts.linuxArch;
  efiArch = facts.efiArch;
  qemuArch = facts.qemuArch;
  # what only this distribution's own files read
  firn = facts;
  inherit (facts) multiarch dynamicLinker;
}
