# security.pam: who may log in where, as files below /etc/pam.d. Modules are named by their store paths.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.security.pam;

  pamPackage = cfg.package;
  module = name: "${pamPackage}/lib/security/pam_${name}.so";
  systemdModule = "${config.systemd.package}/lib/security/pam_systemd.so";

  bool =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };

  limit = types.submodule {
    options = {
      domain = mkOption {
        type = types.str;
        example = "@wheel";
        description = "The user, the group (after `@`), or `*`.";
      };
      type = mkOption {
        type = types.enum [
          "-"
          "hard"
          "soft"
        ];
        default = "-";
        description = "Whether the limit is hard, soft or both (`-`).";
      };
      item = mkOption {
        type = types.str;
        example = "nofile";
        description = "What is limited.";
      };
      value = mkOption {
        type = types.either types.str types.int;
        example = "unlimited";
        description = "The limit.";
      };
    };
  };
  limitsFile =
    name: limits:
    pkgs.writeText "${name}-limits.conf" (
      lib.concatMapStrings (
        each: "${each.domain} ${each.type} ${each.item} ${toString each.value}\n"
      ) limits
    );

  service =
    { name, config, ... }:
    {
      options = {
        enable = bool true "Whether the file exists.";
        name = mkOption {
          type = types.str;
          example = "sshd";
          description = "The name of the service.";
        };
        unixAuth = bool true "Whether passwords of `/etc/shadow` are accepted.";
        rootOK = bool false "Whether root need not authenticate.";
        requireWheel = bool false "Whether only users of the group wheel pass.";
        allowNullPassword = bool false "Whether users without a password pass.";
        nodelay = bool false "Whether a wrong password is answered at once.";
        startSession = bool false "Whether logind opens a session.";
        setEnvironment = bool true "Whether the session gets {option}`environment.sessionVariables`.";
        setLoginUid = bool config.startSession "Whether the process is marked as the user's for auditing.";
        forwardXAuth = bool false "Whether the right to use the X server is passed on. Accepted.";
        makeHomeDir = bool false "Whether a missing home folder is made.";
        updateWtmp = bool false "Whether the log-in is recorded in wtmp.";
        logFailures = bool false "Whether failures are recorded. Accepted.";
        showMotd = bool false "Whether the message of the day is shown.";
        usshAuth = bool false "Accepted; not available.";
        sshAgentAuth = bool false "Accepted; not available.";
        u2fAuth = bool false "Accepted; not available.";
        googleAuthenticator.enable = bool false "Accepted; not available.";
        gnupg.enable = bool false "Accepted; not available.";
        enableGnomeKeyring = bool false "Accepted; not available.";
        enableKwallet = bool false "Accepted; not available.";
        enableAppArmor = bool false "Accepted; not available.";
        failDelay = {
          enable = bool false "Whether failures are answered late.";
          delay = mkOption {
            type = types.int;
            default = 3000000;
            description = "The delay in microseconds.";
          };
        };
        limits = mkOption {
          type = types.listOf limit;
          default = cfg.loginLimits;
          defaultText = lib.literalExpression "config.security.pam.loginLimits";
          description = "Limits of resources of the session.";
        };
        text = mkOption {
          type = types.nullOr types.lines;
          description = "The text of the file.";
        };
      };
      config = {
        name = lib.mkDefault name;
        text = lib.mkDefault (serviceText config);
      };
    };

  on = condition: line: lib.optionalString condition (line + "\n");

  serviceText =
    each:
    "# Account management.\n"
    + "account required ${module "unix"}\n"
    + "\n# Authentication management.\n"
    + on each.rootOK "auth sufficient ${module "rootok"}"
    + on each.requireWheel "auth required ${module "wheel"} use_uid"
    + on each.failDelay.enable "auth optional ${module "faildelay"} delay=${toString each.failDelay.delay}"
    + on each.unixAuth "auth sufficient ${module "unix"} ${lib.optionalString each.allowNullPassword "nullok "}${lib.optionalString each.nodelay "nodelay "}likeauth try_first_pass"
    + "auth required ${module "deny"}\n"
    + "\n# Password management.\n"
    + "password sufficient ${module "unix"} nullok yescrypt\n"
    + "\n# Session management.\n"
    + on each.setEnvironment "session required ${module "env"} conffile=/etc/pam/environment readenv=0"
    + "session required ${module "unix"}\n"
    + on each.setLoginUid "session ${if config.boot.isContainer then "optional" else "required"} ${module "loginuid"}"
    + on each.makeHomeDir "session required ${module "mkhomedir"} silent skel=${cfg.makeHomeDir.skelDirectory} umask=${cfg.makeHomeDir.umask}"
    + on each.updateWtmp "session optional ${module "lastlog"} silent"
    + on each.startSession "session optional ${systemdModule}"
    + on (each.limits != [ ]) "session required ${module "limits"} conf=${limitsFile each.name each.limits}"
    + on (each.showMotd && (config.users.motd != "" || config.users.motdFile != null)) "session optional ${module "motd"} motd=/etc/motd";
in
{
  options.security.pam = {
    package = mkOption {
      type = types.package;
      default = pkgs.linux-pam or pkgs.pam;
      defaultText = lib.literalExpression "pkgs.linux-pam";
      description = "The package with PAM's modules.";
    };
    services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
      description = "Services that authenticate users, by name.";
    };
    loginLimits = mkOption {
      type = types.listOf limit;
      default = [ ];
      description = "Limits of resources of all sessions.";
    };
    makeHomeDir = {
      skelDirectory = mkOption {
        type = types.str;
        default = "/var/empty";
        example = "/etc/skel";
        description = "What a new home folder holds.";
      };
      umask = mkOption {
        type = types.str;
        default = "0077";
        description = "The umask for a new home folder.";
      };
    };
    enableSSHAgentAuth = mkOption {
      type = types.bool;
      default = false;
      description = "Accepted; not available.";
    };
  };

  options.users.motd = mkOption {
    type = types.lines;
    default = "";
    example = "Today is Sweetmorn, the 4th day of The Aftermath in the YOLD 3178.";
    description = "The message of the day, shown at log-in.";
  };
  options.users.motdFile = mkOption {
    type = types.nullOr types.str;
    default = null;
    example = "/etc/motd";
    description = "A file with the message of the day.";
  };

  config = {
    environment.systemPackages = [ pamPackage ];
    environment.etc =
      lib.mapAttrs' (
        _: each: lib.nameValuePair "pam.d/${each.name}" { inherit (each) text; }
      ) (lib.filterAttrs (_: each: each.enable && each.text != null) cfg.services)
      // lib.optionalAttrs (config.users.motd != "") { motd.text = config.users.motd; }
      // lib.optionalAttrs (config.users.motdFile != null && config.users.motdFile != "/etc/motd") {
        motd = {
          source = config.users.motdFile;
          mode = "direct-symlink";
        };
      };

    security.pam.services = {
      # Services that have no file of their own: nobody passes.
      other.text = ''
        auth required ${module "warn"}
        auth required ${module "deny"}
        account required ${module "warn"}
        account required ${module "deny"}
        password required ${module "warn"}
        password required ${module "deny"}
        session required ${module "warn"}
        session required ${module "deny"}
      '';
      # The service managers of users.
      systemd-user = {
        allowNullPassword = true;
        text = ''
          account required ${module "unix"}
          auth required ${module "deny"}
          session required ${module "env"} conffile=/etc/pam/environment readenv=0
          session ${if config.boot.isContainer then "optional" else "required"} ${module "loginuid"}
          session required ${module "unix"}
          session optional ${systemdModule}
        '';
      };
      vlock = { };
      runuser = {
        rootOK = true;
        unixAuth = false;
        setEnvironment = false;
      };
      runuser-l = {
        rootOK = true;
        unixAuth = false;
      };
      su-l = {
        rootOK = true;
        forwardXAuth = true;
      };
    };

    # pam_unix asks this program when its caller cannot read /etc/shadow.
    security.wrappers.unix_chkpwd = {
      setuid = true;
      owner = "root";
      group = "root";
      source = "${pamPackage}/bin/unix_chkpwd";
    };

    assertions = [
      {
        assertion = config.users.motd == "" || config.users.motdFile == null;
        message = "Only one of users.motd and users.motdFile can be set.";
      }
    ];
  };
}
