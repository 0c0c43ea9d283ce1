# boot.initrd: the first stage, which finds the root file system and hands over to the system on it.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.boot.initrd;

  early = lib.filter (fs: utils.fsNeededForBoot fs && fs.enable or true) (
    lib.attrValues config.fileSystems
  );
  # Outer mount points before inner ones.
  sorted = lib.sort (
    a: b:
    lib.length (lib.splitString "/" a.mountPoint) < lib.length (lib.splitString "/" b.mountPoint)
    || (
      lib.length (lib.splitString "/" a.mountPoint) == lib.length (lib.splitString "/" b.mountPoint)
      && a.mountPoint < b.mountPoint
    )
  ) early;
  root = lib.filter (fs: fs.mountPoint == "/") sorted;
  others = lib.filter (fs: fs.mountPoint != "/") sorted;
in
{
  options.boot.initrd = {
    enable = mkOption {
      type = types.bool;
      default = !config.boot.isContainer;
      defaultText = lib.literalExpression "!config.boot.isContainer";
      description = "Whether the system starts through an initial ramdisk.";
    };
    availableKernelModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "sata_nv"
        "ext3"
      ];
      description = "Kernel modules that the initial ramdisk holds, to be loaded where the hardware is found.";
    };
    kernelModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Kernel modules that the initial ramdisk always loads.";
    };
    includeDefaultModules = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the modules for usual disks and virtual machines are included.";
    };
    supportedFilesystems = mkOption {
      type = types.coercedTo (types.listOf types.str) (
        names: lib.genAttrs names (_: true)
      ) (types.attrsOf types.bool);
      default = { };
      example = [ "btrfs" ];
      description = "File systems that the initial ramdisk can mount.";
    };
    postDeviceCommands = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that runs once devices are found, before file systems are mounted.";
    };
    postMountCommands = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that runs once file systems are mounted below `/mnt-root`.";
    };
    preDeviceCommands = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that runs before modules are loaded.";
    };
    secrets = mkOption {
      type = types.attrsOf (types.nullOr types.path);
      default = { };
      description = "Files for the initial ramdisk that are added when the boot loader is installed. Accepted; not available yet.";
    };
    compressor = mkOption {
      type = types.either types.str (types.functionTo types.str);
      default = "gzip";
      description = "The program that compresses the initial ramdisk.";
    };
    verbose = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the first stage says what it does.";
    };
    systemd.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether systemd runs the first stage. Accepted; the first stage is a shell script.";
    };
    luks.devices = mkOption {
      type = types.attrsOf types.attrs;
      default = { };
      description = "Encrypted devices to open in the first stage. Not available yet.";
    };
    fileSystems = mkOption {
      type = types.listOf types.attrs;
      internal = true;
      readOnly = true;
      description = "The file systems that the first stage mounts, in order.";
    };
    modules = mkOption {
      type = types.listOf types.str;
      internal = true;
      readOnly = true;
      description = "The modules in the initial ramdisk that are loaded.";
    };
  };

  config = {
    boot.initrd.fileSystems = map (fs: {
      inherit (fs) mountPoint fsType;
      device =
        if fs.device != null then
          fs.device
        else if fs.label != null then
          "/dev/disk/by-label/${fs.label}"
        else
          fs.fsType;
      options = lib.concatStringsSep "," fs.options;
    }) (root ++ others);

    boot.initrd.availableKernelModules = lib.optionals cfg.includeDefaultModules [
      "virtio_pci"
      "virtio_blk"
      "virtio_scsi"
      "virtio_net"
      "virtio_rng"
      "sd_mod"
      "sr_mod"
      "nvme"
      "ahci"
      "xhci_pci"
      "usb_storage"
    ];
    boot.initrd.modules = lib.unique (cfg.kernelModules ++ cfg.availableKernelModules ++ map (fs: fs.fsType) early);
    boot.supportedFilesystems = lib.mapAttrs (_: lib.mkDefault) cfg.supportedFilesystems;

    assertions = [
      {
        assertion = cfg.luks.devices == { };
        message = "boot.initrd.luks.devices is set, but the first stage cannot open encrypted devices yet.";
      }
      {
        assertion = !cfg.enable || root != [ ];
        message = "The ‘fileSystems’ option does not specify your root file system.";
      }
    ];
  };
}
