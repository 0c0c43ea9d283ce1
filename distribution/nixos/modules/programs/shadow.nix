# The tools that change users and passwords, and their settings in /etc/login.defs.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.security.loginDefs;
in
{
  options.security.loginDefs = {
    package = mkOption {
      type = types.package;
      default = pkgs.shadow;
      defaultText = lib.literalExpression "pkgs.shadow";
      description = "The package of these tools.";
    };
    chfnRestrict = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "Which fields of their description users can change.";
    };
    settings = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.str
          types.int
          types.bool
        ]
      );
      default = { };
      description = "Settings of `login.defs`.";
    };
  };

  config = {
    security.loginDefs.settings = lib.mapAttrs (_: lib.mkDefault) {
      SYS_UID_MIN = 400;
      SYS_UID_MAX = 999;
      UID_MIN = 1000;
      UID_MAX = 29999;
      SYS_GID_MIN = 400;
      SYS_GID_MAX = 999;
      GID_MIN = 1000;
      GID_MAX = 29999;
      TTYGROUP = "tty";
      TTYPERM = "0620";
      DEFAULT_HOME = "yes";
      ENCRYPT_METHOD = "YESCRYPT";
      UMASK = "077";
    };
    environment.etc = {
      "login.defs".text = lib.concatStrings (
        lib.mapAttrsToList (
          name: value: "${name} ${if value == true then "yes" else if value == false then "no" else toString value}\n"
        ) cfg.settings
      ) + lib.optionalString (cfg.chfnRestrict != null) "CHFN_RESTRICT ${cfg.chfnRestrict}\n";
      "default/useradd".text = ''
        GROUP=100
        HOME=${config.users.defaultUserHome}
        SHELL=/run/current-system/sw/bin/bash
      '';
    };
    environment.systemPackages = [ cfg.package ];

    security.wrappers =
      let
        root = source: {
          setuid = true;
          owner = "root";
          group = "root";
          inherit source;
        };
        suPackage = pkgs.su or cfg.package;
      in
      {
        su = root "${suPackage}/bin/su";
        sg = root "${cfg.package}/bin/sg";
        newgrp = root "${cfg.package}/bin/newgrp";
        newuidmap = root "${pkgs.uidmap or cfg.package}/bin/newuidmap";
        newgidmap = root "${pkgs.uidmap or cfg.package}/bin/newgidmap";
        passwd = lib.mkIf config.users.mutableUsers (root "${cfg.package}/bin/passwd");
      };

    security.pam.services = {
      chfn.rootOK = true;
      chsh.rootOK = true;
      chpasswd.rootOK = true;
      groupadd.rootOK = true;
      groupdel.rootOK = true;
      groupmod.rootOK = true;
      useradd.rootOK = true;
      userdel.rootOK = true;
      usermod.rootOK = true;
      passwd = { };
      su = {
        rootOK = true;
        forwardXAuth = true;
        logFailures = true;
      };
      login = {
        startSession = true;
        allowNullPassword = true;
        showMotd = true;
        updateWtmp = true;
      };
    };
  };
}
