# makeStage1: an initrd that boots a system: busybox, kernel modules and stage-1.sh. Its kernel parameters are described there.
{ lib, final }:
{
  kernel ? final.linux,
  # modules that are loaded at once, whatever devices there are
  kernelModules ? [
    "virtio_pci"
    "virtio_blk"
    "virtio_net"
    "virtio_rng"
    "erofs"
    "overlay"
    "ext4"
  ],
  # modules that are there for devices that ask for them
  availableKernelModules ? [ ],
  # shell commands that run when root and store are mounted below /sysroot
  postMountCommands ? "",
  compressor ? "gzip",
  name ? "initrd",
}:
let
  modules = final.makeModulesClosure {
    inherit kernel;
    rootModules = kernelModules ++ availableKernelModules;
    # what is built in, or what this kernel does not have
    allowMissing = true;
  };
  # only those asked for by name are loaded without a device
  ordered = final.makeModulesClosure {
    inherit kernel;
    rootModules = kernelModules;
    allowMissing = true;
  };
in
final.makeInitrd {
  inherit name compressor;
  contents = [
    {
      object = "${final.busybox}/bin/busybox";
      symlink = "/bin/busybox";
      copy = true;
    }
    {
      object = ./stage-1.sh;
      symlink = "/init";
      copy = true;
      executable = true;
    }
    {
      object = "${modules}/lib/modules";
      symlink = "/lib/modules";
      copy = true;
    }
    {
      object = "${ordered}/insmod-list";
      symlink = "/insmod-list";
      copy = true;
    }
  ]
  ++ lib.optional (postMountCommands != "") {
    object = final.writeText "post-mount.sh" postMountCommands;
    symlink = "/post-mount.sh";
    copy = true;
  };
}
