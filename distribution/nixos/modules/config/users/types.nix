# The submodules of users.users.<name> and users.groups.<name>.
{ lib, utils, cfg }:
let
  inherit (lib) mkOption types mkIf mkDefault mkMerge;

  # What /etc/passwd can hold in a field.
  passwdEntry = lib.types.passwdEntry;
  hash = types.nullOr (passwdEntry types.str);

  idRange = first: description: types.submodule {
    options = {
      ${first} = mkOption {
        type = types.int;
        description = "The first ${description} of the range.";
      };
      count = mkOption {
        type = types.int;
        default = 1;
        description = "How many there are.";
      };
    };
  };
in
{
  user =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether the user exists.";
        };
        name = mkOption {
          type = passwdEntry types.str;
          description = "The login name.";
        };
        description = mkOption {
          type = passwdEntry types.str;
          default = "";
          example = "Alice Q. User";
          description = "A short description, usually the full name.";
        };
        uid = mkOption {
          type = types.nullOr types.int;
          default = null;
          description = "The number of the user; null picks a free one at activation, and keeps it.";
        };
        isSystemUser = mkOption {
          type = types.bool;
          default = false;
          description = "Whether this is a user for a service. Its number is below 1000.";
        };
        isNormalUser = mkOption {
          type = types.bool;
          default = false;
          description = "Whether this is a person: with a home folder below `/home`, the group `users` and the default shell.";
        };
        group = mkOption {
          type = types.str;
          default = "";
          description = "The primary group. It has to be set, except for normal users.";
        };
        extraGroups = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Further groups of the user.";
        };
        home = mkOption {
          type = passwdEntry types.path;
          default = "/var/empty";
          description = "The home folder.";
        };
        homeMode = mkOption {
          type = types.strMatching "[0-7]{1,5}";
          default = "700";
          description = "The access mode of the home folder when it is created.";
        };
        createHome = mkOption {
          type = types.bool;
          default = false;
          description = "Whether to create the home folder.";
        };
        shell = mkOption {
          type = types.nullOr (types.either types.shellPackage (passwdEntry types.path));
          default = "/run/current-system/sw/bin/nologin";
          description = "The login shell.";
        };
        ignoreShellProgramCheck = mkOption {
          type = types.bool;
          default = false;
          description = "Whether to accept a shell without the `programs.<shell>.enable` that sets it up.";
        };
        useDefaultShell = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the shell is {option}`users.defaultUserShell`.";
        };
        subUidRanges = mkOption {
          type = types.listOf (idRange "startUid" "user number");
          default = [ ];
          description = "Numbers that the user may use for other users inside a user namespace.";
        };
        subGidRanges = mkOption {
          type = types.listOf (idRange "startGid" "group number");
          default = [ ];
          description = "Numbers that the user may use for groups inside a user namespace.";
        };
        autoSubUidGidRange = mkOption {
          type = types.bool;
          default = false;
          description = "Whether to give the user 65536 numbers of each kind that nobody else has.";
        };
        hashedPassword = mkOption {
          type = hash;
          default = null;
          description = "The hash of the password, as `mkpasswd` prints it. The empty text lets the user in without one.";
        };
        password = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The password in clear. Everybody can read it in the store: for tests only.";
        };
        hashedPasswordFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "A file on the machine that holds the hash of the password.";
        };
        passwordFile = mkOption {
          type = types.nullOr types.str;
          default = null;
          visible = false;
          description = "The former name of {option}`hashedPasswordFile`.";
        };
        initialHashedPassword = mkOption {
          type = hash;
          default = null;
          description = "The hash of the password that the user gets when created. Later changes on the machine stay.";
        };
        initialPassword = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The password, in clear and readable by everybody, that the user gets when created.";
        };
        packages = mkOption {
          type = types.listOf types.package;
          default = [ ];
          description = "Packages for this user alone.";
        };
        expires = mkOption {
          type = types.nullOr (types.strMatching "[[:digit:]]{4}-[[:digit:]]{2}-[[:digit:]]{2}");
          default = null;
          description = "The day, as YYYY-MM-DD, from which the user cannot log in any more.";
        };
        linger = mkOption {
          type = types.nullOr types.bool;
          default = false;
          example = true;
          description = "Whether the user's services run without a login. Null leaves it as it is on the machine.";
        };
        cryptHomeLuks = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "An encrypted device for the home folder. Accepted; not available yet.";
        };
        pamMount = mkOption {
          type = types.attrsOf types.str;
          default = { };
          description = "Attributes of a volume for pam_mount. Accepted; not available yet.";
        };
      };

      config = mkMerge [
        {
          name = mkDefault name;
          shell = mkIf config.useDefaultShell (mkDefault cfg.defaultUserShell);
        }
        (mkIf config.isNormalUser {
          group = mkDefault "users";
          createHome = mkDefault true;
          home = mkDefault "${cfg.defaultUserHome}/${config.name}";
          homeMode = mkDefault "700";
          useDefaultShell = mkDefault true;
          isSystemUser = mkDefault false;
        })
        # A user whose passwords can change on the machine starts with the one declared.
        (mkIf (!cfg.mutableUsers && config.initialHashedPassword != null) {
          hashedPassword = mkDefault config.initialHashedPassword;
        })
        (mkIf (config.passwordFile != null) { hashedPasswordFile = mkDefault config.passwordFile; })
        (mkIf (config.isNormalUser && config.subUidRanges == [ ] && config.subGidRanges == [ ]) {
          autoSubUidGidRange = mkDefault true;
        })
      ];
    };

  group =
    { name, config, ... }:
    {
      options = {
        name = mkOption {
          type = passwdEntry types.str;
          description = "The name of the group.";
        };
        gid = mkOption {
          type = types.nullOr types.int;
          default = null;
          description = "The number of the group; null picks a free one at activation, and keeps it.";
        };
        members = mkOption {
          type = types.listOf (passwdEntry types.str);
          default = [ ];
          description = "Users in the group, besides those that name it in their `extraGroups`.";
        };
      };
      config = {
        name = mkDefault name;
        members = lib.mapAttrsToList (_: user: user.name) (
          lib.filterAttrs (_: user: user.enable && lib.elem config.name user.extraGroups) cfg.users
        );
      };
    };
}
