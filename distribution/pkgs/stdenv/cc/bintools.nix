# The wrapped linker: binutils, with an `ld` that knows where the C library is and writes the folders of what it links with
# into the result's RUNPATH. The tools besides ld are the originals.
{
  lib,
  hostPlatform,
  stdenvNoCC,
  shellPackage,
  binutils,
  # the C library's own files, and those for linking with it (start files, linker scripts, headers)
  libc,
  libcDev,
}:
stdenvNoCC.mkDerivation {
  pname = "binutils-wrapper";
  inherit (binutils) version;
  dontUnpack = true;
  dontConfigure = true;
  dontBuild = true;
  dontPatchShebangs = true;
  strictDeps = true;

  shellProgram = "${shellPackage}/bin/bash";
  inherit binutils libc libcDev;
  multiarch = hostPlatform.multiarch;
  dynamicLinker = "${libc}/lib/${hostPlatform.dynamicLinker}";
  readlinkProgram = "${builtins.head stdenvNoCC.initialPath}/bin/readlink";
  wrapper = ./ld-wrapper.sh;
  installPhase = ''
    mkdir -p $out/bin $out/nix-support
    for tool in "$binutils"/bin/*; do
      name=''${tool##*/}
      name=''${name#$multiarch-}
      [ -e "$out/bin/$name" ] || ln -s "$tool" "$out/bin/$name"
    done
    ld=$binutils/bin/ld.bfd
    [ -e "$ld" ] || ld=$binutils/bin/$multiarch-ld.bfd
    rm -f $out/bin/ld $out/bin/ld.bfd
    for name in ld ld.bfd; do
      substitute "$wrapper" "$out/bin/$name" \
        --subst-var-by shell "$shellProgram" --subst-var-by ld "$ld" --subst-var-by libc "$libc" --subst-var-by libcDev "$libcDev" \
        --subst-var-by dynamicLinker "$dynamicLinker" --subst-var-by readlink "$readlinkProgram"
      chmod +x "$out/bin/$name"
    done
    echo "$dynamicLinker" > $out/nix-support/dynamic-linker
    echo "$libc" > $out/nix-support/orig-libc
    echo "$binutils" > $out/nix-support/orig-bintools
  '';

  passthru = {
    bintools = binutils;
    inherit libc;
    targetPrefix = "";
    dynamicLinker = "${libc}/lib/${hostPlatform.dynamicLinker}";
    isGNU = true;
  };
  meta = binutils.meta // {
    description = "${binutils.meta.description} (wrapped)";
    mainProgram = "ld";
  };
}
