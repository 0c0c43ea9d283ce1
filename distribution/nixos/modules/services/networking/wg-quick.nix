# networking.wg-quick.interfaces: WireGuard interfaces brought up by wg-quick.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking.wg-quick;

  peer.options = {
    publicKey = mkOption {
      type = types.str;
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
      description = "A file, on the machine, with the key that both sides share.";
    };
    allowedIPs = mkOption {
      type = types.listOf types.str;
      example = [ "10.192.122.3/32" ];
      description = "Networks that are reached through the peer.";
    };
    endpoint = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "Where the peer is reached.";
    };
    persistentKeepalive = mkOption {
      type = types.nullOr types.int;
      default = null;
      description = "Seconds between packets that keep the connection open.";
    };
  };

  lines =
    description:
    mkOption {
      type = types.coercedTo (types.listOf types.str) (lib.concatStringsSep "\n") types.lines;
      default = "";
      inherit description;
    };

  interface.options = {
    configFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "A file, on the machine, with the whole configuration, in place of the other options.";
    };
    address = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "192.168.2.1/24" ];
      description = "Addresses of the interface.";
    };
    autostart = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the interface comes up when the system starts.";
    };
    dns = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Name servers behind the interface.";
    };
    privateKey = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The private key. It ends up in the store; use `privateKeyFile`.";
    };
    privateKeyFile = mkOption {
      type = types.nullOr types.str;
      default = null;
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
      description = "The UDP port to listen on.";
    };
    mtu = mkOption {
      type = types.nullOr types.int;
      default = null;
      description = "The largest packet, in bytes.";
    };
    table = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The route table for routes to peers, or `off` for no routes.";
    };
    preUp = lines "Shell text before the interface is set up.";
    postUp = lines "Shell text after the interface is set up.";
    preDown = lines "Shell text before the interface is taken down.";
    postDown = lines "Shell text after the interface is taken down.";
    peers = mkOption {
      type = types.listOf (types.submodule peer);
      default = [ ];
      description = "The peers.";
    };
  };

  hook =
    name: setting: text:
    lib.optionalString (text != "")
      "${setting} = ${pkgs.writeScript "wg-quick-${name}-${setting}" "#!${pkgs.runtimeShell} -e\n${text}\n"}\n";

  # Keys in files are set after the interface is up, since the configuration is in the store.
  keysOf =
    name: each:
    lib.optionalString each.generatePrivateKeyFile ''
      file=${lib.escapeShellArg each.privateKeyFile}
      mkdir -p "$(dirname "$file")"
      [ -f "$file" ] || (umask 077; wg genkey > "$file")
    ''
    + lib.optionalString (
      each.privateKeyFile != null
    ) "wg set ${name} private-key ${lib.escapeShellArg each.privateKeyFile}\n"
    + lib.concatMapStrings (
      peer:
      lib.optionalString (peer.presharedKeyFile != null)
        "wg set ${name} peer ${lib.escapeShellArg peer.publicKey} preshared-key ${lib.escapeShellArg peer.presharedKeyFile}\n"
    ) each.peers
    + each.postUp;

  configuration =
    name: each:
    pkgs.writeTextDir "${name}.conf" (
      "[Interface]\n"
      + lib.optionalString (each.privateKey != null) "PrivateKey = ${each.privateKey}\n"
      + lib.optionalString (each.listenPort != null) "ListenPort = ${toString each.listenPort}\n"
      + lib.optionalString (each.address != [ ]) "Address = ${lib.concatStringsSep "," each.address}\n"
      + lib.optionalString (each.dns != [ ]) "DNS = ${lib.concatStringsSep "," each.dns}\n"
      + lib.optionalString (each.mtu != null) "MTU = ${toString each.mtu}\n"
      + lib.optionalString (each.table != null) "Table = ${each.table}\n"
      + hook name "PreUp" each.preUp
      + hook name "PostUp" (keysOf name each)
      + hook name "PreDown" each.preDown
      + hook name "PostDown" each.postDown
      + lib.concatMapStrings (
        peer:
        "\n[Peer]\nPublicKey = ${peer.publicKey}\n"
        + lib.optionalString (peer.presharedKey != null) "PresharedKey = ${peer.presharedKey}\n"
        + lib.optionalString (peer.endpoint != null) "Endpoint = ${peer.endpoint}\n"
        + lib.optionalString (
          peer.persistentKeepalive != null
        ) "PersistentKeepalive = ${toString peer.persistentKeepalive}\n"
        + lib.optionalString (peer.allowedIPs != [ ]) "AllowedIPs = ${lib.concatStringsSep "," peer.allowedIPs}\n"
      ) each.peers
    );
in
{
  options.networking.wg-quick.interfaces = mkOption {
    type = types.attrsOf (types.submodule interface);
    default = { };
    description = "WireGuard interfaces, by name.";
  };

  config = lib.mkIf (cfg.interfaces != { }) {
    boot.kernelModules = [ "wireguard" ];
    environment.systemPackages = [ pkgs.wireguard-tools ];

    systemd.network.networks = lib.mapAttrs' (
      name: _:
      lib.nameValuePair "10-wireguard-${name}" {
        matchConfig.Name = name;
        linkConfig.Unmanaged = true;
      }
    ) cfg.interfaces;

    systemd.services = lib.mapAttrs' (
      name: each:
      let
        file = if each.configFile != null then each.configFile else "${configuration name each}/${name}.conf";
      in
      lib.nameValuePair "wg-quick-${name}" {
        description = "wg-quick WireGuard Tunnel - ${name}";
        wants = [ "network-online.target" ];
        after = [
          "network.target"
          "network-online.target"
        ];
        wantedBy = lib.optional each.autostart "multi-user.target";
        environment.DEVICE = name;
        path = [
          pkgs.wireguard-tools
          pkgs.iproute2
          pkgs.kmod
          pkgs.procps
          pkgs.nftables
          pkgs.bash
        ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
        };
        script = ''
          modprobe wireguard || true
          wg-quick up ${file}
        '';
        preStop = "wg-quick down ${file}\n";
      }
    ) cfg.interfaces;

    assertions = lib.mapAttrsToList (name: each: {
      assertion = each.configFile != null || (each.privateKey != null) != (each.privateKeyFile != null);
      message = "Either networking.wg-quick.interfaces.${name}.privateKey or networking.wg-quick.interfaces.${name}.privateKeyFile must be set.";
    }) cfg.interfaces;
  };
}
