# security.sudo and security.doas: acting as another user.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.security.sudo;
  doas = config.security.doas;

  command = types.either types.str (
    types.submodule {
      options = {
        command = mkOption {
          type = types.str;
          description = "The program, or `ALL`.";
        };
        options = mkOption {
          type = types.listOf (
            types.enum [
              "NOPASSWD"
              "PASSWD"
              "NOEXEC"
              "EXEC"
              "SETENV"
              "NOSETENV"
              "LOG_INPUT"
              "NOLOG_INPUT"
              "LOG_OUTPUT"
              "NOLOG_OUTPUT"
              "MAIL"
              "NOMAIL"
              "FOLLOW"
              "NOFOLLLOW"
              "INTERCEPT"
              "NOINTERCEPT"
            ]
          );
          default = [ ];
          description = "How it may be run.";
        };
      };
    }
  );
  rule = types.submodule {
    options = {
      commands = mkOption {
        type = types.listOf command;
        description = "The programs.";
      };
      host = mkOption {
        type = types.str;
        default = "ALL";
        description = "The machine.";
      };
      runAs = mkOption {
        type = types.str;
        default = "ALL:ALL";
        description = "As whom they may be run.";
      };
      users = mkOption {
        type = types.listOf (types.either types.str types.int);
        default = [ ];
        description = "The users.";
      };
      groups = mkOption {
        type = types.listOf (types.either types.str types.int);
        default = [ ];
        description = "The groups.";
      };
    };
  };

  commandText =
    each:
    if builtins.isString each then
      each
    else
      lib.concatStrings (map (option: "${option}: ") each.options) + each.command;
  ruleText =
    each:
    let
      right = "${each.host}=(${each.runAs}) ${lib.concatMapStringsSep ", " commandText each.commands}\n";
      user = name: if builtins.isInt name then "#${toString name}" else name;
      group = name: if builtins.isInt name then "%#${toString name}" else "%${name}";
    in
    lib.optionalString (each.commands != [ ]) (
      lib.concatMapStrings (name: "${user name} ${right}") each.users
      + lib.concatMapStrings (name: "${group name} ${right}") each.groups
    );

  doasRule =
    each:
    let
      options =
        lib.optional each.noPass "nopass"
        ++ lib.optional each.noLog "nolog"
        ++ lib.optional each.persist "persist"
        ++ lib.optional each.keepEnv "keepenv"
        ++ lib.optional (each.setEnv != [ ]) "setenv { ${lib.concatStringsSep " " each.setEnv} }";
      rest =
        lib.optionalString (each.runAs != null) " as ${each.runAs}"
        + lib.optionalString (each.cmd != null) " cmd ${each.cmd}"
        + lib.optionalString (each.cmd != null && each.args != null) " args ${lib.concatStringsSep " " each.args}";
    in
    lib.concatMapStrings (who: "permit ${lib.concatStringsSep " " options} ${who}${rest}\n") (
      map toString each.users ++ map (group: ":${toString group}") each.groups
    );
in
{
  options.security.sudo = {
    enable = mkOption {
      type = types.bool;
      default = pkgs ? sudo;
      defaultText = lib.literalMD "whether there is a package of it";
      description = "Whether users of the group wheel can act as root with `sudo`.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.sudo or (throw "security.sudo.enable is set, but there is no package sudo; use security.doas or su.");
      defaultText = lib.literalExpression "pkgs.sudo";
      description = "The package.";
    };
    wheelNeedsPassword = mkOption {
      type = types.bool;
      default = true;
      description = "Whether they have to give their password.";
    };
    execWheelOnly = mkOption {
      type = types.bool;
      default = false;
      description = "Whether only they can run the program at all.";
    };
    keepTerminfo = mkOption {
      type = types.bool;
      default = true;
      description = "Whether programs run by sudo find descriptions of terminals.";
    };
    defaultOptions = mkOption {
      type = types.listOf types.str;
      default = [ "SETENV" ];
      description = "How root and the group wheel may run programs.";
    };
    extraRules = mkOption {
      type = types.listOf rule;
      default = [ ];
      description = "Who else may run what.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for the end of `sudoers`.";
    };
    configFile = mkOption {
      type = types.lines;
      description = "The text of `sudoers`.";
    };
  };

  options.security.doas = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether users can act as others with `doas`.";
    };
    wheelNeedsPassword = mkOption {
      type = types.bool;
      default = true;
      description = "Whether users of the group wheel have to give their password.";
    };
    extraRules = mkOption {
      default = [ ];
      description = "Who may run what.";
      type = types.listOf (
        types.submodule {
          options =
            let
              flag =
                description:
                mkOption {
                  type = types.bool;
                  default = false;
                  inherit description;
                };
            in
            {
              noPass = flag "Whether no password is asked for.";
              noLog = flag "Whether it is not logged.";
              persist = flag "Whether the password is not asked for again for a while.";
              keepEnv = flag "Whether environment variables are kept.";
              setEnv = mkOption {
                type = types.listOf types.str;
                default = [ ];
                description = "Environment variables to keep or set.";
              };
              users = mkOption {
                type = types.listOf (types.either types.str types.int);
                default = [ ];
                description = "The users.";
              };
              groups = mkOption {
                type = types.listOf (types.either types.str types.int);
                default = [ ];
                description = "The groups.";
              };
              runAs = mkOption {
                type = types.nullOr types.str;
                default = null;
                description = "As whom.";
              };
              cmd = mkOption {
                type = types.nullOr types.str;
                default = null;
                description = "The program.";
              };
              args = mkOption {
                type = types.nullOr (types.listOf types.str);
                default = null;
                description = "Its arguments.";
              };
            };
        }
      );
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for the end of `doas.conf`.";
    };
  };

  config = lib.mkMerge [
    (lib.mkIf cfg.enable {
      security.sudo.extraRules = lib.mkMerge [
        (lib.mkOrder 600 [
          {
            users = [ "root" ];
            commands = [
              {
                command = "ALL";
                options = cfg.defaultOptions;
              }
            ];
          }
          {
            groups = [ "wheel" ];
            commands = [
              {
                command = "ALL";
                options = cfg.defaultOptions ++ lib.optional (!cfg.wheelNeedsPassword) "NOPASSWD";
              }
            ];
          }
        ])
      ];
      security.sudo.configFile = lib.mkMerge [
        ''
          # Made from the system's configuration (security.sudo); changes here are lost.
          Defaults env_keep+="SSH_AUTH_SOCK"
          Defaults secure_path="${config.security.wrapperDir}:/run/current-system/sw/bin"
        ''
        (lib.optionalString cfg.keepTerminfo "Defaults env_keep+=\"TERMINFO_DIRS TERMINFO\"\n")
        (lib.concatMapStrings ruleText cfg.extraRules)
        cfg.extraConfig
      ];
      security.wrappers.sudo = {
        source = "${cfg.package}/bin/sudo";
        owner = "root";
        group = if cfg.execWheelOnly then "wheel" else "root";
        setuid = true;
        permissions = if cfg.execWheelOnly then "u+rx,g+x" else "u+rx,g+x,o+x";
      };
      security.pam.services.sudo = { };
      environment.systemPackages = [ cfg.package ];
      environment.etc.sudoers = {
        mode = "0440";
        source = pkgs.writeText "sudoers" cfg.configFile;
      };
    })
    (lib.mkIf doas.enable {
      security.doas.extraRules = lib.mkOrder 600 [
        {
          groups = [ "wheel" ];
          noPass = !doas.wheelNeedsPassword;
        }
      ];
      security.wrappers.doas = {
        source = "${pkgs.doas or (throw "security.doas.enable is set, but there is no package doas")}/bin/doas";
        owner = "root";
        group = "root";
        setuid = true;
      };
      security.pam.services.doas = { };
      environment.etc."doas.conf" = {
        mode = "0440";
        text = lib.concatMapStrings doasRule doas.extraRules + doas.extraConfig;
      };
    })
  ];
}
