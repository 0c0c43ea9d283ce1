# programs.bash: how bash starts.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.programs.bash;
  environment = config.environment;

  aliases = lib.concatStringsSep "\n" (
    lib.mapAttrsToList (name: value: "alias -- ${name}=${lib.escapeShellArg (toString value)}") (
      lib.filterAttrs (_: value: value != null) cfg.shellAliases
    )
  );
  readEnvironment = ''
    if [ -z "$__NIXOS_SET_ENVIRONMENT_DONE" ]; then
      . ${config.system.build.setEnvironment}
    fi
  '';
in
{
  options.programs.bash = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether bash is set up.";
    };
    shellAliases = mkOption {
      type = types.attrsOf (types.nullOr (types.either types.str types.path));
      default = { };
      description = "Aliases of bash.";
    };
    shellInit = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that every bash runs first.";
    };
    loginShellInit = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that bash runs as a login shell.";
    };
    interactiveShellInit = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text that bash runs for a terminal.";
    };
    promptInit = mkOption {
      type = types.lines;
      default = ''
        # Red for root, green for everybody else.
        if [ "$TERM" != dumb ]; then
          if [ "$UID" = 0 ]; then PS1_COLOR=31; else PS1_COLOR=32; fi
          PS1="\n\[\033[1;''${PS1_COLOR}m\][\u@\h:\w]\\$\[\033[0m\] "
        fi
      '';
      description = "Shell text that sets the prompt.";
    };
    promptPluginInit = mkOption {
      type = types.lines;
      default = "";
      internal = true;
      description = "Shell text of extensions of the prompt.";
    };
    completion = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether the Tab key completes arguments of programs.";
      };
      package = mkOption {
        type = types.nullOr types.package;
        default = pkgs.bash-completion or null;
        defaultText = lib.literalExpression "pkgs.bash-completion";
        description = "The package that does so.";
      };
    };
    vteIntegration = mkOption {
      type = types.bool;
      default = false;
      description = "Whether terminals learn the current folder. Accepted.";
    };
  };

  options.users.defaultUserShell = mkOption {
    type = types.either types.path types.shellPackage;
    default = pkgs.bashInteractive;
    defaultText = lib.literalExpression "pkgs.bashInteractive";
    example = lib.literalExpression "pkgs.zsh";
    description = "The shell of users who have no other.";
  };

  config = lib.mkIf cfg.enable {
    programs.bash.shellAliases = lib.mapAttrs (_: lib.mkDefault) environment.shellAliases;

    environment.etc = {
      profile.text = ''
        # Login shells read this. It is made from the system's configuration.
        if [ -n "$__ETC_PROFILE_SOURCED" ]; then return; fi
        __ETC_PROFILE_SOURCED=1
        export __ETC_PROFILE_DONE=1
        ${readEnvironment}
        ${environment.shellInit}
        ${cfg.shellInit}
        ${environment.loginShellInit}
        ${cfg.loginShellInit}
        if [ -f /etc/profile.local ]; then . /etc/profile.local; fi
        if [ -n "''${BASH_VERSION:-}" ]; then . /etc/bashrc; fi
      '';
      bashrc.text = ''
        # Interactive shells read this. It is made from the system's configuration.
        if [ -n "$__ETC_BASHRC_SOURCED" ]; then return; fi
        __ETC_BASHRC_SOURCED=1
        if [ -z "$__ETC_PROFILE_DONE" ]; then . /etc/profile; fi
        if [ -n "$PS1" ]; then
          shopt -s checkwinsize
          ${cfg.promptInit}
          ${cfg.promptPluginInit}
          ${aliases}
          ${lib.optionalString (cfg.completion.enable && cfg.completion.package != null) ''
            if shopt -q progcomp; then
              . ${cfg.completion.package}/share/bash-completion/bash_completion
            fi
          ''}
          ${environment.interactiveShellInit}
          ${cfg.interactiveShellInit}
        fi
        if [ -f /etc/bashrc.local ]; then . /etc/bashrc.local; fi
      '';
      inputrc.text = lib.mkDefault ''
        # Keys of the command line.
        set meta-flag on
        set input-meta on
        set convert-meta off
        set output-meta on
        "\e[1~": beginning-of-line
        "\e[4~": end-of-line
        "\e[3~": delete-char
        "\e[5C": forward-word
        "\e[5D": backward-word
        "\e[1;5C": forward-word
        "\e[1;5D": backward-word
        "\e[H": beginning-of-line
        "\e[F": end-of-line
      '';
    };
    environment.sessionVariables.INPUTRC = lib.mkDefault "/etc/inputrc";
    environment.systemPackages = lib.optional (
      cfg.completion.enable && cfg.completion.package != null
    ) cfg.completion.package;
  };
}
