# networking.wireguard.interfaces: encrypted tunnels, set up with `ip` and `wg`.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking.wireguard;
  q = lib.escapeShellArg;

  peer = {
    options = {
      name = mkOption {
        type = types.str;
        default = "";
        description = "A name for the peer.";
      };
      publicKey = mkOption {
        type = types.singleLineStr;
        example = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        description = "The public key of the peer.";
      };
      presharedKey = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "A key that both sides share. It ends up in the store; use `presharedKeyFile`.";
      };
      presharedKeyFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/private/wireguard_psk";
        description = "A file, on the machine, with the key that both sides share.";
      };
      allowedIPs = mkOption {
        type = types.listOf types.str;
        example = [
          "10.192.122.3/32"
          "10.192.124.0/24"
        ];
        description = "Networks that are reached through the peer.";
      };
      endpoint = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "demo.wireguard.io:12913";
        description = "Where the peer is reached.";
      };
      dynamicEndpointRefreshSeconds = mkOption {
        type = types.int;
        default = 0;
        description = "How often the endpoint's name is looked up again. Accepted; it is looked up when the interface starts.";
      };
      persistentKeepalive = mkOption {
        type = types.nullOr types.int;
        default = null;
        example = 25;
        description = "Seconds between packets that keep the connection open.";
      };
    };
  };

  interface = {
    options = {
      ips = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "192.168.2.1/24" ];
        description = "Addresses of the interface.";
      };
      privateKey = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The private key. It ends up in the store; use `privateKeyFile`.";
      };
      privateKeyFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/private/wireguard_key";
        description = "A file, on the machine, with the private key.";
      };
      generatePrivateKeyFile = mkOption {
        type = types.bool;
        default = false;
        description = "Whether to make the private key's file if it is not there.";
      };
      listenPort = mkOption {
        type = types.nullOr types.int;
        default = null;
        example = 51820;
        description = "The UDP port to listen on.";
      };
      mtu = mkOption {
        type = types.nullOr types.int;
        default = null;
        example = 1280;
        description = "The largest packet, in bytes.";
      };
      metric = mkOption {
        type = types.nullOr types.int;
        default = null;
        example = 700;
        description = "The metric of routes through the interface.";
      };
      table = mkOption {
        type = types.str;
        default = "main";
        description = "The route table for routes to peers.";
      };
      allowedIPsAsRoutes = mkOption {
        type = types.bool;
        default = true;
        description = "Whether there are routes to the networks of peers.";
      };
      fwMark = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "0x6e6978";
        description = "The mark of the tunnel's own packets.";
      };
      socketNamespace = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The network namespace of the tunnel's own packets.";
      };
      interfaceNamespace = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The network namespace of the interface.";
      };
      dynamicEndpointRefreshSeconds = mkOption {
        type = types.int;
        default = 0;
        description = "How often endpoints' names are looked up again. Accepted.";
      };
      peers = mkOption {
        type = types.listOf (types.submodule peer);
        default = [ ];
        description = "The peers.";
      };
      preSetup = mkOption {
        type = types.coercedTo (types.listOf types.str) (lib.concatStringsSep "\n") types.lines;
        default = "";
        description = "Shell text before the interface is set up.";
      };
      postSetup = mkOption {
        type = types.coercedTo (types.listOf types.str) (lib.concatStringsSep "\n") types.lines;
        default = "";
        description = "Shell text after the interface is set up.";
      };
      preShutdown = mkOption {
        type = types.coercedTo (types.listOf types.str) (lib.concatStringsSep "\n") types.lines;
        default = "";
        description = "Shell text before the interface is taken down.";
      };
      postShutdown = mkOption {
        type = types.coercedTo (types.listOf types.str) (lib.concatStringsSep "\n") types.lines;
        default = "";
        description = "Shell text after the interface is taken down.";
      };
    };
  };

  keyFile =
    name: each:
    if each.privateKeyFile != null then each.privateKeyFile else pkgs.writeText "wg-key" each.privateKey;

  setup =
    name: each:
    let
      inside = if each.interfaceNamespace == null then "" else "-n ${q each.interfaceNamespace} ";
      outside = if each.socketNamespace == null then "" else "-n ${q each.socketNamespace} ";
      wg = lib.optionalString (each.interfaceNamespace != null) "ip netns exec ${q each.interfaceNamespace} " + "wg";
      peerCommand =
        peer:
        let
          shared =
            if peer.presharedKeyFile != null then
              peer.presharedKeyFile
            else if peer.presharedKey != null then
              pkgs.writeText "wg-psk" peer.presharedKey
            else
              null;
        in
        lib.concatStringsSep " " (
          [
            "${wg} set ${q name} peer ${q peer.publicKey}"
          ]
          ++ lib.optional (shared != null) "preshared-key ${q shared}"
          ++ lib.optional (peer.endpoint != null) "endpoint ${q peer.endpoint}"
          ++ lib.optional (peer.persistentKeepalive != null) "persistent-keepalive ${toString peer.persistentKeepalive}"
          ++ lib.optional (peer.allowedIPs != [ ]) "allowed-ips ${q (lib.concatStringsSep "," peer.allowedIPs)}"
        )
        + "\n"
        + lib.optionalString each.allowedIPsAsRoutes (
          lib.concatMapStrings (network: ''
            ip ${inside}route replace ${q network} dev ${q name} table ${q each.table}${
              lib.optionalString (each.metric != null) " metric ${toString each.metric}"
            }
          '') peer.allowedIPs
        );
    in
    ''
      ${each.preSetup}
      ip ${outside}link add dev ${q name} type wireguard
      ${lib.optionalString (each.interfaceNamespace != null) "ip ${outside}link set ${q name} netns ${q each.interfaceNamespace}"}
      ${lib.optionalString (each.mtu != null) "ip ${inside}link set ${q name} mtu ${toString each.mtu}"}
      ${lib.concatMapStrings (address: "ip ${inside}address add ${q address} dev ${q name}\n") each.ips}
      ${wg} set ${q name} private-key ${q (keyFile name each)}${
        lib.optionalString (each.listenPort != null) " listen-port ${toString each.listenPort}"
      }${lib.optionalString (each.fwMark != null) " fwmark ${q each.fwMark}"}
      ip ${inside}link set up dev ${q name}
      ${lib.concatMapStrings peerCommand each.peers}
      ${each.postSetup}
    '';

  takeDown =
    name: each:
    let
      inside = if each.interfaceNamespace == null then "" else "-n ${q each.interfaceNamespace} ";
    in
    ''
      ${each.preShutdown}
      ip ${inside}link del dev ${q name}
      ${each.postShutdown}
    '';
in
{
  options.networking.wireguard = {
    enable = mkOption {
      type = types.bool;
      default = cfg.interfaces != { };
      defaultText = lib.literalExpression "config.networking.wireguard.interfaces != { }";
      description = "Whether WireGuard is used.";
    };
    useNetworkd = mkOption {
      type = types.bool;
      default = false;
      description = "Whether systemd-networkd sets the interfaces up. Accepted; commands do.";
    };
    interfaces = mkOption {
      type = types.attrsOf (types.submodule interface);
      default = { };
      description = "WireGuard interfaces, by name.";
    };
  };

  config = lib.mkIf cfg.enable {
    boot.kernelModules = [ "wireguard" ];
    environment.systemPackages = [ pkgs.wireguard-tools ];

    # The interfaces are not networkd's to change.
    systemd.network.networks = lib.mapAttrs' (
      name: _:
      lib.nameValuePair "10-wireguard-${name}" {
        matchConfig.Name = name;
        linkConfig.Unmanaged = true;
      }
    ) cfg.interfaces;

    systemd.services =
      lib.mapAttrs' (
        name: each:
        lib.nameValuePair "wireguard-${name}" {
          description = "WireGuard Tunnel - ${name}";
          wants = [ "network.target" ];
          after = [
            "network-pre.target"
            "network-online.target"
          ];
          before = [ "network.target" ];
          wantedBy = [ "multi-user.target" ];
          environment.DEVICE = name;
          path = [
            pkgs.kmod
            pkgs.iproute2
            pkgs.wireguard-tools
          ];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
          };
          script = "modprobe wireguard || true\n" + setup name each;
          postStop = takeDown name each;
        }
      ) cfg.interfaces
      // lib.mapAttrs' (
        name: each:
        lib.nameValuePair "wireguard-${name}-key" {
          description = "WireGuard Tunnel - ${name} - Key Generator";
          wantedBy = [ "wireguard-${name}.service" ];
          requiredBy = [ "wireguard-${name}.service" ];
          before = [ "wireguard-${name}.service" ];
          path = [ pkgs.wireguard-tools ];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
          };
          script = ''
            file=${q each.privateKeyFile}
            mkdir -p -m 0755 "$(dirname "$file")"
            if [ ! -f "$file" ]; then
              (umask 077; wg genkey > "$file.tmp"; mv "$file.tmp" "$file")
            fi
          '';
        }
      ) (lib.filterAttrs (_: each: each.generatePrivateKeyFile) cfg.interfaces);

    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: each:
        [
          {
            assertion = (each.privateKey != null) != (each.privateKeyFile != null);
            message = "Either networking.wireguard.interfaces.${name}.privateKey or networking.wireguard.interfaces.${name}.privateKeyFile must be set.";
          }
          {
            assertion = !each.generatePrivateKeyFile || each.privateKeyFile != null;
            message = "networking.wireguard.interfaces.${name}.generatePrivateKeyFile needs privateKeyFile, which says where.";
          }
        ]
        ++ map (peer: {
          assertion = peer.presharedKey == null || peer.presharedKeyFile == null;
          message = "networking.wireguard.interfaces.${name} peer «${peer.publicKey}» has both presharedKey and presharedKeyFile set, but only one can be used.";
        }) each.peers
      ) cfg.interfaces
    );
  };
}
