# fileSystems: what is mounted where. systemd mounts them, from /etc/fstab; the first stage mounts the early ones.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;

  nonEmpty = lib.types.addCheck types.str (text: lib.trim text != "");
  withoutSpace = lib.types.addCheck types.str (text: builtins.match "[^ \t\n]*" text != null) // {
    description = "string without spaces";
  };

  fileSystem =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the file system is mounted.";
        };
        mountPoint = mkOption {
          type = lib.types.addCheck types.str (text: lib.hasPrefix "/" text);
          example = "/mnt/usb";
          description = "Where the file system is mounted.";
        };
        device = mkOption {
          type = types.nullOr nonEmpty;
          default = null;
          example = "/dev/sda";
          description = "The device, image or share.";
        };
        label = mkOption {
          type = types.nullOr nonEmpty;
          default = null;
          example = "root-partition";
          description = "The label of the device, in place of its path.";
        };
        fsType = mkOption {
          type = nonEmpty;
          default = "auto";
          example = "ext3";
          description = "The type of the file system.";
        };
        options = mkOption {
          type = types.nonEmptyListOf withoutSpace;
          default = [ "defaults" ];
          example = [ "data=journal" ];
          description = "The mount options.";
        };
        depends = mkOption {
          type = types.listOf nonEmpty;
          default = [ ];
          example = [ "/persist" ];
          description = "Mount points that have to be mounted before this one.";
        };
        neededForBoot = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the first stage mounts it.";
        };
        autoFormat = mkOption {
          type = types.bool;
          default = false;
          description = "Whether an empty device gets a file system when the system starts.";
        };
        autoResize = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the file system grows to the size of its device when it is mounted.";
        };
        noCheck = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the file system is never checked.";
        };
        formatOptions = mkOption {
          type = types.nullOr types.str;
          default = null;
          visible = false;
          description = "Options for making the file system.";
        };
        overlay = mkOption {
          type = types.nullOr types.attrs;
          default = null;
          visible = false;
          description = "Layers of an overlay. Not available yet.";
        };
        encrypted = mkOption {
          type = types.attrs;
          default = { };
          visible = false;
          description = "Encryption of the device. Not available yet.";
        };
      };
      config = {
        mountPoint = lib.mkDefault name;
        device = lib.mkIf (lib.elem config.fsType [
          "tmpfs"
          "ramfs"
          "devtmpfs"
        ]) (lib.mkDefault config.fsType);
        options = lib.mkMerge [
          (lib.mkIf config.autoResize [ "x-systemd.growfs" ])
          (lib.mkIf config.autoFormat [ "x-systemd.makefs" ])
          (lib.mkIf (utils.fsNeededForBoot config && config.mountPoint != "/") [ "x-initrd.mount" ])
          (lib.mkIf (config.depends != [ ]) (
            map (path: "x-systemd.requires-mounts-for=${path}") config.depends
          ))
        ];
      };
    };

  mounted = lib.sort (a: b: a.mountPoint < b.mountPoint) (
    lib.filter (fs: fs.enable) (lib.attrValues config.fileSystems)
  );

  # fstab writes blanks as octal escapes.
  escape = builtins.replaceStrings [ " " "\t" ] [ "\\040" "\\011" ];

  deviceOf =
    fs:
    if fs.label != null then
      "/dev/disk/by-label/${escape fs.label}"
    else if fs.device != null then
      escape fs.device
    else
      throw "fileSystems.\"${fs.mountPoint}\" has neither a device nor a label.";

  # Not checked at boot: network and pseudo file systems, and those without such a tool.
  unchecked = [
    "auto"
    "overlay"
    "overlayfs"
    "bindfs"
    "9p"
    "virtiofs"
    "nfs"
    "nfs4"
    "cifs"
    "tmpfs"
    "ramfs"
    "devtmpfs"
    "sysfs"
    "proc"
    "none"
    "erofs"
    "squashfs"
    "iso9660"
    "btrfs"
    "zfs"
    "xfs"
    "bcachefs"
    "vboxsf"
    "glusterfs"
    "apfs"
    "unionfs"
    "efivarfs"
  ];
  pass =
    fs:
    if fs.noCheck || lib.elem fs.fsType unchecked || lib.elem "bind" fs.options then
      "0"
    else if fs.mountPoint == "/" then
      "1"
    else
      "2";

  line =
    fs:
    "${deviceOf fs} ${escape fs.mountPoint} ${fs.fsType} ${
      escape (lib.concatStringsSep "," fs.options)
    } 0 ${pass fs}\n";

  swapLine =
    swap:
    let
      options = lib.concatStringsSep "," (
        swap.options
        ++ lib.optional (swap.priority != null) "pri=${toString swap.priority}"
        ++ lib.optional (swap.discardPolicy != null) "discard${
          lib.optionalString (swap.discardPolicy != "both") "=${swap.discardPolicy}"
        }"
      );
    in
    "${swap.realDevice} none swap ${options} 0 0\n";
in
{
  options.fileSystems = mkOption {
    type = types.attrsOf (types.submodule fileSystem);
    default = { };
    example = lib.literalExpression ''
      {
        "/".device = "/dev/hda1";
        "/data" = { device = "/dev/hda2"; fsType = "ext3"; options = [ "data=journal" ]; };
        "/bigdisk".label = "bigdisk";
      }
    '';
    description = "The file systems to mount, by mount point.";
  };

  options.boot.specialFileSystems = mkOption {
    type = types.attrsOf (types.submodule fileSystem);
    default = { };
    internal = true;
    description = "File systems that are mounted before everything else. The first process mounts the usual ones itself.";
  };

  config = {
    environment.etc.fstab.text =
      "# Made from the system's configuration; changes here are lost.\n"
      + lib.concatMapStrings line mounted
      + lib.concatMapStrings swapLine config.swapDevices;

    environment.systemPackages = utils.available (
      lib.concatLists (
        lib.mapAttrsToList (
          type: wanted:
          lib.optionals wanted {
            ext2 = [ "e2fsprogs" ];
            ext3 = [ "e2fsprogs" ];
            ext4 = [ "e2fsprogs" ];
            vfat = [
              "dosfstools"
              "mtools"
            ];
            xfs = [ "xfsprogs" ];
            btrfs = [ "btrfs-progs" ];
            zfs = [ "zfs" ];
            nfs = [ "nfs-utils" ];
            ntfs = [ "ntfs3g" ];
            f2fs = [ "f2fs-tools" ];
          }.${type} or [ ]
        ) config.boot.supportedFilesystems
      )
    );
    boot.supportedFilesystems = lib.genAttrs (lib.unique (map (fs: fs.fsType) mounted)) (_: true);
    boot.initrd.supportedFilesystems = lib.genAttrs (
      lib.unique (map (fs: fs.fsType) (lib.filter utils.fsNeededForBoot mounted))
    ) (_: true);

    # systemd's own checks look for fsck.<type> in PATH.
    systemd.services."systemd-fsck@" = {
      restartIfChanged = false;
      path = config.system.fsPackages;
    };
    systemd.services.systemd-fsck-root.restartIfChanged = false;
    systemd.services.systemd-fsck-root.path = config.system.fsPackages;

    assertions =
      map (fs: {
        assertion = fs.overlay == null && fs.encrypted == { };
        message = "fileSystems.\"${fs.mountPoint}\": overlay and encrypted are not available yet.";
      }) mounted
      ++ map (fs: {
        assertion = !(fs.autoFormat && fs.fsType == "auto");
        message = "Mount point '${fs.mountPoint}' has autoFormat, but no fsType that says what to make.";
      }) mounted;
  };

  options.system.fsPackages = mkOption {
    type = types.listOf types.package;
    internal = true;
    default = utils.available [
      "e2fsprogs"
      "dosfstools"
    ];
    description = "Packages with the tools that check file systems.";
  };
}
