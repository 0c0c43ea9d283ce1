# Options that many configurations set and that need no action here: documentation, hardware and desktop switches.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  bool =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
  missing = {
    "services.xserver.enable" = config.services.xserver.enable;
    "services.displayManager.enable" = config.services.displayManager.enable;
    "services.pipewire.enable" = config.services.pipewire.enable;
    "services.printing.enable" = config.services.printing.enable;
    "hardware.bluetooth.enable" = config.hardware.bluetooth.enable;
    "hardware.graphics.enable" = config.hardware.graphics.enable;
    "virtualisation.docker.enable" = config.virtualisation.docker.enable;
    "virtualisation.podman.enable" = config.virtualisation.podman.enable;
  };
in
{
  options = {
    documentation = {
      enable = bool true "Whether documentation is installed.";
      man.enable = bool true "Whether manual pages are installed.";
      man.generateCaches = bool false "Whether an index of manual pages is made. Accepted.";
      info.enable = bool true "Whether info pages are installed.";
      doc.enable = bool true "Whether further documentation is installed.";
      dev.enable = bool false "Whether documentation for developers is installed.";
      nixos.enable = bool true "Whether the manual of the system is installed. Accepted.";
      nixos.includeAllModules = bool false "Whether the manual covers all modules. Accepted.";
    };
    hardware = {
      bluetooth.enable = bool false "Whether Bluetooth is used. Not available.";
      graphics.enable = bool false "Whether graphics are accelerated. Not available.";
      graphics.enable32Bit = bool false "Whether that is so for 32-bit programs. Not available.";
      ksm.enable = bool false "Whether equal pages of memory are merged.";
      i2c.enable = bool false "Whether users of a group can use I²C. Accepted.";
    };
    powerManagement = {
      enable = bool true "Whether power management is set up. Accepted.";
      cpuFreqGovernor = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "What decides the frequency of processors. Accepted.";
      };
    };
    fonts = {
      packages = mkOption {
        type = types.listOf types.path;
        default = [ ];
        description = "Fonts. Accepted.";
      };
      fontconfig.enable = bool false "Whether fontconfig is set up. Accepted.";
    };
    xdg = {
      autostart.enable = bool true "Whether desktop programs start by themselves. Accepted.";
      icons.enable = bool true "Whether icon themes are installed. Accepted.";
      menus.enable = bool true "Whether menus are installed. Accepted.";
      mime.enable = bool true "Whether media types are installed. Accepted.";
      sounds.enable = bool true "Whether sound themes are installed. Accepted.";
    };
    services = {
      nscd.enable = bool false "Whether names are cached. Accepted: name services are built in.";
      xserver.enable = bool false "Whether there is a graphical display. Not available.";
      displayManager.enable = bool false "Whether users log in on it. Not available.";
      pipewire.enable = bool false "Whether there is sound. Not available.";
      printing.enable = bool false "Whether there is printing. Not available.";
      qemuGuest.enable = bool false "Whether the guest agent of QEMU runs. Accepted.";
      fstrim.enable = bool true "Whether free blocks of disks are reported to them every week.";
      fstrim.interval = mkOption {
        type = types.str;
        default = "weekly";
        description = "How often.";
      };
    };
    system = {
      autoUpgrade.enable = bool false "Whether the system brings itself up to date. Not available yet.";
      rebuild.enableNg = bool true "Accepted.";
      tools.nixos-rebuild.enable = bool true "Whether `nixos-rebuild` is installed.";
      disableInstallerTools = bool false "Whether the tools for installing are left out. Accepted.";
    };
    virtualisation = {
      docker.enable = bool false "Whether Docker runs. Not available.";
      podman.enable = bool false "Whether Podman is set up. Not available.";
    };
  };

  config = {
    warnings = lib.concatLists (
      lib.mapAttrsToList (
        name: on: lib.optional on "${name} is set, but has no effect: it is not available here."
      ) missing
    );
    assertions = [
      {
        assertion = !config.system.autoUpgrade.enable;
        message = "system.autoUpgrade.enable is set, but is not available yet.";
      }
    ];

    environment.pathsToLink = lib.optional config.documentation.man.enable "/share/man";

    systemd.services.fstrim = lib.mkIf (config.services.fstrim.enable && !config.boot.isContainer) {
      description = "Discard unused blocks on file systems";
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "/run/current-system/sw/bin/fstrim --listed-in /etc/fstab --verbose --quiet-unsupported";
      };
      unitConfig.ConditionVirtualization = "!container";
    };
    systemd.timers.fstrim = lib.mkIf (config.services.fstrim.enable && !config.boot.isContainer) {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = config.services.fstrim.interval;
        AccuracySec = "1h";
        Persistent = true;
        RandomizedDelaySec = "6000";
      };
    };
    systemd.services.enable-ksm = lib.mkIf config.hardware.ksm.enable {
      description = "Enable Kernel Same-Page Merging";
      wantedBy = [ "multi-user.target" ];
      script = "echo 1 > /sys/kernel/mm/ksm/run\n";
    };
  };
}
