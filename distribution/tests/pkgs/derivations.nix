# mkDerivation and imported packages: names, outputs, inputs, overrideAttrs, meta.
{
  pkgs,
  lib,
  system,
}:
let
  make = pkgs.stdenv.mkDerivation;
  simple = {
    pname = "p";
    version = "1";
    dontUnpack = true;
  };
  package = make simple;
  fails = value: !(builtins.tryEval value).success;
in
{
  name-from-pname = package.name == "p-1" && lib.hasSuffix "-p-1" package.outPath;
  name-alone = (make { name = "n"; }).name == "n";
  no-name-is-an-error = fails (make { version = "1"; }).drvPath;
  is-a-derivation = lib.isDerivation package && package.type == "derivation";
  builder-is-the-own-shell = lib.hasSuffix "/bin/bash" package.drvAttrs.builder;

  final-attributes =
    (make (final: simple // { both = "${final.pname}-${final.extra}"; extra = "x"; })).both == "p-x";
  final-attributes-see-overrides =
    ((make (final: simple // { copy = final.version; })).overrideAttrs { version = "2"; }).copy == "2";
  final-package = (make (final: simple // { passthru.self = final.finalPackage.name; })).self == "p-1";

  overrideAttrs-function = (package.overrideAttrs (old: { version = old.version + ".1"; })).name == "p-1.1";
  overrideAttrs-set = (package.overrideAttrs { version = "3"; }).name == "p-3";
  overrideAttrs-two-arguments =
    (package.overrideAttrs (final: prev: { version = prev.version + final.tail; tail = "z"; })).version == "1z";
  overrideAttrs-twice =
    ((package.overrideAttrs { a = "1"; }).overrideAttrs (old: { b = old.a; })).b == "1";
  overrideAttrs-keeps-the-rest = (pkgs.hello.overrideAttrs { }).drvPath == pkgs.hello.drvPath;
  overrideAttrs-changes-the-path = (pkgs.hello.overrideAttrs { x = "1"; }).outPath != pkgs.hello.outPath;

  outputs = (make (simple // { outputs = [ "out" "dev" ]; })).dev.outputName == "dev";
  outputs-have-paths =
    let
      p = make (simple // { outputs = [ "out" "dev" ]; });
    in
    p.dev.outPath != p.outPath && p.dev.drvPath == p.drvPath;
  first-output-is-the-package =
    let
      p = make (simple // { outputs = [ "bin" "out" ]; });
    in
    p.outPath == p.bin.outPath;
  inputs-are-development-outputs =
    let
      p = make (simple // { outputs = [ "out" "dev" ]; });
    in
    lib.elem p.dev.outPath (map toString (make (simple // { buildInputs = [ p ]; })).drvAttrs.buildInputs);
  outputs-to-install = (make (simple // { outputs = [ "dev" "out" "man" ]; })).meta.outputsToInstall == [ "out" "man" ];
  null-inputs-are-dropped =
    (make (simple // { buildInputs = [ null ]; })).drvPath == (make (simple // { buildInputs = [ ]; })).drvPath;
  nested-inputs = lib.length (make (simple // { buildInputs = [ [ pkgs.hello ] [ [ pkgs.bash ] ] ]; })).drvAttrs.buildInputs == 2;
  bad-input-is-an-error = fails (make (simple // { buildInputs = [ 1 ]; })).drvPath;
  check-inputs-only-when-checking =
    (make (simple // { nativeCheckInputs = [ pkgs.hello ]; })).drvPath == package.drvPath
    && (make (simple // { doCheck = true; nativeCheckInputs = [ pkgs.hello ]; })).drvAttrs ? nativeBuildInputs;

  env-reaches-the-builder = (make (simple // { env.FOO = "1"; })).drvAttrs.FOO == "1";
  env-and-attribute-clash = fails (make (simple // { env.x = "1"; x = "2"; })).drvPath;
  env-of-a-list-is-an-error = fails (make (simple // { env.x = [ ]; })).drvPath;
  structured = (make (simple // { __structuredAttrs = true; env.A = "1"; })).drvAttrs.env.A == "1";

  passthru = (make (simple // { passthru.thing = 3; })).thing == 3;
  passthru-changes-no-hash = (make (simple // { passthru.thing = 3; })).drvPath == package.drvPath;
  meta-changes-no-hash = (make (simple // { meta.description = "d"; })).drvPath == package.drvPath;
  meta-position = lib.hasInfix "hello/default.nix" pkgs.hello.meta.position;
  main-program = lib.getExe pkgs.hello == "${pkgs.hello}/bin/hello";
  hardening = (make (simple // { hardeningDisable = [ "all" ]; })).drvAttrs.NIX_HARDENING_ENABLE == "";
  unknown-hardening-is-an-error = fails (make (simple // { hardeningDisable = [ "none-such" ]; })).drvPath;

  imported-name = lib.hasPrefix "bash-5" pkgs.bash.name;
  imported-outputs-are-itself = pkgs.nginx.dev.outPath == pkgs.nginx.outPath;
  imported-library-has-headers = pkgs.openssl.dev.outPath != pkgs.openssl.outPath;
  imported-override-of-nothing = (pkgs.nginx.override { }).drvPath == pkgs.nginx.drvPath;
  imported-override-says-why-not = fails (pkgs.nginx.override { withDebug = true; }).drvPath;
  cxx-library = lib.hasInfix "libstdc++" "${pkgs.stdenv.cc.cc.lib}";
  imported-overrideAttrs = (pkgs.nginx.overrideAttrs { version = "9"; }).name == "nginx-9";
  imported-overrideAttrs-spec =
    (pkgs.nginx.overrideAttrs (old: { spec = old.spec // { prune = [ "share/man" ]; }; })).drvPath != pkgs.nginx.drvPath;
  imported-depends-on-its-libraries =
    lib.hasInfix "${pkgs.debian.glibc}" pkgs.bash.drvAttrs.spec;
  node-versions-are-side-by-side =
    lib.length (lib.unique [ pkgs.nodejs_14.outPath pkgs.nodejs_18.outPath pkgs.nodejs_22.outPath ]) == 3;
  node-version-in-the-name = lib.hasSuffix "-nodejs-18.12.0" pkgs.nodejs_18.outPath;
  kernel-modules-folder = lib.hasPrefix "6.1" pkgs.linuxPackages.kernel.modDirVersion;
}
