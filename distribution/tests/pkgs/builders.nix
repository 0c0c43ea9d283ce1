# Trivial builders, fetchers, environments: what they make of their arguments.
{
  pkgs,
  lib,
  system,
}:
let
  fails = value: !(builtins.tryEval value).success;
  zero = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  instantiates = drv: lib.hasSuffix ".drv" drv.drvPath;
in
{
  runCommand = instantiates (pkgs.runCommand "x" { a = 1; } "touch $out");
  runCommand-name = (pkgs.runCommand "x" { } "").name == "x";
  writeText-keeps-the-text = (pkgs.writeText "x" "hello").text == "hello";
  writeText-is-stable = (pkgs.writeText "x" "y").outPath == (pkgs.writeText "x" "y").outPath;
  writeTextFile-destination = fails (pkgs.writeTextFile { name = "x"; text = ""; destination = "bin/x"; }).drvPath;
  writeShellScriptBin = lib.getExe (pkgs.writeShellScriptBin "tool" "echo") == "${pkgs.writeShellScriptBin "tool" "echo"}/bin/tool";
  writeShellApplication-path =
    lib.hasInfix "${pkgs.git}/bin" (pkgs.writeShellApplication { name = "x"; runtimeInputs = [ pkgs.git ]; text = "git"; }).text;
  writeShellApplication-is-strict =
    lib.hasInfix "set -o nounset" (pkgs.writeShellApplication { name = "x"; text = ""; }).text;
  linkFarm-list-and-set =
    (pkgs.linkFarm "f" { a = "/x"; }).drvPath == (pkgs.linkFarm "f" [ { name = "a"; path = "/x"; } ]).drvPath;
  linkFarm-later-wins = (pkgs.linkFarm "f" [ { name = "a"; path = "/x"; } { name = "a"; path = "/y"; } ]).entries.a == "/y";
  symlinkJoin = instantiates (pkgs.symlinkJoin { name = "j"; paths = [ pkgs.hello ]; });
  buildEnv = instantiates (pkgs.buildEnv { name = "e"; paths = [ pkgs.hello pkgs.bash ]; pathsToLink = [ "/bin" ]; });
  buildEnv-override = ((pkgs.buildEnv { name = "e"; paths = [ ]; }).override { name = "f"; }).name == "f";
  concatText = instantiates (pkgs.concatText "c" [ ./default.nix ]);
  replaceVars = instantiates (pkgs.replaceVars ./default.nix { a = "b"; });
  substituteAll-of-a-store-file = (pkgs.replaceVars (builtins.toFile "x.sh" "@a@") { a = "b"; }).name == "x.sh";
  closureInfo = instantiates (pkgs.closureInfo { rootPaths = [ pkgs.hello ]; });
  makeInitrd = instantiates (pkgs.makeInitrd { contents = [ ]; });
  makeInitrd-unknown-compressor = fails (pkgs.makeInitrd { contents = [ ]; compressor = "none-such"; }).drvPath;
  makeStage1 = instantiates (pkgs.makeStage1 { kernel = pkgs.linux_cloud; });
  makeErofsImage = instantiates (pkgs.makeErofsImage { storeContents = [ pkgs.hello ]; });

  mkShell = instantiates (pkgs.mkShell { packages = [ pkgs.git ]; });
  mkShell-inputsFrom =
    lib.elem pkgs.git (pkgs.mkShell { inputsFrom = [ (pkgs.mkShell { packages = [ pkgs.git ]; }) ]; }).nativeBuildInputs;
  mkShell-hooks =
    (pkgs.mkShell { inputsFrom = [ (pkgs.mkShell { shellHook = "a"; }) ]; shellHook = "b"; }).shellHook == "a\nb";
  mkShell-variables = (pkgs.mkShell { FOO = "bar"; }).FOO == "bar";
  mkShell-override = ((pkgs.mkShell { }).overrideAttrs { name = "y"; }).name == "y";

  fetchurl-is-a-builtin = (pkgs.fetchurl { url = "mirror://debian/a/b.tar"; hash = zero; }).drvAttrs.builder == "builtin:fetchurl";
  fetchurl-name = (pkgs.fetchurl { url = "https://x.test/a/b.tar?c=d"; hash = zero; }).name == "b.tar";
  fetchurl-fixed-path =
    (pkgs.fetchurl { url = "https://x.test/a"; hash = zero; }).outPath == (pkgs.fetchurl { url = "https://y.test/a"; sha256 = zero; }).outPath;
  fetchurl-base32-and-sri =
    (pkgs.fetchurl { name = "a"; url = "u:a"; sha256 = "0000000000000000000000000000000000000000000000000000"; }).outPath
    == (pkgs.fetchurl { name = "a"; url = "u:a"; hash = zero; }).outPath;
  fetchurl-without-hash-is-an-error = fails (pkgs.fetchurl { url = "https://x.test/a"; }).drvPath;
  fetchurl-empty-hash-evaluates = instantiates (pkgs.fetchurl { url = "https://x.test/a"; hash = ""; });
  fetchzip-hashes-the-tree = (pkgs.fetchzip { url = "https://x.test/a.tar.gz"; hash = zero; }).drvAttrs.outputHashMode == "recursive";
  fetchFromGitHub =
    (pkgs.fetchFromGitHub { owner = "o"; repo = "r"; rev = "v1"; hash = zero; }).url
    == "https://github.com/o/r/archive/v1.tar.gz";
  fetchFromGitHub-tag =
    lib.hasSuffix "/refs/tags/v1.tar.gz" (pkgs.fetchFromGitHub { owner = "o"; repo = "r"; tag = "v1"; hash = zero; }).url;
  fetchFromGitHub-submodules =
    (pkgs.fetchFromGitHub { owner = "o"; repo = "r"; rev = "1"; hash = zero; fetchSubmodules = true; }).url == "https://github.com/o/r.git";
  fetchgit = instantiates (pkgs.fetchgit { url = "https://x.test/r.git"; rev = "1"; hash = zero; });
  fetchpatch = instantiates (pkgs.fetchpatch { url = "https://x.test/p.patch"; hash = zero; });
}
