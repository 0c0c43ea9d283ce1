# Units: sections, scripts, dependencies, and the keys that a switch reads.
t:
let
  config = t.machine (
    { pkgs, ... }:
    {
      systemd.globalEnvironment.EVERYWHERE = "yes";
      systemd.services.work = {
        description = "Does the work";
        wantedBy = [ "multi-user.target" ];
        after = [
          "network.target"
          "dbus.service"
        ];
        environment.GREETING = "hello \"you\"";
        path = [ pkgs.curl ];
        preStart = "echo before";
        script = "echo work";
        scriptArgs = "%i";
        postStop = "echo after";
        serviceConfig = {
          Restart = "on-failure";
          ReadWritePaths = [
            "/a"
            "/b"
          ];
          PrivateTmp = true;
        };
        restartTriggers = [ "one" ];
        stopIfChanged = false;
        startLimitBurst = 3;
      };
      systemd.services.polite = {
        reloadIfChanged = true;
        serviceConfig.ExecStart = "/bin/true";
      };
      systemd.services.still = {
        restartIfChanged = false;
        serviceConfig.ExecStart = "/bin/true";
      };
      systemd.services.daily = {
        startAt = "03:15";
        script = "true";
      };
      systemd.services.clear.serviceConfig.ExecStart = [
        ""
        "/bin/true"
      ];
      systemd.services."instance@one" = {
        overrideStrategy = "asDropin";
        wantedBy = [ "multi-user.target" ];
      };
      systemd.sockets.door = {
        listenStreams = [ "/run/door" ];
        wantedBy = [ "sockets.target" ];
      };
      systemd.mounts = [
        {
          what = "tmpfs";
          where = "/var/a-b";
          type = "tmpfs";
          options = "size=1m";
        }
      ];
      systemd.tmpfiles.settings."10-mine"."/var/lib/mine".d = {
        mode = "0750";
        user = "nobody";
      };
    }
  );
  work = t.unit config "work.service";
  trigger = text: t.values "X-Restart-Triggers" text;
  other =
    (t.machine {
      systemd.services.work = {
        script = "true";
        restartTriggers = [ "two" ];
      };
    });
  utils = import ../../nixos/lib/utils.nix {
    inherit (t) lib;
    pkgs = { };
  };
in
{
  description = {
    expr = t.values "Description" work;
    expected = [ "Does the work" ];
  };
  listsOfUnitsAreOneLine = {
    expr = t.values "After" work;
    expected = [ "network.target dbus.service" ];
  };
  listsOfSettingsAreSeveralLines = {
    expr = t.values "ReadWritePaths" work;
    expected = [
      "/a"
      "/b"
    ];
  };
  booleans = {
    expr = t.values "PrivateTmp" work;
    expected = [ "true" ];
  };
  environmentIsQuoted = {
    expr = t.line work ''Environment="GREETING=hello \"you\""'';
    expected = true;
  };
  globalEnvironment = {
    expr = t.line work ''Environment="EVERYWHERE=yes"'';
    expected = true;
  };
  scriptArguments = {
    expr = map (t.lib.hasSuffix "-unit-script-work-start %i") (t.values "ExecStart" work);
    expected = [ true ];
  };
  scriptsBeforeAndAfter = {
    expr = [
      (map (t.lib.hasSuffix "-unit-script-work-pre-start") (t.values "ExecStartPre" work))
      (map (t.lib.hasSuffix "-unit-script-work-post-stop") (t.values "ExecStopPost" work))
    ];
    expected = [
      [ true ]
      [ true ]
    ];
  };
  pathHoldsPackagesThenTheUsual = {
    expr = builtins.match ".*/bin:.*-coreutils-.*" (toString config.systemd.services.work.environment.PATH) != null;
    expected = true;
  };
  stopIfChanged = {
    expr = t.values "X-StopIfChanged" work;
    expected = [ "false" ];
  };
  reloadIfChanged = {
    expr = t.values "X-ReloadIfChanged" (t.unit config "polite.service");
    expected = [ "true" ];
  };
  restartIfChanged = {
    expr = t.values "X-RestartIfChanged" (t.unit config "still.service");
    expected = [ "false" ];
  };
  triggersChangeTheUnit = {
    expr = builtins.length (trigger work) == 1 && trigger work != trigger (t.unit other "work.service");
    expected = true;
  };
  startLimit = {
    expr = t.values "StartLimitBurst" work;
    expected = [ "3" ];
  };
  startAtMakesATimer = {
    expr = [
      (t.values "OnCalendar" (t.unit config "daily.timer"))
      config.systemd.units."daily.timer".wantedBy
    ];
    expected = [
      [ "03:15" ]
      [ "timers.target" ]
    ];
  };
  emptyValueResetsAList = {
    expr = t.values "ExecStart" (t.unit config "clear.service");
    expected = [
      ""
      "/bin/true"
    ];
  };
  sockets = {
    expr = t.values "ListenStream" (t.unit config "door.socket");
    expected = [ "/run/door" ];
  };
  mountsAreNamedAfterTheirPlace = {
    expr = t.values "Options" (t.unit config "var-a\\x2db.mount");
    expected = [ "size=1m" ];
  };
  escapedPaths = {
    expr = map utils.escapeSystemdPath [
      "/"
      "/var//lib/"
      "/a b"
      "/.hidden"
    ];
    expected = [
      "-"
      "var-lib"
      "a\\x20b"
      "\\x2ehidden"
    ];
  };
  escapedArguments = {
    expr = utils.escapeSystemdExecArgs [
      "a b"
      "100%"
      "$HOME"
      7
    ];
    expected = ''"a b" "100%%" "$$HOME" "7"'';
  };
  severalCommandsNeedOneshot = {
    expr = builtins.length (
      t.failures {
        systemd.services.two.serviceConfig.ExecStart = [
          "/bin/a"
          "/bin/b"
        ];
      }
    );
    expected = 1;
  };
  unitNamesAreChecked = {
    expr = t.fails (t.machine { systemd.services.a.after = [ "network" ]; }).systemd.services.a.after;
    expected = true;
  };
  settingsOfModulesJoin = {
    expr =
      (t.machine {
        imports = [
          { systemd.services.a.serviceConfig.ReadWritePaths = [ "/a" ]; }
          { systemd.services.a.serviceConfig.ReadWritePaths = "/b"; }
        ];
      }).systemd.services.a.serviceConfig.ReadWritePaths;
    expected = [
      "/a"
      "/b"
    ];
  };
  settingsThatDifferAreAnError = {
    expr = t.fails (
      (t.machine {
        imports = [
          { systemd.services.a.serviceConfig.Type = "simple"; }
          { systemd.services.a.serviceConfig.Type = "oneshot"; }
        ];
      }).systemd.services.a.serviceConfig.Type
    );
    expected = true;
  };
}
