# boot.loader.*: what starts the kernel. The settings are recorded in the system; installing the loader reads them there.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.boot.loader;
  hasDevices = cfg.grub.devices != [ ];
in
{
  options.boot.loader = {
    timeout = mkOption {
      type = types.nullOr types.int;
      default = 5;
      description = "Seconds until the default entry starts; null waits for ever.";
    };
    efi = {
      canTouchEfiVariables = mkOption {
        type = types.bool;
        default = false;
        description = "Whether installing may change the firmware's boot entries.";
      };
      efiSysMountPoint = mkOption {
        type = types.str;
        default = "/boot";
        description = "Where the EFI system partition is mounted.";
      };
    };
    systemd-boot = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether systemd-boot is the boot loader.";
      };
      configurationLimit = mkOption {
        type = types.nullOr types.int;
        default = null;
        example = 120;
        description = "How many generations the menu shows at most.";
      };
      editor = mkOption {
        type = types.bool;
        default = true;
        description = "Whether the kernel's command line can be edited in the menu.";
      };
      consoleMode = mkOption {
        type = types.enum [
          "0"
          "1"
          "2"
          "5"
          "auto"
          "max"
          "keep"
        ];
        default = "keep";
        description = "The resolution of the menu.";
      };
      graceful = mkOption {
        type = types.bool;
        default = false;
        description = "Whether firmware that refuses to store boot entries is accepted.";
      };
      memtest86.enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the menu offers a memory test. Accepted.";
      };
    };
    grub = {
      enable = mkOption {
        type = types.bool;
        default = !config.boot.isContainer && !cfg.systemd-boot.enable && !cfg.generic-extlinux-compatible.enable && !cfg.external.enable;
        defaultText = lib.literalExpression "!config.boot.isContainer";
        description = "Whether GRUB is the boot loader.";
      };
      device = mkOption {
        type = types.str;
        default = "";
        example = "/dev/disk/by-id/wwn-0x500001234567890a";
        description = "The disk whose boot sector holds GRUB; `nodev` for none, as with EFI.";
      };
      devices = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "The disks whose boot sectors hold GRUB.";
      };
      efiSupport = mkOption {
        type = types.bool;
        default = false;
        description = "Whether GRUB is installed for EFI.";
      };
      efiInstallAsRemovable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether GRUB takes the place that firmware starts without a boot entry.";
      };
      configurationLimit = mkOption {
        type = types.int;
        default = 100;
        example = 120;
        description = "How many generations the menu shows at most.";
      };
      configurationName = mkOption {
        type = types.str;
        default = "";
        example = "Stable 2.6.21";
        description = "A name for this system in the menu.";
      };
      default = mkOption {
        type = types.either types.int types.str;
        default = "0";
        apply = toString;
        description = "The entry that starts when the timeout is over.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        example = "serial; terminal_output.serial";
        description = "Lines for GRUB's configuration.";
      };
      extraEntries = mkOption {
        type = types.lines;
        default = "";
        description = "More entries for the menu.";
      };
      useOSProber = mkOption {
        type = types.bool;
        default = false;
        description = "Whether other operating systems are looked for. Accepted.";
      };
      enableCryptodisk = mkOption {
        type = types.bool;
        default = false;
        description = "Whether GRUB opens encrypted partitions. Accepted.";
      };
      copyKernels = mkOption {
        type = types.bool;
        default = false;
        description = "Whether kernels are copied to `/boot`.";
      };
      splashImage = mkOption {
        type = types.nullOr types.path;
        default = null;
        description = "The picture behind the menu. Accepted.";
      };
      theme = mkOption {
        type = types.nullOr types.path;
        default = null;
        description = "The theme of the menu. Accepted.";
      };
      version = mkOption {
        type = types.int;
        default = 2;
        visible = false;
        description = "The version of GRUB: always 2.";
      };
      forceInstall = mkOption {
        type = types.bool;
        default = false;
        description = "Whether GRUB is installed even where it considers that unwise.";
      };
      fsIdentifier = mkOption {
        type = types.enum [
          "uuid"
          "label"
          "provided"
        ];
        default = "uuid";
        description = "How GRUB's configuration names file systems.";
      };
    };
    generic-extlinux-compatible = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether entries for boot loaders such as U-Boot are written.";
      };
      configurationLimit = mkOption {
        type = types.int;
        default = 20;
        description = "How many generations the menu shows at most.";
      };
    };
    external = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether a program of your own installs the boot loader.";
      };
      installHook = mkOption {
        type = types.path;
        description = "The program; its argument is the path of the system.";
      };
    };
    supportsInitrdSecrets = mkOption {
      type = types.bool;
      default = false;
      internal = true;
      description = "Whether the loader can add secrets to the initial ramdisk.";
    };
  };

  config = {
    boot.loader.grub.devices = lib.optional (cfg.grub.device != "") cfg.grub.device;
    system.boot.loader.id = lib.mkIf cfg.grub.enable "grub";

    assertions = lib.mkIf (!config.boot.isContainer) [
      {
        assertion = !cfg.grub.enable || hasDevices;
        message = ''
          You must set the option ‘boot.loader.grub.devices’ or 'boot.loader.grub.mirroredBoots' to make the system bootable.
        '';
      }
      {
        assertion = !(cfg.grub.enable && cfg.systemd-boot.enable);
        message = "boot.loader.grub.enable and boot.loader.systemd-boot.enable are both set; choose one boot loader.";
      }
    ];
  };
}
