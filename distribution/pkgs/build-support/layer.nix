# The layer of builders: fetchers, trivial builders, environments, wrappers, text formats, images.
final: prev:
let
  inherit (prev) lib;
  trivial = import ./trivial { inherit lib final; };
  wrappers = import ./wrapper { inherit lib final; };
in
trivial
// wrappers
// import ./rust { inherit lib final; }
// import ./node { inherit lib final; }
// {
  fetchurl = final.callPackage ./fetch/fetchurl.nix {
    # not the overridable packages: fetching must not depend on what overlays do to curl
    inherit (final.debian) curl;
    inherit (final) cacert;
  };
  fetchzip = final.callPackage ./fetch/fetchzip.nix {
    unzip = final.debian.unzip or null;
  };
  inherit
    (import ./fetch/forges.nix {
      inherit lib;
      inherit (final) stdenvNoCC fetchzip cacert;
      inherit (final.debian) git;
    })
    fetchgit
    fetchFromGitHub
    fetchFromGitLab
    ;
  fetchpatch = args: final.fetchurl (removeAttrs args [ "stripLen" "extraPrefix" "excludes" "includes" "revert" "relative" "decode" "hunks" ]);
  fetchpatch2 = final.fetchpatch;
  fetchTarball = builtins.fetchTarball;

  buildEnv = import ./environment/build-env.nix { inherit lib final; };
  symlinkJoin = import ./environment/symlink-join.nix { inherit lib final; };
  mkShell = lib.makeOverridable (import ./environment/mk-shell.nix { inherit lib; } final.stdenv);
  mkShellNoCC = lib.makeOverridable (import ./environment/mk-shell.nix { inherit lib; } final.stdenvNoCC);
  closureInfo = import ./environment/closure-info.nix { inherit lib final; };

  formats = import ./formats { inherit lib final; };

  makeInitrd = import ./images/make-initrd.nix { inherit lib final; };
  makeStage1 = import ./images/stage-1.nix { inherit lib final; };
  makeModulesClosure = import ./images/modules-closure.nix { inherit lib final; };
  makeErofsImage = import ./images/erofs-image.nix { inherit lib final; };

  installShellFiles = final.makeSetupHook { name = "install-shell-files"; } ./wrapper/install-shell-files.sh;

  testers = import ./trivial/testers.nix { inherit lib final; };
}
