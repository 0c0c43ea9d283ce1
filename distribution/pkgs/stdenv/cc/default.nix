# The wrapped compiler: gcc's programs under their short names, told where headers, start files, libraries and the linker
# are, and taught the environment variables that packages set (NIX_CFLAGS_COMPILE, NIX_CFLAGS_LINK, NIX_LDFLAGS, …).
{
  lib,
  hostPlatform,
  stdenvNoCC,
  shellPackage,
  bintools,
  cc,
  libc,
  libcDev,
}:
let
  # "12.2.0-14+deb12u1" → "12"
  major = lib.versions.major cc.version;
in
stdenvNoCC.mkDerivation {
  pname = "gcc-wrapper";
  inherit (cc) version;
  dontUnpack = true;
  dontConfigure = true;
  dontBuild = true;
  dontPatchShebangs = true;
  strictDeps = true;

  shellProgram = "${shellPackage}/bin/bash";
  inherit
    cc
    libc
    libcDev
    bintools
    major
    ;
  multiarch = hostPlatform.multiarch;
  wrapper = ./cc-wrapper.sh;
  setupHook = ./setup-hook.sh;
  propagatedNativeBuildInputs = [ bintools ];

  installPhase = ''
    mkdir -p $out/bin $out/nix-support
    private=$cc/lib/gcc/$multiarch/$major
    if [ ! -d "$private" ]; then
      echo "the compiler's folder $private does not exist" >&2
      exit 1
    fi
    wrap() { # NAME PROGRAM LANGUAGE: what the compiler package may lack
      if [ ! -e "$2" ]; then return 0; fi
      substitute "$wrapper" "$out/bin/$1" \
        --subst-var-by shell "$shellProgram" --subst-var-by program "$2" --subst-var-by language "$3" \
        --subst-var-by libc "$libc" --subst-var-by libcDev "$libcDev" --subst-var-by bintools "$bintools" --subst-var-by private "$private" \
        --subst-var-by cxxHeaders "$cc/include/c++/$major" --subst-var-by cc "$cc"
      chmod +x "$out/bin/$1"
    }
    prefix=$cc/bin/$multiarch
    wrap gcc "$prefix-gcc-$major" c
    wrap g++ "$prefix-g++-$major" c++
    wrap cpp "$prefix-cpp-$major" c
    ln -s gcc $out/bin/cc
    if [ -e $out/bin/g++ ]; then ln -s g++ $out/bin/c++; fi
    for name in $multiarch-gcc $multiarch-g++; do
      if [ -e "$out/bin/''${name#$multiarch-}" ]; then ln -s "''${name#$multiarch-}" "$out/bin/$name"; fi
    done
    # what runs as it is
    for name in gcov gcov-tool gcc-ar gcc-nm gcc-ranlib; do
      if [ -e "$prefix-$name-$major" ]; then ln -s "$prefix-$name-$major" "$out/bin/$name"; fi
    done
    echo "$cc" > $out/nix-support/orig-cc
    echo "$libc" > $out/nix-support/orig-libc
  '';

  passthru = {
    cc = cc;
    inherit libc bintools;
    isGNU = true;
    isClang = false;
    targetPrefix = "";
    nativeLibc = false;
  };
  meta = cc.meta // {
    description = "GNU Compiler Collection (wrapped)";
    mainProgram = "gcc";
  };
}
