# The layer of kernels and of what belongs to one kernel.
final: prev:
let
  inherit (prev) lib;

  # the release that modules are looked up by is part of Debian's package name: linux-image-6.1.0-50-cloud-amd64
  kernelFrom =
    image: pname:
    let
      releases = lib.filter (lib.hasPrefix "linux-image-") image.debianPackages;
    in
    final.callPackage ../linux {
      inherit pname image;
      modDirVersion =
        if releases == [ ] then
          throw "‘${image.name}’ is not a kernel: it has no package linux-image-…"
        else
          lib.removePrefix "linux-image-" (lib.head releases);
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
  linux = kernelFrom final.debian.linux "linux";
  linux_cloud = kernelFrom final.debian.linux-cloud "linux-cloud";

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
