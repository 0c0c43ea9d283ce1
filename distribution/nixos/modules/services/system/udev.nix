# services.udev: rules for devices, and firmware.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.udev;
  tools = lib.makeBinPath cfg.path;

  # Rules of packages and of the configuration in one folder; the PATH of their programs is set first.
  rules =
    pkgs.runCommand "udev-rules"
      {
        preferLocalBuild = true;
        allowSubstitutes = false;
        inherit (cfg) packages extraRules;
        passAsFile = [ "extraRules" ];
      }
      ''
        mkdir -p $out
        for package in $packages; do
          for folder in lib/udev/rules.d etc/udev/rules.d; do
            for rule in "$package/$folder"/*.rules; do
              if [ -e "$rule" ]; then ln -sf "$rule" $out/; fi
            done
          done
        done
        echo 'ENV{PATH}="${tools}"' > $out/00-path.rules
        ${lib.optionalString (!config.networking.usePredictableInterfaceNames) ''
          ln -sf /dev/null $out/80-net-setup-link.rules
        ''}
        if [ -s "$extraRulesPath" ]; then
          cp "$extraRulesPath" $out/99-local.rules
        fi
      '';
in
{
  options.services.udev = {
    enable = mkOption {
      type = types.bool;
      default = !config.boot.isContainer;
      defaultText = lib.literalExpression "!config.boot.isContainer";
      description = "Whether udev manages devices.";
    };
    packages = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Packages with rules for devices.";
    };
    path = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Packages whose programs rules can run.";
    };
    extraRules = mkOption {
      type = types.lines;
      default = "";
      example = ''ENV{ID_VENDOR_ID}=="046d", ENV{ID_MODEL_ID}=="0825", ENV{PULSE_IGNORE}="1"'';
      description = "Rules for devices.";
    };
    extraHwdb = mkOption {
      type = types.lines;
      default = "";
      description = "Entries for the database of hardware.";
    };
  };

  options.hardware = {
    firmware = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages with firmware for the kernel.";
    };
    enableRedistributableFirmware = mkOption {
      type = types.bool;
      default = config.hardware.enableAllFirmware;
      defaultText = lib.literalExpression "config.hardware.enableAllFirmware";
      description = "Whether firmware that may be passed on is included. Accepted.";
    };
    enableAllFirmware = mkOption {
      type = types.bool;
      default = false;
      description = "Whether all firmware is included. Accepted.";
    };
    cpu.intel.updateMicrocode = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the microcode of Intel processors is updated. Accepted.";
    };
    cpu.amd.updateMicrocode = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the microcode of AMD processors is updated. Accepted.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.udev.packages = [ config.systemd.package ] ++ utils.available [ "lvm2" ];
    services.udev.path = [
      pkgs.coreutils
      pkgs.gnused
      pkgs.gnugrep
      pkgs.util-linux
      config.systemd.package
    ];
    environment.etc = {
      "udev/rules.d".source = rules;
    }
    // lib.optionalAttrs (cfg.extraHwdb != "") {
      "udev/hwdb.d/99-local.hwdb".text = cfg.extraHwdb;
    };

    systemd.services.systemd-udevd = {
      restartTriggers = [ rules ];
      stopIfChanged = false;
    };
    system.activationScripts.firmware = lib.mkIf (config.hardware.firmware != [ ]) ''
      if [ -e /sys/module/firmware_class/parameters/path ]; then
        printf %s ${
          pkgs.buildEnv {
            name = "firmware";
            paths = config.hardware.firmware;
            pathsToLink = [ "/lib/firmware" ];
            ignoreCollisions = true;
          }
        }/lib/firmware > /sys/module/firmware_class/parameters/path 2>/dev/null || true
      fi
    '';
  };
}
