# users.*: users and groups. Activation merges them into /etc/passwd and its neighbours; see the top level for the
# form in which it receives them.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.users;
  inherit (config) ids;
  submodules = import ./types.nix { inherit lib utils cfg; };

  present = lib.filterAttrs (_: user: user.enable) cfg.users;

  # Names that carry the same number, as a text for each number.
  shared =
    key: entries:
    lib.mapAttrsToList (number: names: "${number}: ${lib.concatStringsSep ", " names}") (
      lib.filterAttrs (_: names: builtins.length names > 1) (
        lib.foldl' (
          found: entry:
          if entry.${key} == null then
            found
          else
            found
            // {
              ${toString entry.${key}} = (found.${toString entry.${key}} or [ ]) ++ [ entry.name ];
            }
        ) { } (lib.attrValues entries)
      )
    );

  canLogIn =
    user:
    user.hashedPassword != null && user.hashedPassword != "!" && user.hashedPassword != "*"
    || user.password != null
    || user.hashedPasswordFile != null
    || user.initialHashedPassword != null
    || user.initialPassword != null
    || user.openssh.authorizedKeys.keys != [ ]
    || user.openssh.authorizedKeys.keyFiles != [ ];

  specification = {
    users = lib.mapAttrsToList (_: user: {
      inherit (user)
        name
        uid
        group
        extraGroups
        home
        createHome
        homeMode
        description
        isSystemUser
        hashedPassword
        initialHashedPassword
        hashedPasswordFile
        expires
        autoSubUidGidRange
        subUidRanges
        subGidRanges
        ;
      # A password in clear counts like an initial one: activation gives it to a user who has none.
      initialPassword = if user.initialPassword != null then user.initialPassword else user.password;
      shell =
        if user.shell == null then "/run/current-system/sw/bin/nologin" else utils.toShellPath user.shell;
    }) present;
    groups = lib.mapAttrsToList (_: group: {
      inherit (group) name gid;
      members = lib.unique group.members;
    }) cfg.groups;
    inherit (cfg) mutableUsers;
  };

  shellPackages = lib.filter lib.types.shellPackage.check (
    lib.mapAttrsToList (_: user: user.shell) present
  );
in
{
  imports = [
    (lib.mkAliasOptionModule [ "users" "extraUsers" ] [ "users" "users" ])
    (lib.mkAliasOptionModule [ "users" "extraGroups" ] [ "users" "groups" ])
  ];

  options.users = {
    users = mkOption {
      type = types.attrsOf (types.submodule submodules.user);
      default = { };
      example = {
        alice = {
          isNormalUser = true;
          extraGroups = [ "wheel" ];
        };
      };
      description = "The users of the machine.";
    };
    groups = mkOption {
      type = types.attrsOf (types.submodule submodules.group);
      default = { };
      example = {
        students.gid = 1001;
        hackers = { };
      };
      description = "The groups of the machine.";
    };
    mutableUsers = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether users and passwords can also be changed on the machine, with `useradd` and `passwd`. If false, they are
        exactly as declared after each activation.
      '';
    };
    enforceIdUniqueness = mkOption {
      type = types.bool;
      default = true;
      description = "Whether two users, or two groups, of the same number are an error.";
    };
    allowNoPasswordLogin = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to accept a configuration in which nobody could log in.";
    };
    defaultUserHome = mkOption {
      type = types.str;
      default = "/home";
      description = "The folder of the home folders of normal users.";
    };
    manageLingering = mkOption {
      type = types.bool;
      default = true;
      description = "Whether {option}`users.users.<name>.linger` is put in force.";
    };
    specification = mkOption {
      type = types.attrs;
      internal = true;
      readOnly = true;
      description = "Users and groups in the form that activation takes.";
    };
  };

  config = {
    users.specification = specification;

    users.users = {
      root = {
        uid = ids.uids.root;
        description = "System administrator";
        home = "/root";
        shell = lib.mkDefault cfg.defaultUserShell;
        group = "root";
      };
      nobody = {
        uid = ids.uids.nobody;
        isSystemUser = true;
        description = "Unprivileged account (don't use!)";
        group = "nogroup";
      };
    };

    users.groups =
      lib.genAttrs [
        "root"
        "wheel"
        "disk"
        "kmem"
        "tty"
        "floppy"
        "uucp"
        "lp"
        "cdrom"
        "tape"
        "audio"
        "video"
        "dialout"
        "nogroup"
        "users"
        "nixbld"
        "utmp"
        "adm"
        "input"
        "kvm"
        "render"
        "sgx"
        "shadow"
        "clock"
      ] (name: { gid = ids.gids.${name}; });

    environment.systemPackages = shellPackages;

    # Packages of single users: a profile each, in /etc/profiles/per-user.
    environment.etc =
      lib.mapAttrs'
        (
          _: user:
          lib.nameValuePair "profiles/per-user/${user.name}" {
            source = pkgs.buildEnv {
              name = "user-environment";
              paths = user.packages;
              inherit (config.environment) pathsToLink extraOutputsToInstall;
              inherit (config.system.path) ignoreCollisions postBuild;
            };
          }
        )
        (lib.filterAttrs (_: user: user.packages != [ ]) present);

    environment.profiles = [
      "$HOME/.nix-profile"
      "\${XDG_STATE_HOME}/nix/profile"
      "$HOME/.local/state/nix/profile"
      "/etc/profiles/per-user/$USER"
    ];

    systemd.services.linger-users = lib.mkIf (cfg.manageLingering && lib.any (user: user.linger == true) (lib.attrValues present)) {
      description = "Keep the services of lingering users running";
      wantedBy = [ "multi-user.target" ];
      after = [ "systemd-logind.service" ];
      requires = [ "systemd-logind.service" ];
      serviceConfig.Type = "oneshot";
      script = lib.concatStrings (
        lib.mapAttrsToList (
          _: user:
          lib.optionalString (user.linger != null)
            "loginctl ${if user.linger then "enable" else "disable"}-linger ${lib.escapeShellArg user.name}\n"
        ) (lib.filterAttrs (_: user: user.linger == true) present)
      );
    };

    assertions = [
      {
        assertion = !cfg.enforceIdUniqueness || shared "uid" present == [ ];
        message = "users share a number: ${lib.concatStringsSep "; " (shared "uid" present)}. Give each its own uid.";
      }
      {
        assertion = !cfg.enforceIdUniqueness || shared "gid" cfg.groups == [ ];
        message = "groups share a number: ${lib.concatStringsSep "; " (shared "gid" cfg.groups)}. Give each its own gid.";
      }
      {
        assertion =
          cfg.mutableUsers
          || cfg.allowNoPasswordLogin
          || lib.any (
            user: (user.name == "root" || lib.elem "wheel" user.extraGroups) && canLogIn user
          ) (lib.attrValues present);
        message = ''
          Neither the root account nor any wheel user has a password or an authorized key, and users.mutableUsers is
          false: nobody could administer this machine. Set a password or a key, or set
          users.allowNoPasswordLogin = true if that is meant.'';
      }
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (_: user: [
        {
          assertion = user.isNormalUser != user.isSystemUser || user.uid == 0;
          message = ''
            Exactly one of users.users.${user.name}.isSystemUser and users.users.${user.name}.isNormalUser must be set.
          '';
        }
        {
          assertion = user.group != "";
          message = ''
            users.users.${user.name}.group is unset. This used to default to
            nogroup, but this is unsafe. For example you can create a group
            for this user with:
            users.users.${user.name}.group = "${user.name}";
            users.groups.${user.name} = {};
          '';
        }
        {
          assertion = user.group == "" || lib.any (group: group.name == user.group) (lib.attrValues cfg.groups);
          message = "users.users.${user.name}.group is \"${user.group}\", but there is no users.groups.${user.group}.";
        }
        {
          assertion = user.uid == null || !user.isNormalUser || user.uid >= 1000;
          message = "users.users.${user.name}.uid is ${toString user.uid}; a normal user's number is 1000 or more.";
        }
        {
          assertion = !(lib.hasInfix ":" user.description) && !(lib.hasInfix "\n" user.description);
          message = "users.users.${user.name}.description may hold neither a colon nor a line break.";
        }
      ]) present
    );

    warnings =
      lib.concatLists (
        lib.mapAttrsToList (
          _: user:
          let
            ways = lib.filter (way: user.${way} != null) [
              "hashedPassword"
              "password"
              "hashedPasswordFile"
              "initialHashedPassword"
              "initialPassword"
            ];
            automatic =
              !cfg.mutableUsers && user.initialHashedPassword != null && user.hashedPassword == user.initialHashedPassword;
          in
          lib.optional (builtins.length ways > 1 && !automatic && user.name != "root")
            "The user '${user.name}' has multiple of the options ${
              lib.concatMapStringsSep ", " (way: "`${way}`") ways
            } set; only one of them decides the password."
        ) present
      );
  };
}
