# From options to units: the submodules that fill in what follows from an option (scripts, PATH, trigger keys), and
# the functions that give each kind of unit its text. Laying units out in a folder is layout.nix's part.
{
  lib,
  pkgs,
  utils,
}:
let
  inherit (lib) mkIf mkMerge mkDefault optionalAttrs optionalString;
  options = import ./unit-options.nix { inherit lib; };
  render = import ./render.nix { inherit lib; };

  toHash =
    triggers:
    builtins.hashString "sha256" (
      builtins.unsafeDiscardStringContext (
        lib.concatMapStringsSep " " (
          trigger:
          if
            builtins.isAttrs trigger && !(trigger ? outPath) && !(trigger ? __toString) || builtins.isList trigger
          then
            builtins.toJSON trigger
          else
            toString trigger
        ) triggers
      )
    );

  # A script of a service, run by bash with `set -e`.
  jobScript =
    name: text:
    pkgs.writeScript (utils.storeName name) "#! ${pkgs.runtimeShell} -e\n${text}\n";

  unitSection =
    { config, ... }:
    {
      config.unitConfig =
        let
          list = key: value: optionalAttrs (value != [ ]) { ${key} = toString value; };
        in
        list "Requires" config.requires
        // list "Wants" config.wants
        // list "Upholds" config.upholds
        // list "After" config.after
        // list "Before" config.before
        // list "BindsTo" config.bindsTo
        // list "PartOf" config.partOf
        // list "Conflicts" config.conflicts
        // list "Requisite" config.requisite
        // list "Documentation" config.documentation
        // list "OnFailure" config.onFailure
        // list "OnSuccess" config.onSuccess
        // optionalAttrs (config.restartTriggers != [ ]) {
          X-Restart-Triggers = toHash config.restartTriggers;
        }
        // optionalAttrs (config.reloadTriggers != [ ]) {
          X-Reload-Triggers = toHash config.reloadTriggers;
        }
        // optionalAttrs (config.description != "") { Description = config.description; }
        // optionalAttrs (config.startLimitIntervalSec != null) {
          StartLimitIntervalSec = toString config.startLimitIntervalSec;
        }
        // optionalAttrs (config.startLimitBurst != null) {
          StartLimitBurst = toString config.startLimitBurst;
        };
    };

  named = suffix: { name, ... }: { config.name = "${name}.${suffix}"; };

  serviceScripts =
    { name, config, ... }:
    let
      base = lib.replaceStrings [ "@" ] [ "-" ] name;
      scriptFor = part: text: jobScript "unit-script-${base}-${part}" text;
      command = setting: part: text: {
        jobScripts = [ (scriptFor part text) ];
        serviceConfig.${setting} = [ "${scriptFor part text}" ];
      };
    in
    {
      config = mkMerge [
        {
          # The least that scripts may rely on.
          path = lib.mkAfter [
            pkgs.coreutils
            pkgs.findutils
            pkgs.gnugrep
            pkgs.gnused
            pkgs.systemd
          ];
          environment.PATH = mkIf (
            config.path != [ ]
          ) "${lib.makeBinPath config.path}:${lib.makeSearchPathOutput "bin" "sbin" config.path}";
        }
        (mkIf (config.preStart != "") (command "ExecStartPre" "pre-start" config.preStart))
        (mkIf (config.script != "") {
          jobScripts = [ (scriptFor "start" config.script) ];
          serviceConfig.ExecStart =
            "${scriptFor "start" config.script}"
            + optionalString (config.scriptArgs != "") " ${config.scriptArgs}";
        })
        (mkIf (config.postStart != "") (command "ExecStartPost" "post-start" config.postStart))
        (mkIf (config.reload != "") {
          jobScripts = [ (scriptFor "reload" config.reload) ];
          serviceConfig.ExecReload = "${scriptFor "reload" config.reload}";
        })
        (mkIf (config.preStop != "") {
          jobScripts = [ (scriptFor "pre-stop" config.preStop) ];
          serviceConfig.ExecStop = "${scriptFor "pre-stop" config.preStop}";
        })
        (mkIf (config.postStop != "") (command "ExecStopPost" "post-stop" config.postStop))
      ];
    };

  mountSection =
    { config, ... }:
    {
      config = {
        name = "${utils.escapeSystemdPath config.where}.mount";
        mountConfig = {
          What = config.what;
          Where = config.where;
        }
        // optionalAttrs (config.type != "") { Type = config.type; }
        // optionalAttrs (config.options != "") { Options = config.options; };
      };
    };

  automountSection =
    { config, ... }:
    {
      config = {
        name = "${utils.escapeSystemdPath config.where}.automount";
        automountConfig.Where = config.where;
      };
    };

  socketSection =
    { config, ... }:
    {
      config.socketConfig =
        optionalAttrs (config.listenStreams != [ ]) { ListenStream = config.listenStreams; }
        // optionalAttrs (config.listenDatagrams != [ ]) { ListenDatagram = config.listenDatagrams; };
    };

  submodule = declared: modules: lib.types.submodule ([ { options = declared; } ] ++ modules);

  shared = unit: {
    inherit (unit)
      enable
      overrideStrategy
      requiredBy
      upheldBy
      wantedBy
      aliases
      ;
  };
in
{
  inherit jobScript;

  types = {
    unit = submodule options.concrete [ ({ name, ... }: { config.name = mkDefault name; }) ];
    service = submodule options.service [
      unitSection
      (named "service")
      serviceScripts
    ];
    socket = submodule options.socket [
      unitSection
      (named "socket")
      socketSection
    ];
    timer = submodule options.timer [
      unitSection
      (named "timer")
    ];
    path = submodule options.path [
      unitSection
      (named "path")
    ];
    target = submodule options.target [
      unitSection
      (named "target")
    ];
    slice = submodule options.slice [
      unitSection
      (named "slice")
    ];
    mount = submodule options.mount [
      unitSection
      mountSection
    ];
    automount = submodule options.automount [
      unitSection
      automountSection
    ];
  };

  # Each gives what `systemd.units.<name>` takes.
  toUnit = {
    service =
      globalEnvironment: definition:
      shared definition
      // {
        text =
          render.section "Unit" definition.unitConfig
          + "[Service]\n"
          + render.environment (globalEnvironment // definition.environment)
          + (
            if definition.reloadIfChanged then
              "X-ReloadIfChanged=true\n"
            else if !definition.restartIfChanged then
              "X-RestartIfChanged=false\n"
            else
              ""
          )
          + optionalString (!definition.stopIfChanged) "X-StopIfChanged=false\n"
          + optionalString definition.notSocketActivated "X-NotSocketActivated=true\n"
          + render.settings definition.serviceConfig;
      };
    socket =
      definition:
      shared definition
      // {
        text =
          render.section "Unit" definition.unitConfig
          + render.section "Socket" definition.socketConfig;
      };
    timer =
      definition:
      shared definition
      // {
        text =
          render.section "Unit" definition.unitConfig + render.section "Timer" definition.timerConfig;
      };
    path =
      definition:
      shared definition
      // {
        text = render.section "Unit" definition.unitConfig + render.section "Path" definition.pathConfig;
      };
    target =
      definition: shared definition // { text = render.section "Unit" definition.unitConfig; };
    slice =
      definition:
      shared definition
      // {
        text =
          render.section "Unit" definition.unitConfig + render.section "Slice" definition.sliceConfig;
      };
    mount =
      definition:
      shared definition
      // {
        text =
          render.section "Unit" definition.unitConfig + render.section "Mount" definition.mountConfig;
      };
    automount =
      definition:
      shared definition
      // {
        text =
          render.section "Unit" definition.unitConfig
          + render.section "Automount" definition.automountConfig;
      };
  };
}
