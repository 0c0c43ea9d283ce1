# A kernel as systems use it: bzImage, System.map, config, lib/modules/VERSION with its index (modules.dep, …).
{
  lib,
  stdenvNoCC,
  debian,
  hostPlatform,
  # the imported kernel package
  image,
  modDirVersion,
  pname ? "linux",
}:
stdenvNoCC.mkDerivation {
  inherit pname;
  # "6.1.158-1" → "6.1.158"
  version = lib.head (lib.splitString "-" image.version);
  inherit image modDirVersion;
  kernelFile = hostPlatform.firn.kernelFile;
  nativeBuildInputs = [ debian.kmod ];
  strictDeps = true;
  buildCommand = ''
    mkdir -p $out/lib/modules/$modDirVersion
    ln -s "$image/vmlinuz" "$out/$kernelFile"
    ln -s "$image/vmlinuz" $out/vmlinuz
    for file in config System.map; do
      if [ -e "$image/$file" ]; then ln -s "$image/$file" $out/$file; fi
    done
    source=$image/lib/modules/$modDirVersion
    target=$out/lib/modules/$modDirVersion
    # the modules stay where they were imported; only the index of them is made here
    for entry in "$source"/*; do
      case ''${entry##*/} in
        build | source) ;;
        *) ln -s "$entry" "$target/" ;;
      esac
    done
    depmod -b $out "$modDirVersion"
    if [ ! -s "$target/modules.dep" ]; then
      echo "depmod found no modules in $source" >&2
      exit 1
    fi
  '';
  passthru = {
    inherit modDirVersion;
    baseVersion = lib.head (lib.splitString "-" image.version);
    target = hostPlatform.firn.kernelFile;
    kernelOlder = lib.versionOlder image.version;
    kernelAtLeast = lib.versionAtLeast image.version;
    features = {
      ia32Emulation = true;
      efiBootStub = true;
    };
    # questions about the configuration cannot be answered without reading it: those that modules ask are all met
    config = {
      isSet = _: true;
      isEnabled = _: true;
      isYes = _: true;
      isNo = _: false;
      isModule = _: true;
      isDisabled = _: false;
    };
    isZen = false;
    isHardened = false;
    isLibre = false;
  };
  meta = {
    description = "The Linux kernel (Debian's build)";
    homepage = "https://www.kernel.org/";
    license = lib.licenses.gpl2Only;
    platforms = [ hostPlatform.system ];
  };
}
