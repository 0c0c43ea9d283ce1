# services.resolved: name resolution by systemd-resolved.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.resolved;
  systemd = import ../../../lib/systemd/types.nix { inherit lib; };
  render = import ../../../lib/systemd/render.nix { inherit lib; };
  trilean = yes: types.enum ([ "true" "false" ] ++ yes);
in
{
  options.services.resolved = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether systemd-resolved resolves names.";
    };
    fallbackDns = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      example = [ "8.8.8.8" ];
      description = "Name servers for when there are no others. Null means those that systemd was built with.";
    };
    domains = mkOption {
      type = types.listOf types.str;
      default = config.networking.search;
      defaultText = lib.literalExpression "config.networking.search";
      example = [ "example.com" ];
      description = "Domains in which short names are looked up.";
    };
    llmnr = mkOption {
      type = trilean [ "resolve" ];
      default = "true";
      description = "Whether names are resolved, and told, by LLMNR.";
    };
    dnssec = mkOption {
      type = trilean [ "allow-downgrade" ];
      default = "false";
      description = "Whether answers are validated with DNSSEC.";
    };
    dnsovertls = mkOption {
      type = trilean [ "opportunistic" ];
      default = "false";
      description = "Whether name servers are asked through TLS.";
    };
    settings.Resolve = mkOption {
      type = systemd.section;
      default = { };
      example = {
        MulticastDNS = false;
      };
      description = "Settings of the `[Resolve]` section of `resolved.conf`.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for `resolved.conf`.";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.systemd-resolve = {
      uid = config.ids.uids.systemd-resolve;
      group = "systemd-resolve";
      isSystemUser = true;
    };
    users.groups.systemd-resolve.gid = config.ids.gids.systemd-resolve;

    environment.etc = {
      "systemd/resolved.conf".text =
        "[Resolve]\n"
        + lib.optionalString (
          config.networking.nameservers != [ ]
        ) "DNS=${lib.concatStringsSep " " config.networking.nameservers}\n"
        + lib.optionalString (cfg.fallbackDns != null) "FallbackDNS=${lib.concatStringsSep " " cfg.fallbackDns}\n"
        + lib.optionalString (cfg.domains != [ ]) "Domains=${lib.concatStringsSep " " cfg.domains}\n"
        + "LLMNR=${cfg.llmnr}\nDNSSEC=${cfg.dnssec}\nDNSOverTLS=${cfg.dnsovertls}\n"
        + render.settings cfg.settings.Resolve
        + cfg.extraConfig;
      "resolv.conf" = {
        source = "/run/systemd/resolve/stub-resolv.conf";
        mode = "direct-symlink";
      };
    };

    systemd.services.systemd-resolved = {
      wantedBy = [ "sysinit.target" ];
      aliases = [ "dbus-org.freedesktop.resolve1.service" ];
      reloadTriggers = [ config.environment.etc."systemd/resolved.conf".source ];
      stopIfChanged = false;
    };
  };
}
