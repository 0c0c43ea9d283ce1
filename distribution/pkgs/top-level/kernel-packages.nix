# The layer of kernels and of what belongs to one kernel.
final: prev:
let
  inherit (prev) lib;

  # the lock's entry of a kernel flavour: "linux-image-6.1.0-43-cloud-amd64" for "cloud-amd64"
  entryOf =
    flavour:
    let
      found = lib.filter (key: builtins.match "linux-image-[0-9][0-9.]*-[0-9]+-${flavour}" key != null) (
        lib.attrNames final.debian
      );
    in
    if found == [ ] then
      throw "the lock file of Debian packages has no kernel of the flavour ‘${flavour}’"
    else
      lib.last found;

  kernelFor =
    flavour: pname:
    let
      entry = entryOf flavour;
    in
    final.callPackage ../linux {
      inherit pname;
      image = final.debian.${entry};
      modDirVersion = lib.removePrefix "linux-image-" entry;
    };

  packagesFor =
    kernel:
    lib.makeExtensible (self: {
      inherit kernel;
      inherit (kernel) version;
      callPackage = final.newScope self;
      kernelOlder = lib.versionOlder kernel.version;
      kernelAtLeast = lib.versionAtLeast kernel.version;
      isZen = false;
      isHardened = false;
      isLibre = false;
      recurseForDerivations = true;
      # part of the kernel
      wireguard = null;
    });
in
{
  linux = kernelFor "amd64" "linux";
  linux_cloud = kernelFor "cloud-amd64" "linux-cloud";

  linuxPackagesFor = packagesFor;
  linuxPackages = packagesFor final.linux;
  linuxPackages_cloud = packagesFor final.linux_cloud;
  linuxPackages_latest = final.linuxPackages;
  linux_latest = final.linux;
  linuxPackages_6_1 = final.linuxPackages;

  linuxKernel = {
    inherit packagesFor;
    kernels = {
      linux_6_1 = final.linux;
      linux_cloud = final.linux_cloud;
    };
    packages = {
      linux_6_1 = final.linuxPackages;
      linux_cloud = final.linuxPackages_cloud;
    };
  };
}
