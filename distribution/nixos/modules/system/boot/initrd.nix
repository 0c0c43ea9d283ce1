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

  # Names, or a set that says of each whether it is meant.
  moduleNames = types.coercedTo (types.attrsOf types.bool) (
    set: lib.attrNames (lib.filterAttrs (_: wanted: wanted) set)
  ) (types.listOf types.str);
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

  # Options for mount(8) and systemd, which busybox's mount does not know.
  isForMount =
    option:
    !(lib.hasPrefix "x-" option)
    && !(lib.elem option [
      "defaults"
      "auto"
      "noauto"
      "nofail"
      "user"
      "_netdev"
    ]);
  rootOptions = fs: lib.filter isForMount fs.options;
  stripOptions =
    text:
    let
      rest = lib.filter isForMount (lib.splitString "," text);
    in
    if rest == [ ] then "rw" else lib.concatStringsSep "," rest;
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
      type = moduleNames;
      default = [ ];
      example = [
        "sata_nv"
        "ext3"
      ];
      description = "Kernel modules that the initial ramdisk holds, to be loaded where the hardware is found.";
    };
    kernelModules = mkOption {
      type = moduleNames;
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

    # The root's device is the first stage's to find; the other early file systems follow once it is mounted.
    boot.kernelParams = lib.mkIf cfg.enable (
      lib.concatMap (
        fs:
        [
          "root=${if fs.fsType == "tmpfs" then "tmpfs" else fs.device}"
        ]
        ++ lib.optional (fs.fsType != "auto" && fs.fsType != "tmpfs") "rootfstype=${fs.fsType}"
        ++ lib.optional (rootOptions fs != [ ]) "rootflags=${lib.concatStringsSep "," (rootOptions fs)}"
      ) (map (fs: lib.head (lib.filter (each: each.mountPoint == "/") cfg.fileSystems) // { inherit (fs) options; }) root)
    );

    system.build.initialRamdisk = lib.mkIf cfg.enable (
      pkgs.makeStage1 {
        inherit (config.boot.kernelPackages) kernel;
        kernelModules = lib.unique (
          cfg.kernelModules
          ++ lib.concatMap (fs: { vfat = [ "vfat" "nls_cp437" "nls_iso8859-1" "nls_utf8" ]; }.${fs.fsType} or [ fs.fsType ]) (
            lib.filter (fs: !lib.elem fs.fsType [ "auto" "tmpfs" "none" ]) early
          )
        );
        availableKernelModules = lib.unique cfg.availableKernelModules;
        compressor = if builtins.isString cfg.compressor then cfg.compressor else "gzip";
        postMountCommands =
          lib.concatMapStrings (fs: ''
            ${lib.optionalString (lib.hasPrefix "/dev/" fs.device) "waitFor ${lib.escapeShellArg fs.device} || fail ${lib.escapeShellArg "the device ${fs.device} of ${fs.mountPoint} did not appear"}"}
            mkdir -p /sysroot${fs.mountPoint}
            mount ${lib.optionalString (fs.fsType != "auto") "-t ${fs.fsType}"} -o ${lib.escapeShellArg (stripOptions fs.options)} ${
              if lib.hasPrefix "/dev/" fs.device then "\"$device\"" else lib.escapeShellArg fs.device
            } /sysroot${fs.mountPoint} || fail ${lib.escapeShellArg "cannot mount ${fs.mountPoint}"}
          '') (lib.filter (fs: fs.mountPoint != "/") cfg.fileSystems)
          + cfg.postMountCommands;
      }
    );
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
