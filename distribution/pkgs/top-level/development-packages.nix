# The layer of what builds need beside stdenv's own tools: languages, build systems, libraries with their headers.
final: prev:
let
  inherit (prev) lib;
  from = import ./from-debian.nix { inherit final prev; };
  program = entry: mainProgram: { inherit entry mainProgram; };

  # a library's headers and link names (Debian's -dev package), together with the library: what nixpkgs' buildInputs mean
  library =
    {
      pname,
      dev,
      runtime,
    }:
    let
      headers = final.debian.${dev};
      libraries = map (entry: final.debian.${entry}) runtime;
    in
    final.stdenvNoCC.mkDerivation {
      inherit pname;
      inherit (headers) version;
      dontUnpack = true;
      inherit headers libraries;
      # links: the files themselves stay where the importer put them
      buildCommand = ''
        mkdir -p $out
        for package in $headers $libraries; do
          for folder in include lib share/pkgconfig share/aclocal; do
            if [ -d "$package/$folder" ]; then
              mkdir -p "$out/$folder"
              cp -rsn --no-preserve=mode "$package/$folder/." "$out/$folder/"
            fi
          done
        done
        # what pkg-config says must lead here, where the libraries are too
        for file in $out/lib/pkgconfig/*.pc; do
          if [ -e "$file" ]; then
            sed --in-place=.link "s,^prefix=.*,prefix=$out,; s,$headers,$out,g; s,/x86_64-linux-gnu,,g" "$file"
            rm -f "$file.link"
          fi
        done
      '';
      meta = headers.meta;
    };

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
  python3 = program "python3" "python3";
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
}
// {
  python = final.python3;
  python311 = final.python3;
  pkg-config = withPkgConfigHook final.debian.pkgconf;
  pkgconf = final.pkg-config;

  openssl-dev = library {
    pname = "openssl-dev";
    dev = "libssl-dev";
    runtime = [ "libssl3" ];
  };
}
