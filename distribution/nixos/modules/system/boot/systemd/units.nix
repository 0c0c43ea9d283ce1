# systemd.services, .sockets, … : units as options, and the one folder they all end up in.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.systemd;
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

  listed =
    make: definitions:
    lib.listToAttrs (map (definition: lib.nameValuePair definition.name (make definition)) definitions);

  # A timer for each service that says when it starts.
  startTimers = lib.mapAttrs (name: service: {
    wantedBy = [ "timers.target" ];
    timerConfig.OnCalendar = service.startAt;
  }) (lib.filterAttrs (name: service: service.enable && service.startAt != [ ]) cfg.services);

  contradiction =
    name: service:
    let
      settings = service.serviceConfig;
      type = settings.Type or "simple";
    in
    lib.optional (service.confinement.enable)
      "systemd.services.${name}.confinement is not available here; use ProtectSystem, TemporaryFileSystem and the like in serviceConfig."
    ++
      lib.optional (type != "oneshot" && builtins.isList (settings.ExecStart or null) && lib.length (lib.filter (c: c != "") settings.ExecStart) > 1)
        "systemd.services.${name} has several ExecStart commands, which only Type = \"oneshot\" allows."
    ++
      lib.optional (type == "oneshot" && lib.elem (settings.Restart or "no") [ "always" "on-success" ])
        "systemd.services.${name} is Type = \"oneshot\" with Restart = \"${settings.Restart}\", which systemd refuses."
    ++
      lib.optional (service.reloadIfChanged && service.reloadTriggers != [ ])
        "systemd.services.${name} has both reloadIfChanged and reloadTriggers; use one of them.";
in
{
  options.systemd = {
    units = mkOption {
      type = types.attrsOf units.types.unit;
      default = { };
      description = "Units by file name. Mostly made from {option}`systemd.services` and its neighbours.";
    };
    services = ofKind units.types.service "Service units.";
    sockets = ofKind units.types.socket "Socket units.";
    timers = ofKind units.types.timer "Timer units.";
    paths = ofKind units.types.path "Path units.";
    targets = ofKind units.types.target "Target units.";
    slices = ofKind units.types.slice "Slice units.";
    mounts = mkOption {
      type = types.listOf units.types.mount;
      default = [ ];
      description = "Mount units. Their names follow from `where`, so this is a list.";
    };
    automounts = mkOption {
      type = types.listOf units.types.automount;
      default = [ ];
      description = "Automount units. Their names follow from `where`, so this is a list.";
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages that bring units, in `etc/systemd/system`, `lib/systemd/system` or the `user` folders beside them.";
    };
    globalEnvironment = mkOption {
      type = types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.str
            types.path
            types.package
          ]
        )
      );
      default = { };
      example = {
        TZ = "CET";
      };
      description = "Environment variables of every service.";
    };
    defaultUnit = mkOption {
      type = types.str;
      default = "multi-user.target";
      description = "The unit that the system starts.";
    };
    ctrlAltDelUnit = mkOption {
      type = types.str;
      default = "reboot.target";
      example = "poweroff.target";
      description = "The unit to start when Ctrl-Alt-Delete is pressed on the console.";
    };
    suppressedSystemUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "systemd-backlight@.service" ];
      description = "Units of systemd's own package to leave out.";
    };
    additionalUpstreamSystemUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "debug-shell.service" ];
      description = "More units of systemd's own package to take in.";
    };
    systemUnitFolder = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "The folder of all units of the system.";
    };
  };

  config = {
    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: service:
        map (message: {
          assertion = false;
          inherit message;
        }) (contradiction name service)
      ) cfg.services
    );

    systemd.timers = startTimers;

    systemd.units = lib.mkMerge [
      (suffixed "service" (toUnit.service cfg.globalEnvironment) cfg.services)
      (suffixed "socket" toUnit.socket cfg.sockets)
      (suffixed "timer" toUnit.timer cfg.timers)
      (suffixed "path" toUnit.path cfg.paths)
      (suffixed "target" toUnit.target cfg.targets)
      (suffixed "slice" toUnit.slice cfg.slices)
      (listed toUnit.mount cfg.mounts)
      (listed toUnit.automount cfg.automounts)
    ];

    systemd.systemUnitFolder = layout {
      name = "system-units";
      units = cfg.units;
      upstreamFolder = "${cfg.package}/lib/systemd/system";
      upstreamUnits = lib.subtractLists cfg.suppressedSystemUnits (
        import ./upstream-units.nix ++ cfg.additionalUpstreamSystemUnits
      );
      knownUnits = import ./upstream-units.nix ++ cfg.additionalUpstreamSystemUnits;
      packages = cfg.packages;
      unitFolders = [
        "etc/systemd/system"
        "lib/systemd/system"
      ];
      links = {
        "default.target" = cfg.defaultUnit;
        "ctrl-alt-del.target" = cfg.ctrlAltDelUnit;
        "autovt@.service" = "getty@.service";
        "dbus-org.freedesktop.login1.service" = "systemd-logind.service";
        "dbus-org.freedesktop.hostname1.service" = "systemd-hostnamed.service";
        "dbus-org.freedesktop.timedate1.service" = "systemd-timedated.service";
        "dbus-org.freedesktop.locale1.service" = "systemd-localed.service";
      };
    };
    environment.etc."systemd/system".source = cfg.systemUnitFolder;
  };
}
