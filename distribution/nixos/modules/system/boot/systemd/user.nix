# systemd.user.*: units of the service managers of users.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.systemd.user;
  units = import ../../../../lib/systemd/units.nix { inherit lib pkgs utils; };
  layout = import ../../../../lib/systemd/layout.nix { inherit lib pkgs utils; };
  inherit (units) toUnit;

  ofKind =
    type: description:
    mkOption {
      type = types.attrsOf type;
      default = { };
      inherit description;
    };

  suffixed =
    suffix: make:
    lib.mapAttrs' (name: definition: lib.nameValuePair "${name}.${suffix}" (make definition));

  startTimers = lib.mapAttrs (name: service: {
    wantedBy = [ "timers.target" ];
    timerConfig.OnCalendar = service.startAt;
  }) (lib.filterAttrs (name: service: service.enable && service.startAt != [ ]) cfg.services);
in
{
  options.systemd.user = {
    units = ofKind units.types.unit "User units by file name.";
    services = ofKind units.types.service "User service units.";
    sockets = ofKind units.types.socket "User socket units.";
    timers = ofKind units.types.timer "User timer units.";
    paths = ofKind units.types.path "User path units.";
    targets = ofKind units.types.target "User target units.";
    slices = ofKind units.types.slice "User slice units.";
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "DefaultTimeoutStartSec=60";
      description = "Lines for the `[Manager]` section of `user.conf`.";
    };
    tmpfiles.rules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "D %C - - - 7d" ];
      description = "Rules of systemd-tmpfiles that apply to every user.";
    };
  };

  config = {
    systemd.user.timers = startTimers;
    systemd.user.units = lib.mkMerge [
      (suffixed "service" (toUnit.service { }) cfg.services)
      (suffixed "socket" toUnit.socket cfg.sockets)
      (suffixed "timer" toUnit.timer cfg.timers)
      (suffixed "path" toUnit.path cfg.paths)
      (suffixed "target" toUnit.target cfg.targets)
      (suffixed "slice" toUnit.slice cfg.slices)
    ];

    environment.etc = {
      "systemd/user".source = layout {
        name = "user-units";
        units = cfg.units;
        upstreamFolder = "${config.systemd.package}/lib/systemd/user";
        upstreamUnits = [
          "app.slice"
          "background.slice"
          "basic.target"
          "bluetooth.target"
          "default.target"
          "exit.target"
          "graphical-session-pre.target"
          "graphical-session.target"
          "paths.target"
          "printer.target"
          "session.slice"
          "shutdown.target"
          "smartcard.target"
          "sockets.target"
          "sound.target"
          "systemd-exit.service"
          "systemd-tmpfiles-clean.service"
          "systemd-tmpfiles-clean.timer"
          "systemd-tmpfiles-setup.service"
          "timers.target"
        ];
        packages = config.systemd.packages;
        unitFolders = [
          "etc/systemd/user"
          "lib/systemd/user"
        ];
      };
      "systemd/user.conf".text = ''
        [Manager]
        ${cfg.extraConfig}
      '';
    }
    // lib.optionalAttrs (cfg.tmpfiles.rules != [ ]) {
      "user-tmpfiles.d/00-system.conf".text = lib.concatMapStrings (rule: rule + "\n") cfg.tmpfiles.rules;
    };
  };
}
