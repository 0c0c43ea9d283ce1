# boot.tmp: what /tmp is and when it is emptied.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.boot.tmp;
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "boot" "cleanTmpDir" ] [ "boot" "tmp" "cleanOnBoot" ])
    (lib.mkRenamedOptionModule [ "boot" "tmpOnTmpfs" ] [ "boot" "tmp" "useTmpfs" ])
    (lib.mkRenamedOptionModule [ "boot" "tmpOnTmpfsSize" ] [ "boot" "tmp" "tmpfsSize" ])
  ];

  options.boot.tmp = {
    cleanOnBoot = mkOption {
      type = types.bool;
      default = false;
      description = "Whether `/tmp` is emptied when the system starts.";
    };
    useTmpfs = mkOption {
      type = types.bool;
      default = false;
      description = "Whether `/tmp` is in memory.";
    };
    tmpfsSize = mkOption {
      type = types.oneOf [
        types.str
        types.ints.positive
      ];
      default = "50%";
      description = "The size limit of a `/tmp` in memory.";
    };
    tmpfsHugeMemoryPages = mkOption {
      type = types.enum [
        "never"
        "always"
        "within_size"
        "advise"
      ];
      default = "never";
      description = "When a `/tmp` in memory uses huge pages.";
    };
    useZram = mkOption {
      type = types.bool;
      default = false;
      description = "Whether `/tmp` is in compressed memory. Accepted; not available yet.";
    };
  };

  config = {
    systemd.mounts = lib.mkIf cfg.useTmpfs [
      {
        what = "tmpfs";
        where = "/tmp";
        type = "tmpfs";
        wantedBy = [ "local-fs.target" ];
        before = [ "local-fs.target" ];
        unitConfig.DefaultDependencies = false;
        conflicts = [ "umount.target" ];
        mountConfig.Options = lib.concatStringsSep "," [
          "mode=1777"
          "strictatime"
          "rw"
          "nosuid"
          "nodev"
          "size=${toString cfg.tmpfsSize}"
          "huge=${cfg.tmpfsHugeMemoryPages}"
        ];
      }
    ];
    systemd.tmpfiles.rules = lib.optional cfg.cleanOnBoot "D! /tmp 1777 root root";
  };
}
