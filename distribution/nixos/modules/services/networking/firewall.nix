# networking.firewall: which packets from outside reach the machine. The rules are nftables'.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking.firewall;

  range = types.attrsOf types.port;
  portOptions = {
    allowedTCPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      apply = ports: lib.sort (a: b: a < b) (lib.unique ports);
      example = [
        22
        80
      ];
      description = "TCP ports on which connections are accepted.";
    };
    allowedTCPPortRanges = mkOption {
      type = types.listOf range;
      default = [ ];
      example = [
        {
          from = 8999;
          to = 9003;
        }
      ];
      description = "Ranges of TCP ports on which connections are accepted.";
    };
    allowedUDPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      apply = ports: lib.sort (a: b: a < b) (lib.unique ports);
      example = [ 53 ];
      description = "UDP ports on which packets are accepted.";
    };
    allowedUDPPortRanges = mkOption {
      type = types.listOf range;
      default = [ ];
      example = [
        {
          from = 60000;
          to = 61000;
        }
      ];
      description = "Ranges of UDP ports on which packets are accepted.";
    };
  };

  portSet =
    ports: ranges:
    lib.concatStringsSep ", " (
      map toString ports ++ map (range: "${toString range.from}-${toString range.to}") ranges
    );

  accept =
    interface: ports:
    let
      where = lib.optionalString (interface != null) ''iifname "${interface}" '';
      tcp = portSet ports.allowedTCPPorts ports.allowedTCPPortRanges;
      udp = portSet ports.allowedUDPPorts ports.allowedUDPPortRanges;
    in
    lib.optionalString (tcp != "") "${where}tcp dport { ${tcp} } accept\n"
    + lib.optionalString (udp != "") "${where}udp dport { ${udp} } accept\n";

  indent = text: lib.concatMapStrings (line: lib.optionalString (line != "") "    ${line}\n") (lib.splitString "\n" text);

  reversePath = if cfg.checkReversePath == "loose" then "fib saddr . mark" else "fib saddr . mark . iif";

  interfaceNames = lib.concatMapStringsSep ", " (name: ''"${name}"'') cfg.trustedInterfaces;

  ruleset = ''
    ${lib.optionalString (cfg.checkReversePath != false) ''
      chain rpfilter {
        type filter hook prerouting priority mangle + 10; policy drop;
        meta nfproto ipv4 udp sport . udp dport { 67 . 68, 68 . 67 } accept comment "DHCPv4 client/server"
        ${reversePath} oif exists accept
    ${indent cfg.extraReversePathFilterRules}
        ${lib.optionalString cfg.logReversePathDrops ''log level info prefix "rpfilter drop: "''}
      }
    ''}
    chain input {
      type filter hook input priority filter; policy drop;
      ${lib.optionalString (interfaceNames != "") ''iifname { ${interfaceNames} } accept comment "trusted interfaces"''}

      # Answers to what this machine began, and nothing that belongs to no connection.
      ct state vmap { invalid : drop, established : accept, related : accept, new : jump input-allow, untracked : jump input-allow }

      ${lib.optionalString cfg.logRefusedConnections ''tcp flags syn / fin,syn,rst,ack log level info prefix "refused connection: "''}
      ${lib.optionalString cfg.logRefusedPackets ''
        ${lib.optionalString cfg.logRefusedUnicastsOnly ''pkttype broadcast log level info prefix "refused broadcast: "''}
          ${lib.optionalString cfg.logRefusedUnicastsOnly ''pkttype multicast log level info prefix "refused multicast: "''}
          pkttype host log level info prefix "refused packet: "''}
      ${lib.optionalString cfg.rejectPackets ''
        meta l4proto tcp reject with tcp reset
          reject''}
    }

    chain input-allow {
    ${indent (accept null cfg)}${
      lib.concatStrings (
        lib.mapAttrsToList (name: ports: indent (accept name ports)) cfg.interfaces
      )
    }
      ${lib.optionalString cfg.allowPing ''
        icmp type echo-request ${
          lib.optionalString (cfg.pingLimit != null) "limit rate ${cfg.pingLimit} "
        }accept comment "allow ping"''}
      # IPv6 works by these messages; redirects and questions about the node are not answered.
      icmpv6 type != { nd-redirect, 139 } accept comment "Accept all ICMPv6 messages except redirects and node information queries (type 139)"
      ip6 daddr fe80::/64 udp dport 546 accept comment "DHCPv6 client"
    ${indent cfg.extraInputRules}
    }

    ${lib.optionalString cfg.filterForward ''
      chain forward {
        type filter hook forward priority filter; policy drop;
        ct state vmap { invalid : drop, established : accept, related : accept, new : jump forward-allow, untracked : jump forward-allow }
      }

      chain forward-allow {
        icmpv6 type != { router-renumbering, 139 } accept comment "Accept all ICMPv6 messages except renumbering and node information queries (type 139)"
        ct status dnat accept comment "allow port forward"
    ${indent cfg.extraForwardRules}
      }
    ''}
  '';
in
{
  options.networking.firewall = portOptions // {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether packets from outside are refused, except for what the other options allow.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.nftables;
      defaultText = lib.literalExpression "pkgs.nftables";
      description = "The package that loads the rules.";
    };
    backend = mkOption {
      type = types.enum [
        "iptables"
        "nftables"
        "firewalld"
      ];
      default = "nftables";
      description = "What the rules are made for. Here that is nftables.";
    };
    interfaces = mkOption {
      type = types.attrsOf (types.submodule { options = portOptions; });
      default = { };
      example = lib.literalExpression "{ wg0.allowedTCPPorts = [ 9100 ]; }";
      description = "What is accepted on single interfaces.";
    };
    allInterfaces = mkOption {
      type = types.attrsOf (types.submodule { options = portOptions; });
      internal = true;
      visible = false;
      default = {
        default = lib.mapAttrs (name: _: cfg.${name}) portOptions;
      }
      // cfg.interfaces;
      description = "What is accepted, for all interfaces and for single ones.";
    };
    trustedInterfaces = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "enp0s2" ];
      description = "Interfaces from which everything is accepted. The loopback interface always is one.";
    };
    allowPing = mkOption {
      type = types.bool;
      default = true;
      description = "Whether pings are answered. (Those of IPv6 always are.)";
    };
    pingLimit = mkOption {
      type = types.nullOr (types.separatedString " ");
      default = null;
      example = "1/minute burst 5 packets";
      description = "How many pings are answered.";
    };
    rejectPackets = mkOption {
      type = types.bool;
      default = false;
      description = "Whether refused packets are answered with an error, and not dropped.";
    };
    logRefusedConnections = mkOption {
      type = types.bool;
      default = true;
      description = "Whether refused connections are logged.";
    };
    logRefusedPackets = mkOption {
      type = types.bool;
      default = false;
      description = "Whether all refused packets are logged.";
    };
    logRefusedUnicastsOnly = mkOption {
      type = types.bool;
      default = true;
      description = "Whether {option}`networking.firewall.logRefusedPackets` leaves out broadcasts and multicasts.";
    };
    logReversePathDrops = mkOption {
      type = types.bool;
      default = false;
      description = "Whether packets that fail the check of the reverse path are logged.";
    };
    checkReversePath = mkOption {
      type = types.either types.bool (
        types.enum [
          "strict"
          "loose"
        ]
      );
      default = true;
      example = "loose";
      description = "Whether packets are dropped that come in through another interface than answers would leave by (`loose`: by none at all).";
    };
    connectionTrackingModules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "ftp" ];
      description = "Helpers that follow the connections of protocols with several of them.";
    };
    autoLoadConntrackHelpers = mkOption {
      type = types.bool;
      default = false;
      description = "Whether those helpers apply by themselves.";
    };
    filterForward = mkOption {
      type = types.bool;
      default = false;
      description = "Whether packets that this machine only forwards are filtered too.";
    };
    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages for the commands of the firewall.";
    };
    extraInputRules = mkOption {
      type = types.lines;
      default = "";
      example = "ip6 saddr { fc00::/7, fe80::/10 } tcp dport 24800 accept";
      description = "Rules, in nftables' language, for packets that begin a connection to this machine.";
    };
    extraForwardRules = mkOption {
      type = types.lines;
      default = "";
      example = ''iifname "wg0" accept'';
      description = "Rules, in nftables' language, for packets that begin a connection through this machine.";
    };
    extraReversePathFilterRules = mkOption {
      type = types.lines;
      default = "";
      description = "Rules, in nftables' language, for packets that fail the check of the reverse path.";
    };
    extraCommands = mkOption {
      type = types.lines;
      default = "";
      description = "iptables commands. They cannot be used here; see {option}`networking.firewall.extraInputRules`.";
    };
    extraStopCommands = mkOption {
      type = types.lines;
      default = "";
      description = "iptables commands for stopping. They cannot be used here.";
    };
  };

  config = lib.mkIf cfg.enable {
    networking.firewall.trustedInterfaces = [ "lo" ];
    networking.nftables.enable = true;
    networking.nftables.tables.nixos-fw = {
      family = "inet";
      content = ruleset;
    };

    boot.kernelModules =
      lib.optional cfg.autoLoadConntrackHelpers "nf_conntrack"
      ++ map (name: "nf_conntrack_${name}") cfg.connectionTrackingModules;

    assertions = [
      {
        assertion = cfg.extraCommands == "" && cfg.extraStopCommands == "";
        message = "networking.firewall.extraCommands and extraStopCommands are iptables commands, which the nftables-based firewall does not run: write the rules as networking.firewall.extraInputRules, or as networking.nftables.tables.";
      }
      {
        assertion = lib.all (
          range: range ? from && range ? to && range.from <= range.to
        ) (cfg.allowedTCPPortRanges ++ cfg.allowedUDPPortRanges);
        message = "networking.firewall: a port range needs `from` and `to`, with `from` not above `to`.";
      }
      {
        assertion = !config.boot.kernel.enable || cfg.backend == "nftables";
        message = "networking.firewall.backend is \"${cfg.backend}\", but only nftables is available.";
      }
    ];
  };
}
