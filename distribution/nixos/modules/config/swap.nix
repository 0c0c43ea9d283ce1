# swapDevices and zramSwap.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;

  swap =
    { config, options, ... }:
    {
      options = {
        device = mkOption {
          type = types.nonEmptyStr;
          example = "/dev/sda3";
          description = "The device or file.";
        };
        label = mkOption {
          type = types.str;
          example = "swap";
          description = "The label of the device, in place of its path.";
        };
        size = mkOption {
          type = types.nullOr types.int;
          default = null;
          example = 2048;
          description = "The size in MiB of a swap file, which is made if it is not there.";
        };
        priority = mkOption {
          type = types.nullOr types.int;
          default = null;
          example = 2048;
          description = "The priority; the device of the highest is filled first.";
        };
        discardPolicy = mkOption {
          type = types.nullOr (
            types.enum [
              "once"
              "pages"
              "both"
            ]
          );
          default = null;
          example = "once";
          description = "Which freed pages the device is told of.";
        };
        options = mkOption {
          type = types.listOf types.nonEmptyStr;
          default = [ "defaults" ];
          example = [ "nofail" ];
          description = "Options for the line in fstab.";
        };
        randomEncryption = mkOption {
          type = types.either types.bool types.attrs;
          default = false;
          description = "Whether the device is encrypted with a new key at each boot. Not available yet.";
        };
        deviceName = mkOption {
          type = types.str;
          internal = true;
          description = "The name of the unit of the device.";
        };
        realDevice = mkOption {
          type = types.path;
          internal = true;
          description = "The device that is swapped to.";
        };
      };
      config = {
        device = lib.mkIf options.label.isDefined "/dev/disk/by-label/${config.label}";
        deviceName = builtins.replaceStrings [ "\\" ] [ "" ] (utils.escapeSystemdPath config.device);
        realDevice = config.device;
      };
    };

  files = lib.filter (each: each.size != null) config.swapDevices;
in
{
  options.swapDevices = mkOption {
    type = types.listOf (types.submodule swap);
    default = [ ];
    example = [
      { device = "/dev/hda7"; }
      { device = "/var/swapfile"; }
    ];
    description = "Devices and files to swap to.";
  };

  options.zramSwap = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to swap to compressed memory.";
    };
    memoryPercent = mkOption {
      type = types.int;
      default = 50;
      description = "The size of the compressed device, in percent of the memory.";
    };
    algorithm = mkOption {
      type = types.str;
      default = "zstd";
      example = "lz4";
      description = "The compression.";
    };
    priority = mkOption {
      type = types.int;
      default = 5;
      description = "The priority of the device.";
    };
  };

  config = {
    systemd.services =
      lib.listToAttrs (
        map (
          each:
          lib.nameValuePair "mkswap-${each.deviceName}" {
            description = "Make the swap file ${each.device}";
            wantedBy = [ "${utils.escapeSystemdPath each.realDevice}.swap" ];
            before = [
              "${utils.escapeSystemdPath each.realDevice}.swap"
              "shutdown.target"
            ];
            conflicts = [ "shutdown.target" ];
            path = [ pkgs.util-linux ];
            unitConfig.RequiresMountsFor = [ (dirOf each.device) ];
            unitConfig.DefaultDependencies = false;
            serviceConfig.Type = "oneshot";
            serviceConfig.UMask = "0177";
            script = ''
              file=${lib.escapeShellArg each.device}
              size=${toString each.size}
              if [ ! -e "$file" ] || [ "$(stat -c %s "$file")" != $((size * 1024 * 1024)) ]; then
                # Copy-on-write would keep the kernel from using the file.
                truncate --size 0 "$file"
                chattr +C "$file" 2>/dev/null || true
                dd if=/dev/zero of="$file" bs=1M count="$size" status=none
                mkswap "$file"
              fi
            '';
          }
        ) files
      )
      // lib.optionalAttrs config.zramSwap.enable {
        zram-swap = {
          description = "Swap to compressed memory";
          wantedBy = [ "multi-user.target" ];
          path = [
            pkgs.util-linux
            pkgs.kmod
          ];
          unitConfig.ConditionVirtualization = "!container";
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
          };
          script = ''
            modprobe zram num_devices=1 || true
            kib=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
            zramctl --algorithm ${config.zramSwap.algorithm} --size $((kib * ${toString config.zramSwap.memoryPercent} / 100))K /dev/zram0
            mkswap /dev/zram0
            swapon --priority ${toString config.zramSwap.priority} /dev/zram0
          '';
          preStop = ''
            swapoff /dev/zram0
            zramctl --reset /dev/zram0
          '';
        };
      };

    assertions = map (each: {
      assertion = each.randomEncryption == false;
      message = "swapDevices: randomEncryption of ${each.device} is not available yet.";
    }) config.swapDevices;
  };
}
