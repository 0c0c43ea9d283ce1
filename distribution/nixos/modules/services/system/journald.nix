# services.journald: the journal.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.journald;
in
{
  options.services.journald = {
    console = mkOption {
      type = types.str;
      default = "";
      description = "A terminal to which all messages are also written.";
    };
    rateLimitInterval = mkOption {
      type = types.str;
      default = "30s";
      description = "The time in which messages of a service are counted.";
    };
    rateLimitBurst = mkOption {
      type = types.int;
      default = 10000;
      description = "How many messages of a service are kept in that time.";
    };
    storage = mkOption {
      type = types.enum [
        "persistent"
        "volatile"
        "auto"
        "none"
      ];
      default = "persistent";
      description = "Where the journal is: on disk, in memory, on disk if `/var/log/journal` exists, or nowhere.";
    };
    audit = mkOption {
      type = types.nullOr (types.either types.bool (types.enum [ "keep" ]));
      default = null;
      description = "Whether the kernel's auditing is turned on.";
    };
    forwardToSyslog = mkOption {
      type = types.bool;
      default = false;
      description = "Whether messages are also given to a syslog daemon.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "SystemMaxUse=100M";
      description = "Lines for the `[Journal]` section of `journald.conf`.";
    };
  };

  config = {
    users.groups.systemd-journal.gid = config.ids.gids.systemd-journal;
    environment.etc."systemd/journald.conf".text = ''
      [Journal]
      Storage=${cfg.storage}
      RateLimitInterval=${cfg.rateLimitInterval}
      RateLimitBurst=${toString cfg.rateLimitBurst}
    ''
    + lib.optionalString (cfg.console != "") "ForwardToConsole=yes\nTTYPath=${cfg.console}\n"
    + lib.optionalString cfg.forwardToSyslog "ForwardToSyslog=yes\n"
    + lib.optionalString (cfg.audit != null) "Audit=${if cfg.audit == "keep" then "" else if cfg.audit then "yes" else "no"}\n"
    + cfg.extraConfig;

    systemd.services.systemd-journald = {
      restartTriggers = [ config.environment.etc."systemd/journald.conf".source ];
      # Whoever logs holds a connection to it.
      stopIfChanged = false;
    };
  };
}
