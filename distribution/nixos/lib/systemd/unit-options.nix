# The options that units of each kind take. Each value of the result is a set of option declarations.
{ lib }:
let
  inherit (lib) mkOption types;
  systemd = import ./types.nix { inherit lib; };

  listOf =
    type: description:
    mkOption {
      type = types.listOf type;
      default = [ ];
      inherit description;
    };
  unitList = listOf systemd.unitName;

  script =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };

  sectionOption =
    description: example:
    mkOption {
      type = systemd.section;
      default = { };
      inherit description example;
    };
in
rec {
  # What every unit has, whether its text is generated or given whole.
  shared = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the unit exists. A disabled unit is masked: it cannot be started, not even by hand or as a dependency.";
    };
    overrideStrategy = mkOption {
      type = types.enum [
        "asDropinIfExists"
        "asDropin"
      ];
      default = "asDropinIfExists";
      description = ''
        How the unit is laid beside one of the same name from a package: `asDropinIfExists` makes a whole unit
        unless a package has one, `asDropin` always makes a drop-in (which instances of a template unit need).
      '';
    };
    requiredBy = unitList "Units that need this one: they get a `Requires=` dependency on it.";
    upheldBy = unitList "Units that keep this one running: they get an `Upholds=` dependency on it.";
    wantedBy = unitList "Units that start this one along with themselves: they get a `Wants=` dependency on it.";
    aliases = unitList "Other names of this unit.";
  };

  # A unit whose text is given.
  concrete = shared // {
    text = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The text of the unit file.";
    };
    unit = mkOption {
      type = types.nullOr types.package;
      default = null;
      internal = true;
      description = "A package with the unit file, used in place of {option}`text`.";
    };
    name = mkOption {
      type = types.str;
      internal = true;
      description = "The name of the unit, with its suffix.";
    };
  };

  # The [Unit] section.
  common = shared // {
    name = mkOption {
      type = types.str;
      description = "The name of the unit, with its suffix.";
    };
    description = mkOption {
      type = types.singleLineStr;
      default = "";
      description = "What the unit is, in a few words, as systemd shows it.";
    };
    documentation = listOf types.str "Addresses of the unit's documentation.";
    requires = unitList "Units to start with this one; if one of them stops, so does this one.";
    wants = unitList "Units to start with this one, without caring whether they succeed.";
    upholds = unitList "Units to keep running for as long as this one runs.";
    after = unitList "Units that must have started before this one starts, where both start.";
    before = unitList "Units that wait for this one to have started, where both start.";
    bindsTo = unitList "As {option}`requires`, and this unit also stops when one of them stops by itself.";
    partOf = unitList "Units whose stopping or restarting also stops or restarts this one.";
    conflicts = unitList "Units that cannot run at the same time as this one.";
    requisite = unitList "Units that must already run when this one starts.";
    unitConfig = sectionOption "Settings of the `[Unit]` section." { RequiresMountsFor = "/data"; };
    onFailure = unitList "Units to start when this one fails.";
    onSuccess = unitList "Units to start when this one ends well.";
    startLimitBurst = mkOption {
      type = types.nullOr types.int;
      default = null;
      description = "How many starts within {option}`startLimitIntervalSec` are allowed.";
    };
    startLimitIntervalSec = mkOption {
      type = types.nullOr types.int;
      default = null;
      description = "The time span, in seconds, in which starts are counted for {option}`startLimitBurst`.";
    };
    restartTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = "Values that, when they change, make a switch restart the unit, such as configuration files that it reads.";
    };
    reloadTriggers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = "Values that, when they change, make a switch reload the unit.";
    };
  };

  service = common // {
    environment = mkOption {
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
        LANG = "nl_NL.UTF-8";
      };
      description = "Environment variables of the service's processes.";
    };
    path = mkOption {
      type = types.listOf (
        types.oneOf [
          types.package
          types.str
        ]
      );
      default = [ ];
      description = "Packages whose `bin` and `sbin` folders make up the service's PATH.";
    };
    serviceConfig = sectionOption "Settings of the `[Service]` section." { RestartSec = 5; };
    enableStrictShellChecks = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to check the service's scripts strictly. Accepted; scripts are always run with `set -e`.";
    };
    script = script "Shell commands that are the service's main process.";
    scriptArgs = mkOption {
      type = types.str;
      default = "";
      example = "%i";
      description = "Arguments of the main script. Specifiers such as `%i` can be used.";
    };
    preStart = script "Shell commands to run before the main process starts.";
    postStart = script "Shell commands to run once the main process has started.";
    reload = script "Shell commands to run when the service is reloaded.";
    preStop = script "Shell commands to run to stop the service.";
    postStop = script "Shell commands to run after the service has stopped.";
    jobScripts = mkOption {
      type = types.coercedTo types.path lib.singleton (types.listOf types.path);
      internal = true;
      default = [ ];
      description = "The store paths of the service's scripts.";
    };
    restartIfChanged = mkOption {
      type = types.bool;
      default = true;
      description = "Whether a switch restarts the service when its unit has changed.";
    };
    reloadIfChanged = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a switch reloads the service, in place of restarting it, when its unit has changed.";
    };
    stopIfChanged = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether a switch stops a changed service under the old configuration and starts it under the new one, so that
        its old stop commands run. If false, it is restarted once the new configuration is in place.
      '';
    };
    notSocketActivated = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a switch restarts this service itself, and not the socket that could start it.";
    };
    startAt = mkOption {
      type = types.coercedTo types.str lib.singleton (types.listOf types.str);
      default = [ ];
      example = "Sun 14:00:00";
      description = "Calendar times at which to start the service; a timer of the same name is made for them.";
    };
    confinement = mkOption {
      type = types.submodule {
        options.enable = mkOption {
          type = types.bool;
          default = false;
          description = "Whether to confine the service to the closure of what it runs. Not available yet.";
        };
      };
      default = { };
      description = "Confinement of the service to its own closure.";
    };
  };

  listenStreams = {
    listenStreams = listOf types.str "Addresses of stream sockets to listen on.";
    listenDatagrams = listOf types.str "Addresses of datagram sockets to listen on.";
  };

  socket =
    common
    // listenStreams
    // {
      socketConfig = sectionOption "Settings of the `[Socket]` section." { ListenStream = "/run/my-socket"; };
    };

  timer = common // {
    timerConfig = sectionOption "Settings of the `[Timer]` section." {
      OnCalendar = "Sun 14:00:00";
      Unit = "foo.service";
    };
  };

  path = common // {
    pathConfig = sectionOption "Settings of the `[Path]` section." {
      PathChanged = "/some/path";
      Unit = "foo.service";
    };
  };

  mount = common // {
    what = mkOption {
      type = types.str;
      example = "/dev/sda1";
      description = "The device, image, share or folder to mount.";
    };
    where = mkOption {
      type = types.str;
      example = "/mnt";
      description = "The folder to mount it on.";
    };
    type = mkOption {
      type = types.str;
      default = "";
      example = "ext4";
      description = "The type of the file system.";
    };
    options = mkOption {
      type = types.commas;
      default = "";
      example = "noatime";
      description = "The mount options.";
    };
    mountConfig = sectionOption "Settings of the `[Mount]` section." { DirectoryMode = "0775"; };
  };

  automount = common // {
    where = mkOption {
      type = types.str;
      example = "/mnt";
      description = "The folder to mount on first use.";
    };
    automountConfig = sectionOption "Settings of the `[Automount]` section." { DirectoryMode = "0775"; };
  };

  target = common;

  slice = common // {
    sliceConfig = sectionOption "Settings of the `[Slice]` section." { MemoryMax = "2G"; };
  };

  scope = common;
}
