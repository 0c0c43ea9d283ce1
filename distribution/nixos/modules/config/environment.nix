# environment.*: variables, aliases and start-up text of shells, and the file that sets them.
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

  value = types.nullOr (
    types.oneOf [
      (types.listOf (
        types.oneOf [
          types.int
          types.str
          types.path
        ]
      ))
      types.int
      types.str
      types.path
      types.float
    ]
  );
  # A list is a search path: its parts are joined with colons.
  variables =
    description: example:
    mkOption {
      type = types.attrsOf value;
      default = { };
      apply =
        let
          text = v: if builtins.isList v then lib.concatMapStringsSep ":" toString v else toString v;
        in
        set: lib.mapAttrs (_: text) (lib.filterAttrs (_: v: v != null) set);
      inherit description example;
    };

  lines =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };

  exported = cfg.variables;
  # PATH and its like: each profile's folders, in the order of the profiles.
  relative = lib.mapAttrs (
    _: suffixes: lib.concatMapStringsSep ":" (profile: lib.concatMapStringsSep ":" (suffix: profile + suffix) suffixes) cfg.profiles
  ) cfg.profileRelativeEnvVars;
  joined = lib.mapAttrs (
    name: text: if exported ? ${name} && exported.${name} != "" then "${exported.${name}}:${text}" else text
  ) relative;

  export = name: text: "export ${name}=\"${text}\"\n";
in
{
  options.environment = {
    variables =
      variables "Environment variables of shells. A list is joined with colons, and definitions of one list from several modules add up."
        {
          EDITOR = "nvim";
        };
    sessionVariables =
      variables "Environment variables of every session, set by PAM when it opens, and of shells."
        {
          MOZ_ENABLE_WAYLAND = "1";
        };
    profiles = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Profiles whose folders search paths are made of, the first with the highest priority.";
    };
    profileRelativeEnvVars = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        PATH = [ "/bin" ];
      };
      description = "Search path variables, with the folders inside each profile that they consist of.";
    };
    profileRelativeSessionVariables = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        PATH = [ "/bin" ];
      };
      description = "As {option}`environment.profileRelativeEnvVars`, set by PAM when a session opens.";
    };
    shellInit = lines "Shell text that every shell runs first.";
    loginShellInit = lines "Shell text that login shells run.";
    interactiveShellInit = lines "Shell text that interactive shells run.";
    extraInit = lines "Shell text that sets further variables, run once for each session.";
    shellAliases = mkOption {
      type = types.attrsOf (types.nullOr (types.either types.str types.path));
      default = { };
      example = {
        l = null;
        ll = "ls -l";
      };
      description = "Aliases of all shells. Null removes one.";
    };
    shells = mkOption {
      type = types.listOf (types.either types.shellPackage types.path);
      default = [ ];
      description = "Shells that may be login shells; they are listed in `/etc/shells`.";
    };
    binsh = mkOption {
      type = types.path;
      default = "${pkgs.bashInteractive}/bin/sh";
      defaultText = lib.literalExpression ''"''${pkgs.bashInteractive}/bin/sh"'';
      visible = false;
      description = "The shell that `/bin/sh` is.";
    };
    usrbinenv = mkOption {
      type = types.nullOr types.path;
      default = "${pkgs.coreutils}/bin/env";
      defaultText = lib.literalExpression ''"''${pkgs.coreutils}/bin/env"'';
      description = "The program that `/usr/bin/env` is, or null for none.";
    };
    homeBinInPath = mkOption {
      type = types.bool;
      default = false;
      description = "Whether `~/bin` is in PATH.";
    };
    localBinInPath = mkOption {
      type = types.bool;
      default = false;
      description = "Whether `~/.local/bin` is in PATH.";
    };
  };

  config = {
    environment.profiles = lib.mkAfter [
      "/nix/var/nix/profiles/default"
      "/run/current-system/sw"
    ];
    environment.profileRelativeSessionVariables = {
      PATH = [ "/bin" ];
      INFOPATH = [
        "/info"
        "/share/info"
      ];
      XDG_CONFIG_DIRS = [ "/etc/xdg" ];
      XDG_DATA_DIRS = [ "/share" ];
      TERMINFO_DIRS = [ "/share/terminfo" ];
    };
    environment.profileRelativeEnvVars = lib.mkMerge [
      cfg.profileRelativeSessionVariables
    ];
    environment.variables = lib.mkMerge [
      (lib.mapAttrs (_: lib.mkDefault) cfg.sessionVariables)
      {
        NIXPKGS_CONFIG = lib.mkDefault "/etc/nix/nixpkgs-config.nix";
        PAGER = lib.mkOverride 1200 "less";
        EDITOR = lib.mkOverride 1200 "nano";
        XDG_CONFIG_DIRS = [ "/etc/xdg" ];
      }
    ];
    environment.shellAliases = lib.mapAttrs (_: lib.mkDefault) {
      ls = "ls --color=tty";
      ll = "ls -l";
      l = "ls -alh";
    };
    environment.shells = [
      "/run/current-system/sw/bin/bash"
      "/run/current-system/sw/bin/sh"
      "${pkgs.bashInteractive}/bin/bash"
      "${pkgs.bashInteractive}/bin/sh"
    ];

    environment.etc.shells.text = lib.concatMapStrings (shell: "${utils.toShellPath shell}\n") cfg.shells + "/bin/sh\n";

    system.build.setEnvironment = pkgs.writeText "set-environment" (
      ''
        # The environment of shells. It is read once in a session.
        export __NIXOS_SET_ENVIRONMENT_DONE=1
        : "''${XDG_STATE_HOME:=$HOME/.local/state}"
      ''
      + lib.concatStrings (lib.mapAttrsToList export (exported // joined))
      + lib.optionalString cfg.homeBinInPath "export PATH=\"$HOME/bin:$PATH\"\n"
      + lib.optionalString cfg.localBinInPath "export PATH=\"$HOME/.local/bin:$PATH\"\n"
      # Programs that need more rights than their caller come first.
      + "export PATH=\"${config.security.wrapperDir}:$PATH\"\n"
      + cfg.extraInit
    );
    environment.etc.set-environment.source = config.system.build.setEnvironment;

    # What PAM sets when a session opens; $HOME is written as PAM knows it.
    environment.etc."pam/environment".text =
      let
        plain = lib.mapAttrs (_: text: text) cfg.sessionVariables;
        paths = lib.mapAttrs (
          name: suffixes:
          lib.concatStringsSep ":" (
            lib.optional (name == "PATH") config.security.wrapperDir
            ++ lib.optional (plain ? ${name}) plain.${name}
            ++ lib.concatMap (profile: map (suffix: profile + suffix) suffixes) (
              # Profiles with other variables in them cannot be expressed there.
              lib.filter (profile: !(lib.hasInfix "XDG_STATE_HOME" profile)) cfg.profiles
            )
          )
        ) cfg.profileRelativeSessionVariables;
        pamText =
          builtins.replaceStrings [ "$HOME" "$USER" ] [ "@{HOME}" "@{PAM_USER}" ];
      in
      lib.concatStrings (
        lib.mapAttrsToList (name: text: "${name} DEFAULT=\"${pamText text}\"\n") (plain // paths)
      );
  };
}
