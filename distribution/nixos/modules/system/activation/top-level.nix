# system.build.toplevel: the store path that is a system. It holds what activation needs to know (activation.json), what
# starts the system (init, kernel, initrd), and links to its parts.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.system;
  kernelUsed = !config.boot.isContainer;

  activation = {
    version = 1;
    etc = cfg.etc.specification;
    inherit (config.users.specification) users groups mutableUsers;
    scripts = cfg.activationScriptFiles;
    hostName = config.networking.hostName;
    unitDir = "${config.systemd.systemUnitFolder}";
  };

  shell = pkgs.runtimeShell;
  firn = "${pkgs.firn}/bin/firn";

  boot = {
    grub = {
      inherit (config.boot.loader.grub)
        enable
        devices
        efiSupport
        efiInstallAsRemovable
        configurationLimit
        extraConfig
        default
        ;
    };
    systemd-boot = {
      inherit (config.boot.loader.systemd-boot) enable configurationLimit editor;
    };
    efi = {
      inherit (config.boot.loader.efi) canTouchEfiVariables efiSysMountPoint;
    };
    inherit (config.boot.loader) timeout;
  };

  toplevel =
    pkgs.runCommand "nixos-system-${cfg.name}-${cfg.nixos.label}"
      {
        preferLocalBuild = true;
        allowSubstitutes = false;
        activation = builtins.toJSON activation;
        bootLoader = builtins.toJSON boot;
        init = config.system.build.initScript;
        kernelParams = toString config.boot.kernelParams;
        switch = ''
          #!${shell}
          exec ${firn} system-activate --toplevel @out@ "''${1-}"
        '';
        inherit (cfg) checks;
        extraDependencies = toString cfg.extraDependencies;
        passAsFile = [
          "activation"
          "bootLoader"
          "init"
          "kernelParams"
          "switch"
          "extraDependencies"
        ];
        passthru = { inherit config; };
      }
      (
        ''
          mkdir -p $out $out/bin
          cp "$activationPath" $out/activation.json
          cp "$bootLoaderPath" $out/boot-loader.json

          substitute "$initPath" $out/init --replace-fail @out@ "$out"
          chmod +x $out/init
          ln -s ${config.system.build.etc}/etc $out/etc
          ln -s ${cfg.path} $out/sw
          ln -s ${config.systemd.package} $out/systemd
          printf %s ${lib.escapeShellArg cfg.nixos.label} > $out/nixos-version
          printf %s ${lib.escapeShellArg pkgs.stdenv.hostPlatform.system} > $out/system
          printf %s ${lib.escapeShellArg config.boot.loader.initScript.interfaceVersion} > $out/init-interface-version
          cp "$kernelParamsPath" $out/kernel-params
          cp "$extraDependenciesPath" $out/extra-dependencies
        ''
        + lib.optionalString cfg.switch.enable ''
          substitute "$switchPath" $out/bin/switch-to-configuration --replace-fail @out@ "$out"
          chmod +x $out/bin/switch-to-configuration
        ''
        + lib.optionalString kernelUsed ''
          ln -s ${config.boot.kernelPackages.kernel}/${cfg.boot.loader.kernelFile} $out/kernel
          ln -s ${config.system.modulesTree} $out/kernel-modules
        ''
        + lib.optionalString (kernelUsed && config.boot.initrd.enable) ''
          ln -s ${config.system.build.initialRamdisk}/${cfg.boot.loader.initrdFile} $out/initrd
        ''
        + ''
          mkdir $out/specialisation
        ''
        + lib.concatStrings (
          lib.mapAttrsToList (
            name: special:
            "ln -s ${special.configuration.system.build.toplevel} $out/specialisation/${lib.escapeShellArg name}\n"
          ) config.specialisation
        )
        + ''
          ${cfg.systemBuilderCommands}
          ${cfg.extraSystemBuilderCmds}
        ''
      );

  failed = map (each: each.message) (lib.filter (each: !each.assertion) config.assertions);

  checked =
    if failed != [ ] then
      throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (message: "- ${message}") failed}"
    else
      lib.foldr lib.warn toplevel config.warnings;

  replaced = lib.foldr (
    { oldDependency ? null, newDependency ? null, original ? oldDependency, replacement ? newDependency }:
    result:
    pkgs.replaceDependency {
      drv = result;
      oldDependency = original;
      newDependency = replacement;
    }
  ) checked cfg.replaceDependencies.replacements;
in
{
  imports = [
    (lib.mkAliasOptionModule
      [ "system" "replaceRuntimeDependencies" ]
      [ "system" "replaceDependencies" "replacements" ]
    )
  ];

  options.system = {
    name = mkOption {
      type = types.str;
      default = if config.networking.hostName == "" then "unnamed" else config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      description = "The name of the system, as it appears in its store path.";
    };
    systemBuilderCommands = mkOption {
      type = types.lines;
      default = "";
      internal = true;
      description = "Shell text that adds to the folder of the system.";
    };
    extraSystemBuilderCmds = mkOption {
      type = types.lines;
      default = "";
      internal = true;
      description = "Shell text that adds to the folder of the system.";
    };
    extraDependencies = mkOption {
      type = types.listOf types.pathInStore;
      default = [ ];
      description = "Store paths that the system keeps from being collected as garbage.";
    };
    replaceDependencies.replacements = mkOption {
      type = types.listOf types.attrs;
      default = [ ];
      description = "Packages to exchange inside the built system without rebuilding what uses them.";
    };
    copySystemConfiguration = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to keep a copy of the configuration, the file that NIX_PATH names nixos-config, as `configuration.nix` in the system.";
    };
    switch.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the running system can be switched to this one.";
    };
    checks = mkOption {
      type = types.listOf types.package;
      default = [ ];
      internal = true;
      description = "Derivations that must build for the system to build.";
    };
    boot.loader = {
      kernelFile = mkOption {
        type = types.str;
        default = config.boot.kernelPackages.kernel.kernelFile or "bzImage";
        internal = true;
        description = "The kernel's file in its package.";
      };
      initrdFile = mkOption {
        type = types.str;
        default = "initrd";
        internal = true;
        description = "The initial ramdisk's file in its package.";
      };
      id = mkOption {
        type = types.str;
        default = "";
        internal = true;
        description = "The boot loader in use.";
      };
    };
  };

  config = {
    system.build.toplevel = replaced;
    system.extraSystemBuilderCmds = lib.mkIf cfg.copySystemConfiguration "ln -s ${<nixos-config>} $out/configuration.nix";
  };
}
