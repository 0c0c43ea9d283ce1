# The fixed point: overlays, extend, callPackage, override.
{
  pkgs,
  lib,
  system,
}:
let
  with-overlays = overlays: import ../.. { inherit system overlays; config = { }; };
  rename = name: final: prev: { hello = prev.hello.overrideAttrs { inherit name; }; };
in
{
  overlays-apply-in-order = (with-overlays [ (rename "a") (rename "b") ]).hello.name == "b";
  overlay-sees-the-final-set =
    (with-overlays [
      (final: prev: { first = final.second; })
      (final: prev: { second = 2; })
    ]).first == 2;
  overlay-sees-what-was-before =
    (with-overlays [ (final: prev: { nodejs = prev.nodejs_14; }) ]).nodejs.version == "14.21.3";
  alias-follows-an-overlay =
    (with-overlays [ (final: prev: { nodejs_22 = prev.nodejs_18; }) ]).nodejs.version == "18.12.0";
  overlay-of-bash-leaves-the-build-tools-alone =
    (with-overlays [ (final: prev: { bash = prev.hello; }) ]).hello.drvPath == pkgs.hello.drvPath;
  extend = (pkgs.extend (rename "x")).hello.name == "x";
  appendOverlays-nothing = (pkgs.appendOverlays [ ]).hello.drvPath == pkgs.hello.drvPath;
  extend-keeps-earlier-overlays =
    ((with-overlays [ (final: prev: { one = 1; }) ]).extend (final: prev: { two = final.one + 1; })).two == 2;
  package-overrides =
    (import ../.. {
      inherit system;
      overlays = [ ];
      config.packageOverrides = p: { hello = p.hello.overrideAttrs { name = "over"; }; };
    }).hello.name == "over";
  config-as-function =
    (import ../.. {
      inherit system;
      overlays = [ ];
      config = { pkgs, ... }: { allowUnfree = true; };
    }).config.allowUnfree;

  callPackage-fills-in-arguments =
    pkgs.callPackage ({ hello, lib, given }: hello.pname + given) { given = "!"; } == "hello!";
  callPackage-prefers-what-is-given = pkgs.callPackage ({ hello }: hello) { hello = 1; } == 1;
  callPackage-override =
    ((pkgs.callPackage ({ hello, n ? 1 }: { inherit n; }) { }).override { n = 5; }).n == 5;
  newScope = (pkgs.newScope { special = 7; } ({ special }: { v = special; }) { }).v == 7;
  hello-can-be-overridden = (pkgs.hello.override { stdenv = pkgs.stdenv.withAttrs { dontStrip = true; }; }).drvPath != pkgs.hello.drvPath;

  unknown-system-is-an-error =
    !(builtins.tryEval (import ../.. { system = "m68k-linux"; config = { }; overlays = [ ]; }).hello.drvPath).success;
  cross-compiling-is-an-error =
    !(builtins.tryEval (import ../.. { inherit system; crossSystem = "aarch64-linux"; config = { }; overlays = [ ]; }).hello.drvPath).success;
  same-platform-is-not-cross =
    (import ../.. { inherit system; crossSystem = { inherit system; }; config = { }; overlays = [ ]; }).hello.drvPath == pkgs.hello.drvPath;
}
