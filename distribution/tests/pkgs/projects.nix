# Builders of Rust, npm and Python projects: what they fetch, and what they refuse.
{
  pkgs,
  lib,
  system,
}:
let
  fails = value: !(builtins.tryEval value).success;
  zero = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  sum = lib.concatStrings (lib.genList (_: "0") 64);
  instantiates = drv: lib.hasSuffix ".drv" drv.drvPath;

  crates = contents: pkgs.rustPlatform.importCargoLock { lockFileContents = contents; };
  fromRegistry = ''
    version = 4
    [[package]]
    name = "mine"
    version = "1.0.0"
    [[package]]
    name = "theirs"
    version = "2.0.0"
    source = "registry+https://github.com/rust-lang/crates.io-index"
    checksum = "${sum}"
  '';
  fromGit = ''
    version = 4
    [[package]]
    name = "thing"
    version = "1.0.0"
    source = "git+https://x.test/thing?branch=main#0123456789012345678901234567890123456789"
  '';
  rust =
    more:
    pkgs.rustPlatform.buildRustPackage (
      {
        pname = "p";
        version = "1";
        src = ./.;
      }
      // more
    );

  npm = packageLock: pkgs.importNpmLock { package = { name = "@scope/p"; version = "1"; }; inherit packageLock; };
  # the folders that are filled, as the builder reads them
  folders =
    deps:
    map (line: builtins.elemAt (lib.splitString " " line) 1) (
      builtins.filter (line: line != "") (lib.splitString "\n" deps.drvAttrs.archives)
    );
  package = {
    version = "1.0.0";
    resolved = "https://registry.npmjs.test/a/-/a-1.0.0.tgz";
    integrity = zero;
  };
in
{
  cargo-lock-fetches-what-is-not-the-project =
    lib.hasPrefix "theirs-2.0.0 ${sum} /nix/store/" (crates fromRegistry).drvAttrs.crates;
  cargo-lock-has-its-packages = lib.length (crates fromRegistry).packages == 2;
  cargo-git-crate-needs-a-hash = fails (crates fromGit).drvPath;
  cargo-git-crate = instantiates (
    pkgs.rustPlatform.importCargoLock {
      lockFileContents = fromGit;
      outputHashes."thing-1.0.0" = zero;
    }
  );
  cargo-git-crate-replaces-its-source =
    lib.hasInfix ''[source."git+https://x.test/thing?branch=main"]''
      (pkgs.rustPlatform.importCargoLock {
        lockFileContents = fromGit;
        outputHashes."thing-1.0.0" = zero;
      }).drvAttrs.config;
  cargo-other-registries-are-refused =
    fails
      (crates (
        lib.replaceStrings [ "https://github.com/rust-lang/crates.io-index" ] [ "https://x.test/index" ] fromRegistry
      )).drvPath;
  rust-package-says-where-its-crates-come-from = fails (rust { }).drvPath;
  rust-package-by-lock = instantiates (rust { cargoLock.lockFileContents = fromRegistry; });
  rust-package-by-hash = (rust { cargoHash = zero; }).cargoDeps.drvAttrs.outputHash == zero;
  rust-package-by-function =
    (pkgs.rustPlatform.buildRustPackage (final: {
      pname = "p";
      version = "2";
      src = ./.;
      cargoHash = zero;
      passthru.again = final.version;
    })).again == "2";
  rust-package-types = (rust { cargoHash = zero; buildType = "debug"; }).drvAttrs.cargoCheckType == "debug";
  rust-package-tests-by-default = (rust { cargoHash = zero; }).drvAttrs.doCheck;
  rust-package-refuses-nextest = fails (rust { cargoHash = zero; useNextest = true; }).drvPath;
  rust-platform-of-other-tools =
    ((pkgs.makeRustPlatform { inherit (pkgs) cargo rustc; }).buildRustPackage {
      pname = "p";
      version = "1";
      src = ./.;
      cargoHash = zero;
    }).drvPath == (rust { cargoHash = zero; }).drvPath;

  npm-new-lock =
    folders (npm {
      lockfileVersion = 3;
      packages = {
        "" = { };
        "node_modules/a" = package;
        "node_modules/a/node_modules/@s/b" = package;
        # a part of the project, and the link to it
        "parts/x".version = "1";
        "node_modules/x" = {
          resolved = "parts/x";
          link = true;
        };
        "node_modules/bundled" = {
          inBundle = true;
        };
      };
    }) == [
      "node_modules/a"
      "node_modules/a/node_modules/@s/b"
    ];
  npm-links-to-parts =
    (npm {
      packages."node_modules/x" = {
        resolved = "parts/x";
        link = true;
      };
    }).drvAttrs.links == "node_modules/x parts/x\n";
  npm-other-platforms-are-not-fetched =
    folders (npm {
      packages = {
        "node_modules/darwin" = package // { os = [ "darwin" ]; };
        "node_modules/linux" = package // { os = [ "linux" "darwin" ]; };
        "node_modules/not-windows" = package // { os = [ "!win32" ]; };
        "node_modules/not-linux" = package // { os = [ "!linux" ]; };
        "node_modules/arm" = package // { cpu = [ "arm64" ]; };
      };
    }) == [
      "node_modules/linux"
      "node_modules/not-windows"
    ];
  npm-old-lock =
    folders (npm {
      lockfileVersion = 1;
      dependencies.a = package // {
        dependencies.b = package;
      };
    }) == [
      "node_modules/a"
      "node_modules/a/node_modules/b"
    ];
  npm-package-without-hash-is-an-error = fails (npm { packages."node_modules/a" = removeAttrs package [ "integrity" ]; }).drvPath;
  npm-package-without-address-is-an-error = fails (npm { packages."node_modules/a" = removeAttrs package [ "resolved" ]; }).drvPath;
  npm-scoped-name = (npm { packages = { }; }).name == "p-1-npm-deps";
  npm-package-of-another-node =
    lib.elem pkgs.nodejs_14
      (pkgs.buildNpmPackage {
        pname = "p";
        version = "1";
        nodejs = pkgs.nodejs_14;
        npmDepsHash = zero;
      }).nativeBuildInputs;
  npm-package-override =
    (pkgs.buildNpmPackage.override { nodejs = pkgs.nodejs_18; } {
      pname = "p";
      version = "1";
      npmDepsHash = zero;
    }).nodejs.version == pkgs.nodejs_18.version;

  python-application = instantiates (
    pkgs.python3Packages.buildPythonApplication {
      pname = "p";
      version = "1";
      pyproject = true;
      build-system = [ pkgs.python3Packages.setuptools ];
      src = ./.;
    }
  );
  python-unknown-format-is-an-error =
    fails
      (pkgs.python3Packages.buildPythonPackage {
        pname = "p";
        version = "1";
        format = "egg";
      }).drvPath;
  python-libraries-propagate =
    lib.elem pkgs.python3Packages.wheel
      (pkgs.python3Packages.buildPythonPackage {
        pname = "p";
        version = "1";
        pyproject = true;
        src = ./.;
        dependencies = [ pkgs.python3Packages.wheel ];
      }).propagatedBuildInputs;
  python-with-packages = instantiates (pkgs.python3.withPackages (p: [ p.setuptools ]));
}
