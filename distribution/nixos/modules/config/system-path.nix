# environment.systemPackages: the packages in everybody's PATH, joined into one folder.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.environment;

  # What a system cannot do without: activation, units and administrators rely on these.
  required = utils.available [
    "acl"
    "attr"
    "bashInteractive"
    "bzip2"
    "coreutils"
    "cpio"
    "curl"
    "diffutils"
    "findutils"
    "firn"
    "gawk"
    "getent"
    "glibc-bin"
    "gnugrep"
    "gnupatch"
    "gnused"
    "gnutar"
    "gzip"
    "iproute2"
    "iputils"
    "kmod"
    "less"
    "libcap"
    "ncurses"
    "netcat"
    "nettools"
    "procps"
    "shadow"
    "su"
    "time"
    "util-linux"
    "which"
    "xz"
    "zstd"
  ];
in
{
  options.environment = {
    systemPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.git pkgs.vim ]";
      description = "Packages in the PATH of all users.";
    };
    defaultPackages = mkOption {
      type = types.listOf types.package;
      default = utils.available [
        "perl"
        "rsync"
        "strace"
      ];
      defaultText = lib.literalMD "perl, rsync and strace, where the package set has them";
      description = "Packages that a system can do without, but that users expect. An empty list makes a smaller system.";
    };
    corePackages = mkOption {
      type = types.listOf types.package;
      default = required;
      defaultText = lib.literalMD "what activation, units and administrators rely on";
      description = "Packages that every system has.";
    };
    pathsToLink = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/" ];
      description = "The folders of packages that `/run/current-system/sw` shows.";
    };
    extraOutputsToInstall = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "dev"
        "info"
      ];
      description = "Further outputs of packages to install.";
    };
    extraSetup = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that changes the joined folder `$out` when it is built.";
    };
  };

  options.system.path = mkOption {
    internal = true;
    type = types.package;
    description = "The folder that joins all packages of the system.";
  };

  config = {
    environment.systemPackages = cfg.corePackages ++ cfg.defaultPackages;
    environment.pathsToLink = [
      "/bin"
      "/etc/xdg"
      "/etc/gtk-2.0"
      "/etc/gtk-3.0"
      "/lib"
      "/sbin"
      "/share/emacs"
      "/share/hunspell"
      "/share/org"
      "/share/themes"
      "/share/vulkan"
      "/share/kservices5"
      "/share/kservicetypes5"
      "/share/thumbnailers"
      "/share/terminfo"
      "/share/locale"
      "/share/man"
      "/share/doc"
      "/share/info"
      "/share/bash-completion"
      "/share/nano"
    ];
    system.path = pkgs.buildEnv {
      name = "system-path";
      paths = cfg.systemPackages;
      inherit (cfg) pathsToLink extraOutputsToInstall;
      ignoreCollisions = true;
      postBuild = cfg.extraSetup;
    };
  };
}
