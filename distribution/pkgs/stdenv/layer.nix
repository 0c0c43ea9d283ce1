# The layer of the build environment: stdenv, stdenvNoCC, the wrapped compiler and linker.
#
# Its tools are the binary packages of the layer before, by themselves: an overlay that changes `bash` or `coreutils` for
# users does not rebuild everything that is built with them.
final: prev:
let
  inherit (prev) lib;
  inherit (prev) debian;

  shellPackage = debian.bash;
  initialPath = map (name: debian.${name}) [
    "coreutils"
    "findutils"
    "diffutils"
    "sed"
    "grep"
    "gawk"
    "tar"
    "gzip"
    "bzip2"
    "make"
    "bash"
    "patch"
    "xz-utils"
  ];

  make =
    { cc, extraTools }:
    import ./default.nix {
      inherit
        lib
        cc
        extraTools
        initialPath
        shellPackage
        ;
      inherit (prev) config hostPlatform;
      libc = debian.glibc;
    };

  bintools = import ./cc/bintools.nix {
    inherit lib shellPackage;
    inherit (prev) hostPlatform;
    stdenvNoCC = bare;
    binutils = debian.binutils;
    libc = debian.glibc;
    libcDev = debian.glibc-dev;
  };

  gcc = import ./cc {
    inherit lib shellPackage bintools;
    inherit (prev) hostPlatform;
    stdenvNoCC = bare;
    # `stdenv.cc.cc.lib` is where programs expect the C++ library
    cc = debian.gcc-12 // {
      lib = debian."libstdc++6";
    };
    libc = debian.glibc;
    libcDev = debian.glibc-dev;
  };

  bare = make {
    cc = null;
    extraTools = [ ];
  };
  full = make {
    cc = gcc;
    extraTools = [
      debian.patchelf
      debian.file
    ];
  };
in
{
  stdenvNoCC = bare;
  stdenv = full;
  gccStdenv = full;
  inherit gcc bintools;
  binutils = bintools;
  gcc-unwrapped = debian.gcc-12;
  binutils-unwrapped = debian.binutils;
  cc = gcc;

  overrideCC = stdenv: cc: stdenv.override { inherit cc; };
  keepDebugInfo = stdenv: stdenv.withAttrs { dontStrip = true; };
}
