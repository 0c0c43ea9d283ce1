# The service manager itself: its package, system.conf, watchdogs, sleep, core dumps, and what concerns every unit.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.systemd;
  systemd = import ../../../../lib/systemd/types.nix { inherit lib; };
  render = import ../../../../lib/systemd/render.nix { inherit lib; };
in
{
  options.systemd = {
    package = lib.mkPackageOption pkgs "systemd" { };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "DefaultLimitCORE=infinity";
      description = "Lines for the `[Manager]` section of `system.conf`.";
    };
    settings.Manager = mkOption {
      type = systemd.section;
      default = { };
      example = {
        DefaultTimeoutStopSec = "30s";
      };
      description = "Settings of the service manager, as in the `[Manager]` section of {manpage}`systemd-system.conf(5)`.";
    };
    managerEnvironment = mkOption {
      type = types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.str
            types.path
            types.package
          ]
        )
      );
      default = { };
      example = {
        SYSTEMD_LOG_LEVEL = "debug";
      };
      description = "Environment variables of the service manager itself.";
    };
    enableCgroupAccounting = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to account CPU, memory, tasks and I/O for every unit.";
    };
    enableEmergencyMode = mkOption {
      type = types.bool;
      default = true;
      description = "Whether a failing boot ends in a shell on the console.";
    };
    watchdog = {
      device = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/dev/watchdog";
        description = "The hardware watchdog to use.";
      };
      runtimeTime = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "30s";
        description = "The time after which the watchdog resets a machine whose service manager hangs.";
      };
      rebootTime = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "10m";
        description = "The time after which the watchdog resets a machine that hangs while rebooting.";
      };
      kexecTime = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "10m";
        description = "The time after which the watchdog resets a machine that hangs in a kexec.";
      };
    };
    sleep.extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "HibernateDelaySec=1h";
      description = "Lines for the `[Sleep]` section of `sleep.conf`.";
    };
    coredump = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether core dumps are stored by systemd-coredump.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        example = "Storage=journal";
        description = "Lines for the `[Coredump]` section of `coredump.conf`.";
      };
    };
    oomd = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether systemd-oomd ends processes before memory runs out. Has an effect where systemd's package has it.";
      };
      extraConfig = mkOption {
        type = types.attrsOf (
          types.oneOf [
            types.str
            types.int
            types.bool
          ]
        );
        default = { };
        description = "Settings of the `[OOM]` section of `oomd.conf`.";
      };
    };
    generators = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = {
        systemd-gpt-auto-generator = "/dev/null";
      };
      description = "Generators by name; `/dev/null` turns one off.";
    };
    shutdown = mkOption {
      type = types.attrsOf types.path;
      default = { };
      description = "Programs, by name, that systemd-shutdown runs last.";
    };
    shutdownRamfs.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to shut down from a file system in memory. Accepted; not available yet.";
    };
  };

  config = {
    environment.systemPackages = [ cfg.package ];

    environment.etc = {
      "systemd/system.conf".text =
        "[Manager]\n" + render.settings cfg.settings.Manager + cfg.extraConfig;
      "systemd/sleep.conf".text = "[Sleep]\n" + cfg.sleep.extraConfig;
      "systemd/coredump.conf".text = "[Coredump]\n" + cfg.coredump.extraConfig;
    }
    // lib.optionalAttrs (cfg.oomd.extraConfig != { }) {
      "systemd/oomd.conf".text = "[OOM]\n" + render.settings cfg.oomd.extraConfig;
    }
    // lib.mapAttrs' (
      name: source: lib.nameValuePair "systemd/system-generators/${name}" { inherit source; }
    ) cfg.generators
    // lib.mapAttrs' (
      name: source: lib.nameValuePair "systemd/system-shutdown/${name}" { inherit source; }
    ) cfg.shutdown;

    # Mounts come from fileSystems alone, not from what a partition table suggests.
    systemd.generators.systemd-gpt-auto-generator = lib.mkDefault "/dev/null";

    systemd.settings.Manager = lib.mkMerge [
      {
        # Where shells of emergency mode and the like find programs.
        ManagerEnvironment = lib.mkIf (cfg.managerEnvironment != { }) (
          lib.concatStringsSep " " (
            lib.mapAttrsToList (name: value: "${name}=${toString value}") (
              lib.filterAttrs (name: value: value != null) cfg.managerEnvironment
            )
          )
        );
        DefaultEnvironment = "PATH=${cfg.defaultPath}";
      }
      (lib.mkIf cfg.enableCgroupAccounting {
        DefaultCPUAccounting = lib.mkDefault true;
        DefaultIOAccounting = lib.mkDefault true;
        DefaultIPAccounting = lib.mkDefault true;
      })
      (lib.mkIf (cfg.watchdog.device != null) { WatchdogDevice = toString cfg.watchdog.device; })
      (lib.mkIf (cfg.watchdog.runtimeTime != null) { RuntimeWatchdogSec = cfg.watchdog.runtimeTime; })
      (lib.mkIf (cfg.watchdog.rebootTime != null) { RebootWatchdogSec = cfg.watchdog.rebootTime; })
      (lib.mkIf (cfg.watchdog.kexecTime != null) { KExecWatchdogSec = cfg.watchdog.kexecTime; })
    ];

    systemd.suppressedSystemUnits =
      lib.optionals (!cfg.enableEmergencyMode) [
        "emergency.target"
        "emergency.service"
      ]
      ++ lib.optionals (!cfg.coredump.enable) [
        "systemd-coredump.socket"
        "systemd-coredump@.service"
      ]
      ++ lib.optionals (!cfg.oomd.enable) [
        "systemd-oomd.service"
        "systemd-oomd.socket"
      ];

    boot.kernel.sysctl."kernel.core_pattern" =
      if cfg.coredump.enable then
        lib.mkDefault "|${cfg.package}/lib/systemd/systemd-coredump %P %u %g %s %t %c %h"
      else
        lib.mkDefault "core";

    users.users.systemd-coredump = {
      uid = config.ids.uids.systemd-coredump;
      group = "systemd-coredump";
      isSystemUser = true;
    };
    users.groups.systemd-coredump = { };
    users.users.systemd-oom = {
      isSystemUser = true;
      group = "systemd-oom";
    };
    users.groups.systemd-oom = { };

    systemd.services = {
      # These keep the machine's state; a switch leaves them alone.
      systemd-update-utmp.restartIfChanged = false;
      systemd-random-seed.restartIfChanged = false;
      systemd-remount-fs.restartIfChanged = false;
      "user-runtime-dir@" = {
        restartIfChanged = false;
        stopIfChanged = false;
      };
      "user@" = {
        # Sessions of users have their own.
        environment.PATH = lib.mkForce null;
        restartIfChanged = false;
        stopIfChanged = false;
      };
      systemd-user-sessions.restartIfChanged = false;
      # Debian's unit lets it make locales below /usr/lib/locale, which is not there.
      systemd-localed.serviceConfig.ReadWritePaths = [
        ""
        "-/etc"
      ];
      systemd-journal-flush.restartIfChanged = false;
      systemd-tmpfiles-setup.restartIfChanged = false;
      systemd-tmpfiles-setup-dev.restartIfChanged = false;
    };
  };

  options.systemd.defaultPath = mkOption {
    type = types.str;
    internal = true;
    default = lib.makeBinPath [
      pkgs.coreutils
      pkgs.findutils
      pkgs.gnugrep
      pkgs.gnused
      cfg.package
    ];
    description = "The PATH of processes that have no other.";
  };
}
