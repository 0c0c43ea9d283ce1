# nix.*: the package manager of the machine (Firn), its settings, daemon, build users and garbage collection.
{
  config,
  lib,
  pkgs,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.nix;

  scalar = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      types.package
    ]
  );
  settingText =
    value:
    if value == null then
      ""
    else if value == true then
      "true"
    else if value == false then
      "false"
    else if builtins.isList value then
      lib.concatMapStringsSep " " settingText value
    else
      toString value;

  # Settings that add to others (extra-…) come after those they add to.
  names = lib.attrNames cfg.settings;
  isExtra = lib.hasPrefix "extra-";
  ordered = lib.filter (name: !isExtra name) names ++ lib.filter isExtra names;

  text =
    "# Made from the system's configuration (nix.settings, nix.extraOptions); changes here are lost.\n"
    + lib.concatMapStrings (name: "${name} = ${settingText cfg.settings.${name}}\n") (
      lib.filter (name: cfg.settings.${name} != null) ordered
    )
    + cfg.extraOptions;

  registryEntry =
    { name, config, ... }:
    {
      options = {
        from = mkOption {
          type = types.attrsOf types.anything;
          default = {
            type = "indirect";
            id = name;
          };
          description = "The flake reference that is replaced.";
        };
        to = mkOption {
          type = types.attrsOf types.anything;
          description = "The flake reference that takes its place.";
        };
        flake = mkOption {
          type = types.nullOr types.attrs;
          default = null;
          description = "A flake that takes its place.";
        };
        exact = mkOption {
          type = types.bool;
          default = true;
          description = "Whether only references without a revision are replaced.";
        };
      };
      config.to = lib.mkIf (config.flake != null) (
        lib.mkDefault (
          {
            type = "path";
            path = config.flake.outPath;
          }
          // lib.filterAttrs (
            key: _:
            lib.elem key [
              "lastModified"
              "rev"
              "revCount"
              "narHash"
            ]
          ) config.flake
        )
      );
    };

  builder = {
    options =
      let
        text =
          default: description:
          mkOption {
            type = types.nullOr types.str;
            inherit default description;
          };
      in
      {
        hostName = mkOption {
          type = types.str;
          description = "The machine's name.";
        };
        protocol = mkOption {
          type = types.enum [
            null
            "ssh"
            "ssh-ng"
          ];
          default = "ssh";
          description = "How to reach it.";
        };
        system = text null "The system type it builds for.";
        systems = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "The system types it builds for.";
        };
        sshUser = text null "The user to log in as.";
        sshKey = text null "The file of the private key.";
        publicHostKey = text null "The machine's public key, in base 64.";
        maxJobs = mkOption {
          type = types.int;
          default = 1;
          description = "How many builds it runs at once.";
        };
        speedFactor = mkOption {
          type = types.int;
          default = 1;
          description = "How fast it is, compared with others.";
        };
        mandatoryFeatures = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Features that a build must ask for to run there.";
        };
        supportedFeatures = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Features that a build can ask for there.";
        };
      };
  };
  machineLine =
    each:
    let
      orDash = value: if value == null || value == "" || value == [ ] then "-" else value;
      commas = list: orDash (lib.concatStringsSep "," list);
    in
    lib.concatStringsSep " " [
      "${lib.optionalString (each.protocol != null) "${each.protocol}://"}${
        lib.optionalString (each.sshUser != null) "${each.sshUser}@"
      }${each.hostName}"
      (if each.system != null then each.system else commas each.systems)
      (orDash each.sshKey)
      (toString each.maxJobs)
      (toString each.speedFactor)
      (commas (each.supportedFeatures ++ each.mandatoryFeatures))
      (commas each.mandatoryFeatures)
      (orDash each.publicHostKey)
    ]
    + "\n";
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "nix" "trustedUsers" ] [ "nix" "settings" "trusted-users" ])
    (lib.mkRenamedOptionModule [ "nix" "allowedUsers" ] [ "nix" "settings" "allowed-users" ])
    (lib.mkRenamedOptionModule [ "nix" "binaryCaches" ] [ "nix" "settings" "substituters" ])
    (lib.mkRenamedOptionModule [ "nix" "binaryCachePublicKeys" ] [ "nix" "settings" "trusted-public-keys" ])
    (lib.mkRenamedOptionModule [ "nix" "maxJobs" ] [ "nix" "settings" "max-jobs" ])
    (lib.mkRenamedOptionModule [ "nix" "buildCores" ] [ "nix" "settings" "cores" ])
    (lib.mkRenamedOptionModule [ "nix" "useSandbox" ] [ "nix" "settings" "sandbox" ])
    (lib.mkRenamedOptionModule [ "nix" "autoOptimiseStore" ] [ "nix" "settings" "auto-optimise-store" ])
    (lib.mkRenamedOptionModule [ "nix" "systemFeatures" ] [ "nix" "settings" "system-features" ])
  ];

  options.nix = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether packages can be built and installed on the machine.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.firn;
      defaultText = lib.literalExpression "pkgs.firn";
      description = "The package manager.";
    };
    checkConfig = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the settings are checked when the system is built. Accepted.";
    };
    checkAllErrors = mkOption {
      type = types.bool;
      default = true;
      description = "Whether unknown settings are errors too. Accepted.";
    };
    settings = mkOption {
      default = { };
      example = {
        trusted-users = [
          "root"
          "@wheel"
        ];
      };
      description = "Settings of `nix.conf`.";
      type = types.submodule {
        freeformType = types.attrsOf (types.either scalar (types.listOf scalar));
        options =
          let
            bool =
              default: description:
              mkOption {
                type = types.bool;
                inherit default description;
              };
            list =
              default: description:
              mkOption {
                type = types.listOf types.str;
                inherit default description;
              };
          in
          {
            max-jobs = mkOption {
              type = types.either types.int (types.enum [ "auto" ]);
              default = "auto";
              example = 64;
              description = "How many builds run at once.";
            };
            cores = mkOption {
              type = types.int;
              default = 0;
              example = 64;
              description = "How many processors each build uses; 0 means all.";
            };
            sandbox = mkOption {
              type = types.either types.bool (types.enum [ "relaxed" ]);
              default = true;
              description = "Whether builds see nothing of the machine but their inputs.";
            };
            extra-sandbox-paths = list [ ] "Paths that builds see besides.";
            auto-optimise-store = bool false "Whether files of the same contents are stored once.";
            require-sigs = bool true "Whether only signed paths are taken from caches.";
            substituters = list [ ] "Caches that builds are fetched from.";
            trusted-substituters = list [ ] "Caches that users may name.";
            trusted-public-keys = list [ ] "Keys whose signatures are trusted.";
            trusted-users = list [ "root" ] "Users who may do everything.";
            allowed-users = list [ "*" ] "Users who may connect to the daemon.";
            system-features = mkOption {
              type = types.listOf types.str;
              default = [
                "nixos-test"
                "benchmark"
                "big-parallel"
                "kvm"
              ];
              description = "Features of this machine that a build can ask for.";
            };
          };
      };
    };
    extraOptions = mkOption {
      type = types.lines;
      default = "";
      example = "keep-outputs = true";
      description = "Lines for the end of `nix.conf`.";
    };
    nixPath = mkOption {
      type = types.listOf types.str;
      default =
        if cfg.channel.enable then
          [
            "nixpkgs=${cfg.package}/distribution"
            "nixos-config=/etc/nixos/configuration.nix"
            "/nix/var/nix/profiles/per-user/root/channels"
          ]
        else
          [ ];
      defaultText = lib.literalMD "the distribution that Firn carries, `/etc/nixos/configuration.nix`, and the channels of root";
      description = "Where names in angle brackets are looked up.";
    };
    channel.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether channels are used.";
    };
    registry = mkOption {
      type = types.attrsOf (types.submodule registryEntry);
      default = { };
      description = "Names of flakes.";
    };
    gc = {
      automatic = mkOption {
        type = types.bool;
        default = false;
        description = "Whether garbage is collected regularly.";
      };
      dates = mkOption {
        type = types.either types.singleLineStr (types.listOf types.str);
        default = "03:15";
        example = "weekly";
        apply = lib.toList;
        description = "When garbage is collected.";
      };
      randomizedDelaySec = mkOption {
        type = types.singleLineStr;
        default = "0";
        example = "45min";
        description = "By how much the time varies.";
      };
      persistent = mkOption {
        type = types.bool;
        default = true;
        description = "Whether a missed collection is made up for.";
      };
      options = mkOption {
        type = types.singleLineStr;
        default = "";
        example = "--delete-older-than 30d";
        description = "Arguments of `nix-collect-garbage`.";
      };
    };
    optimise = {
      automatic = mkOption {
        type = types.bool;
        default = false;
        description = "Whether files of the same contents are merged regularly.";
      };
      dates = mkOption {
        type = types.coercedTo types.singleLineStr lib.singleton (types.listOf types.str);
        default = [ "03:45" ];
        description = "When they are merged.";
      };
      persistent = mkOption {
        type = types.bool;
        default = true;
        description = "Whether a missed time is made up for.";
      };
      randomizedDelaySec = mkOption {
        type = types.singleLineStr;
        default = "1800";
        description = "By how much the time varies.";
      };
    };
    distributedBuilds = mkOption {
      type = types.bool;
      default = false;
      description = "Whether builds run on other machines.";
    };
    buildMachines = mkOption {
      type = types.listOf (types.submodule builder);
      default = [ ];
      description = "The machines that builds can run on.";
    };
    nrBuildUsers = mkOption {
      type = types.int;
      default = 32;
      description = "How many users builds run as.";
    };
    daemonCPUSchedPolicy = mkOption {
      type = types.enum [
        "other"
        "batch"
        "idle"
      ];
      default = "other";
      description = "The CPU scheduling of builds.";
    };
    daemonIOSchedClass = mkOption {
      type = types.enum [
        "best-effort"
        "idle"
      ];
      default = "best-effort";
      description = "The I/O scheduling class of builds.";
    };
    daemonIOSchedPriority = mkOption {
      type = types.int;
      default = 4;
      description = "The I/O priority of builds.";
    };
    envVars = mkOption {
      type = types.attrs;
      internal = true;
      default = { };
      description = "Environment variables of the daemon.";
    };
    readOnlyStore = mkOption {
      type = types.bool;
      default = true;
      visible = false;
      description = "Whether only the daemon can write to the store.";
    };
  };

  config = lib.mkIf cfg.enable {
    nix.settings = {
      trusted-public-keys = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
      substituters = lib.mkAfter [ "https://cache.nixos.org/" ];
      trusted-users = [ "root" ];
      sandbox-fallback = lib.mkDefault false;
      builders = lib.mkIf (!cfg.distributedBuilds) null;
    };
    nix.envVars = config.networking.proxy.envVars;

    environment.systemPackages = [ cfg.package ];
    environment.etc = {
      "nix/nix.conf".text = text;
      "nix/registry.json".text = builtins.toJSON {
        version = 2;
        flakes = lib.mapAttrsToList (_: each: { inherit (each) from to exact; }) cfg.registry;
      };
    }
    // lib.optionalAttrs (cfg.buildMachines != [ ]) {
      "nix/machines".text = lib.concatMapStrings machineLine cfg.buildMachines;
    };
    environment.sessionVariables.NIX_PATH = lib.mkIf (cfg.nixPath != [ ]) cfg.nixPath;

    systemd.sockets.nix-daemon = {
      description = "Nix Daemon Socket";
      wantedBy = [ "sockets.target" ];
      unitConfig.RequiresMountsFor = "/nix/store";
      unitConfig.ConditionPathIsReadWrite = "/nix/var/nix/daemon-socket";
      socketConfig.ListenStream = "/nix/var/nix/daemon-socket/socket";
    };
    systemd.services.nix-daemon = {
      description = "Nix Daemon";
      unitConfig.RequiresMountsFor = [
        "/nix/store"
        "/nix/var"
      ];
      unitConfig.ConditionPathIsReadWrite = "/nix/var/nix/daemon-socket";
      path = [ cfg.package ];
      environment = cfg.envVars // {
        CURL_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
      };
      # Builds under way go on, and new ones find the new settings.
      stopIfChanged = false;
      restartTriggers = [ config.environment.etc."nix/nix.conf".source ];
      serviceConfig = {
        ExecStart = "${cfg.package}/bin/nix-daemon --daemon";
        KillMode = "process";
        LimitNOFILE = 1048576;
        TasksMax = 1048576;
        Delegate = "yes";
        CPUSchedulingPolicy = cfg.daemonCPUSchedPolicy;
        IOSchedulingClass = cfg.daemonIOSchedClass;
        IOSchedulingPriority = cfg.daemonIOSchedPriority;
      };
    };

    systemd.tmpfiles.rules = [
      "d /nix/var/nix/daemon-socket 0755 root root - -"
      "d /nix/var/nix/gcroots/tmp 0755 root root - -"
    ];

    systemd.services.nix-gc = {
      description = "Nix Garbage Collector";
      script = "exec ${cfg.package}/bin/nix-collect-garbage ${cfg.gc.options}\n";
      serviceConfig.Type = "oneshot";
      startAt = lib.optionals cfg.gc.automatic cfg.gc.dates;
      restartIfChanged = false;
    };
    systemd.timers.nix-gc = lib.mkIf cfg.gc.automatic {
      timerConfig = {
        RandomizedDelaySec = cfg.gc.randomizedDelaySec;
        Persistent = cfg.gc.persistent;
      };
    };
    systemd.services.nix-optimise = {
      description = "Nix Store Optimiser";
      unitConfig.ConditionPathIsReadWrite = "/nix/var/nix";
      serviceConfig.Type = "oneshot";
      serviceConfig.ExecStart = "${cfg.package}/bin/nix-store --optimise";
      startAt = lib.optionals cfg.optimise.automatic cfg.optimise.dates;
      restartIfChanged = false;
    };
    systemd.timers.nix-optimise = lib.mkIf cfg.optimise.automatic {
      timerConfig = {
        RandomizedDelaySec = cfg.optimise.randomizedDelaySec;
        Persistent = cfg.optimise.persistent;
      };
    };

    users.users = lib.listToAttrs (
      map (
        number:
        lib.nameValuePair "nixbld${toString number}" {
          description = "Nix build user ${toString number}";
          uid = config.ids.uids.nixbld + number;
          isSystemUser = true;
          group = "nixbld";
          extraGroups = [ "nixbld" ];
        }
      ) (lib.range 1 cfg.nrBuildUsers)
    );
  };
}
