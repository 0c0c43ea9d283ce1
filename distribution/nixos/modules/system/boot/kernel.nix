# boot.kernel*: the kernel, its modules and parameters, and sysctl.
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
  cfg = config.boot;

  sysctlValue = lib.mkOptionType {
    name = "sysctl option value";
    description = "sysctl option value";
    check = value: value == null || builtins.isBool value || builtins.isString value || builtins.isInt value;
    merge = lib.mergeEqualOption;
  };
  sysctlText =
    value:
    if value == true then
      "1"
    else if value == false then
      "0"
    else
      toString value;
in
{
  options.boot = {
    kernelPackages = mkOption {
      type = types.raw;
      default = pkgs.linuxPackages;
      defaultText = lib.literalExpression "pkgs.linuxPackages";
      example = lib.literalExpression "pkgs.linuxPackages_latest";
      description = "The kernel, with the packages that are built for it.";
    };
    kernelPatches = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
      description = "Patches for the kernel. The kernel is a ready-made package here, so the list has to be empty.";
    };
    kernelParams = mkOption {
      type = types.listOf (types.strMatching ''([^"[:space:]]|"[^"]*")+'');
      default = [ ];
      example = [ "console=ttyS0,115200" ];
      description = "Parameters on the kernel's command line.";
    };
    consoleLogLevel = mkOption {
      type = types.int;
      default = 4;
      description = "The kernel messages that the console shows: those of a level below this.";
    };
    kernelModules = mkOption {
      type = moduleNames;
      default = [ ];
      description = "Kernel modules to load when the system starts.";
    };
    extraModulePackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ config.boot.kernelPackages.zfs ]";
      description = "Packages with further kernel modules.";
    };
    blacklistedKernelModules = mkOption {
      type = moduleNames;
      default = [ ];
      example = [ "cirrusfb" ];
      description = "Kernel modules that are not loaded by themselves.";
    };
    extraModprobeConfig = mkOption {
      type = types.lines;
      default = "";
      example = "options parport_pc io=0x378 irq=7 dma=1";
      description = "Lines for modprobe's configuration.";
    };
    supportedFilesystems = mkOption {
      type = types.coercedTo (types.listOf types.str) (
        names: lib.genAttrs names (_: true)
      ) (types.attrsOf types.bool);
      default = { };
      example = [ "btrfs" ];
      description = "File systems that the system has tools and modules for.";
    };
    hardwareScan = mkOption {
      type = types.bool;
      default = true;
      description = "Whether modules are loaded for the hardware that is found.";
    };
    kernel = {
      enable = mkOption {
        type = types.bool;
        default = !cfg.isContainer;
        defaultText = lib.literalExpression "!config.boot.isContainer";
        description = "Whether the system has a kernel.";
      };
      sysctl = mkOption {
        type = types.attrsOf sysctlValue;
        default = { };
        example = {
          "net.ipv4.tcp_syncookies" = false;
          "vm.swappiness" = 60;
        };
        description = "Kernel settings, as `sysctl` names them. Null leaves one alone.";
      };
    };
    modprobeConfig.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether modprobe's configuration is generated.";
    };
  };

  options.system.modulesTree = mkOption {
    type = types.package;
    internal = true;
    description = "The folder with all kernel modules, as `lib/modules`.";
  };

  config = lib.mkMerge [
    {
      boot.kernelParams = [ "loglevel=${toString cfg.consoleLogLevel}" ];
      boot.kernel.sysctl = {
        "kernel.printk" = lib.mkDefault cfg.consoleLogLevel;
        # Kernel addresses help attackers and nobody else.
        "kernel.kptr_restrict" = lib.mkDefault 1;
        # Many services watch many files.
        "fs.inotify.max_user_instances" = lib.mkDefault 524288;
        "fs.inotify.max_user_watches" = lib.mkDefault 524288;
        "vm.max_map_count" = lib.mkDefault 1048576;
      };

      environment.etc = {
        "modules-load.d/nixos.conf".text = lib.concatMapStrings (module: module + "\n") (
          lib.unique cfg.kernelModules
        );
        "sysctl.d/60-nixos.conf".text = lib.concatStrings (
          lib.mapAttrsToList (
            name: value: lib.optionalString (value != null) "${name}=${sysctlText value}\n"
          ) cfg.kernel.sysctl
        );
      }
      // lib.optionalAttrs cfg.modprobeConfig.enable {
        "modprobe.d/nixos.conf".text =
          lib.concatMapStrings (module: "blacklist ${module}\n") (lib.unique cfg.blacklistedKernelModules)
          + cfg.extraModprobeConfig;
      };

      systemd.services.systemd-sysctl.restartTriggers = [
        config.environment.etc."sysctl.d/60-nixos.conf".source
      ];
      systemd.services.systemd-modules-load = {
        wantedBy = [ "multi-user.target" ];
        restartTriggers = [ config.environment.etc."modules-load.d/nixos.conf".source ];
        # A module that is not there is reported, but does not fail a switch.
        serviceConfig.SuccessExitStatus = "0 1";
      };

      assertions = [
        {
          assertion = cfg.kernelPatches == [ ];
          message = "boot.kernelPatches is set, but the kernel is a ready-made package here. Put a patched kernel in boot.kernelPackages.";
        }
      ];
    }
    (lib.mkIf cfg.kernel.enable {
      system.modulesTree =
        let
          trees = [ cfg.kernelPackages.kernel ] ++ cfg.extraModulePackages;
          inherit (cfg.kernelPackages) kernel;
        in
        pkgs.runCommand "kernel-modules"
          {
            nativeBuildInputs = [ pkgs.kmod ];
            inherit trees;
          }
          ''
            mkdir -p $out/lib/modules
            for tree in $trees; do
              if [ -d "$tree/lib/modules" ]; then
                cp -rs --no-preserve=mode "$tree"/lib/modules/. $out/lib/modules/
              fi
            done
            chmod -R u+w $out
            for version in $out/lib/modules/*; do
              rm -f "$version"/build "$version"/source "$version"/modules.{alias,dep,devname,softdep,symbols}*
              rm -f "$version"/modules.{alias,dep,builtin,symbols,builtin.alias}.bin
              depmod -b $out "$(basename "$version")"
            done
          '';

      # modprobe looks in /lib/modules; the kernel calls it where it is told that it is.
      system.activationScripts.kernel-modules = ''
        if [ -w /proc/sys/kernel/modprobe ]; then
          echo ${pkgs.kmod}/bin/modprobe > /proc/sys/kernel/modprobe || true
        fi
        if [ -e /run/booted-system/kernel-modules/lib/modules ]; then
          mkdir -m 0755 -p /lib
          if [ ! -e /lib/modules ] || [ -L /lib/modules ]; then
            ln -sfn /run/booted-system/kernel-modules/lib/modules /lib/.modules.tmp
            mv -fT /lib/.modules.tmp /lib/modules
          fi
        fi
      '';
    })
  ];
}
