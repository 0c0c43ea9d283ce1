# The layer of what builds need beside stdenv's own tools: languages, build systems, libraries with their headers.
final: prev:
let
  inherit (prev) lib;
  from = import ./from-debian.nix { inherit final prev; };
  program = entry: mainProgram: { inherit entry mainProgram; };

  # libraries to build with; a name whose entry the lock does not have is not in the set
  libraries =
    names:
    lib.mapAttrs (pname: entry: final.callPackage ../libraries { inherit pname entry; }) (
      lib.filterAttrs (_: entry: prev.debian ? ${entry}) names
    );

  # a program's package whose `dev` is the library to build with
  withDev =
    names:
    lib.mapAttrs (
      name: entry:
      prev.${name}.overrideAttrs (old: {
        passthru = old.passthru // {
          dev = final.callPackage ../libraries {
            pname = "${name}-dev";
            inherit entry;
          };
        };
      })
    ) (lib.filterAttrs (name: entry: prev ? ${name} && prev.debian ? ${entry}) names);

  withPkgConfigHook =
    package:
    final.stdenvNoCC.mkDerivation {
      pname = "pkg-config-wrapper";
      inherit (package) version;
      dontUnpack = true;
      setupHook = ../pkg-config/setup-hook.sh;
      inherit package;
      installPhase = ''
        mkdir -p $out/bin
        ln -s "$package/bin/pkgconf" $out/bin/pkgconf
        ln -s "$package/bin/pkgconf" $out/bin/pkg-config
      '';
      meta = package.meta // {
        mainProgram = "pkg-config";
      };
    };
in
from {
  gnumake = program "make" "make";
  patch = program "patch" "patch";
  gnupatch = program "patch" "patch";
  patchelf = program "patchelf" "patchelf";
  perl = program "perl" "perl";
  python3 = {
    entry = "python3";
    mainProgram = "python3";
    passthru = {
      pkgs = final.python3Packages;
      inherit (final.python3Packages) withPackages;
      interpreter = "${final.debian.python3}/bin/python3";
      sitePackages = "lib/python3.11/site-packages";
      pythonVersion = "3.11";
      isPy3 = true;
    };
  };
  ruby = program "ruby" "ruby";
  gnum4 = program "m4" "m4";
  m4 = program "m4" "m4";
  bison = program "bison" "bison";
  flex = program "flex" "flex";
  gettext = program "gettext" "gettext";
  autoconf = program "autoconf" "autoconf";
  automake = program "automake" "automake";
  libtool = program "libtool" "libtool";
  cmake = program "cmake" "cmake";
  ninja = program "ninja-build" "ninja";
  cargo = program "cargo" "cargo";
  clippy = program "clippy" "cargo-clippy";
  rustfmt = program "rustfmt" "rustfmt";
  rustc = program "rustc" "rustc";
}
// {
  python = final.python3;
  python311 = final.python3;
  python3Packages = import ../build-support/python { inherit lib final; };
  python311Packages = final.python3Packages;
  pkg-config = withPkgConfigHook final.debian.pkgconf;
  pkgconf = final.pkg-config;
}
// libraries {
  readline = "libreadline-dev";
  pcre2 = "libpcre2-dev";
  expat = "libexpat1-dev";
  libffi = "libffi-dev";
  gmp = "libgmp-dev";
  libuuid = "uuid-dev";
  libyaml = "libyaml-dev";
  icu = "libicu-dev";
}
// lib.optionalAttrs (prev.debian ? libxml2-dev) {
  libxml2 = final.callPackage ../libraries {
    pname = "libxml2";
    entry = "libxml2-dev";
    propagatedBuildInputs = [ final.icu ];
  };
}
// withDev {
  openssl = "libssl-dev";
  curl = "libcurl4-openssl-dev";
  sqlite = "libsqlite3-dev";
  ncurses = "libncurses-dev";
  bzip2 = "libbz2-dev";
  xz = "liblzma-dev";
  zstd = "libzstd-dev";
  libcap = "libcap-dev";
  systemd = "libsystemd-dev";
  util-linux = "uuid-dev";
}
