# Small programs.*: options that install something, and options that are accepted because configurations name them.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;

  # programs.<name>.enable that installs one package.
  simple = {
    htop = "htop";
    tmux = "tmux";
    mtr = "mtr";
    screen = "screen";
    iotop = "iotop";
    iftop = "iftop";
    tcpdump = "tcpdump";
    direnv = "direnv";
    fish = "fish";
    zsh = "zsh";
  };
  accepted = description: mkOption {
    type = types.bool;
    default = false;
    inherit description;
  };
in
{
  options.programs =
    lib.mapAttrs (name: package: {
      enable = lib.mkEnableOption name;
      package = mkOption {
        type = types.package;
        default = pkgs.${package} or (throw "programs.${name}.enable is set, but there is no package ${package}");
        defaultText = lib.literalExpression "pkgs.${package}";
        description = "The package.";
      };
    }) simple
    // {
      command-not-found.enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the shell names the package of a command that is not installed. Accepted; there is no index to look in.";
      };
      nix-ld.enable = accepted "Whether programs made for other distributions find a loader. Accepted; not available yet.";
      mosh.enable = accepted "Whether mosh is installed. Accepted; not available yet.";
      gnupg.agent.enable = accepted "Whether the agent of GnuPG runs for users. Accepted; not available yet.";
    };

  config.environment.systemPackages = lib.concatLists (
    lib.mapAttrsToList (
      name: _: lib.optional config.programs.${name}.enable config.programs.${name}.package
    ) simple
  );
  config.warnings = lib.concatLists (
    lib.mapAttrsToList
      (
        name: on: lib.optional on "programs.${name}.enable has no effect: it is not available yet."
      )
      {
        nix-ld = config.programs.nix-ld.enable;
        mosh = config.programs.mosh.enable;
        "gnupg.agent" = config.programs.gnupg.agent.enable;
        "command-not-found" = config.programs.command-not-found.enable;
      }
  );
}
