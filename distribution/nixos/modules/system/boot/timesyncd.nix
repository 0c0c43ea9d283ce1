# services.timesyncd: the clock follows time servers.
{
  config,
  lib,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.timesyncd;
in
{
  options.services.timesyncd = {
    enable = mkOption {
      type = types.bool;
      default = !config.boot.isContainer;
      defaultText = lib.literalExpression "!config.boot.isContainer";
      description = "Whether systemd-timesyncd sets the clock.";
    };
    servers = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = config.networking.timeServers;
      defaultText = lib.literalExpression "config.networking.timeServers";
      description = "The time servers. Null means those that systemd was built with or DHCP gives.";
    };
    fallbackServers = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      description = "Time servers for when there are no others.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = "PollIntervalMaxSec=180";
      description = "Lines for `timesyncd.conf`.";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.systemd-timesync = {
      uid = config.ids.uids.systemd-timesync;
      group = "systemd-timesync";
      isSystemUser = true;
    };
    users.groups.systemd-timesync.gid = config.ids.gids.systemd-timesync;

    environment.etc."systemd/timesyncd.conf".text =
      "[Time]\n"
      + lib.optionalString (cfg.servers != null) "NTP=${lib.concatStringsSep " " cfg.servers}\n"
      + lib.optionalString (cfg.fallbackServers != null) "FallbackNTP=${lib.concatStringsSep " " cfg.fallbackServers}\n"
      + cfg.extraConfig;

    systemd.services.systemd-timesyncd = {
      wantedBy = [ "sysinit.target" ];
      aliases = [ "dbus-org.freedesktop.timesync1.service" ];
      restartTriggers = [ config.environment.etc."systemd/timesyncd.conf".source ];
    };
  };
}
