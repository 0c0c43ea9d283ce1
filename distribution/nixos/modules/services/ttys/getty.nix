# services.getty: log-in prompts on consoles.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.getty;

  baseArguments = [
    "--login-program"
    cfg.loginProgram
  ]
  ++ lib.optionals (cfg.autologinUser != null && !cfg.autologinOnce) [
    "--autologin"
    cfg.autologinUser
  ]
  ++ lib.optionals (cfg.loginOptions != null) [
    "--login-options"
    (builtins.toJSON cfg.loginOptions)
  ]
  ++ cfg.extraArgs;

  command = arguments: [
    ""
    "${pkgs.util-linux}/bin/agetty ${lib.escapeShellArgs baseArguments} ${arguments}"
  ];
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "services" "mingetty" ] [ "services" "getty" ])
  ];

  options.services.getty = {
    autologinUser = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The user who is logged in on every console without being asked.";
    };
    autologinOnce = mkOption {
      type = types.bool;
      default = false;
      description = "Whether that happens on the first console alone, and once.";
    };
    loginProgram = mkOption {
      type = types.path;
      default = "${pkgs.shadow}/bin/login";
      defaultText = lib.literalExpression ''"''${pkgs.shadow}/bin/login"'';
      description = "The program that asks for the password.";
    };
    loginOptions = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "-h darkstar -- \\u";
      description = "Arguments of that program.";
    };
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--nohostname" ];
      description = "Further arguments of agetty.";
    };
    greetingLine = mkOption {
      type = types.str;
      default = ''<<< Welcome to ${config.system.nixos.distroName} ${config.system.nixos.label} (\m) - \l >>>'';
      defaultText = lib.literalMD "the name and version of the system";
      description = "The first line on a console.";
    };
    helpLine = mkOption {
      type = types.lines;
      default = "";
      description = "Lines below the first one.";
    };
  };

  config = {
    environment.etc.issue = lib.mkDefault {
      text = ''

        ${cfg.greetingLine}
        ${cfg.helpLine}
      '';
    };

    systemd.services."getty@" = {
      serviceConfig.ExecStart = command "--noclear --keep-baud %I 115200,38400,9600 $TERM";
      restartIfChanged = false;
    };
    systemd.services."serial-getty@" = {
      serviceConfig.ExecStart = command "%I --keep-baud 115200,57600,38400,9600 $TERM";
      restartIfChanged = false;
    };
    systemd.services."container-getty@" = {
      serviceConfig.ExecStart = command "--noclear --keep-baud pts/%I 115200,38400,9600 $TERM";
      restartIfChanged = false;
    };
    systemd.services.console-getty = {
      serviceConfig.ExecStart = command "--noclear --keep-baud console 115200,38400,9600 $TERM";
      serviceConfig.Restart = "always";
      restartIfChanged = false;
      enable = lib.mkDefault config.boot.isContainer;
      wantedBy = lib.optional config.boot.isContainer "getty.target";
    };
    systemd.targets.getty.wants = lib.mkIf (config.console.enable && !config.boot.isContainer) [ "getty@tty1.service" ];
  };
}
