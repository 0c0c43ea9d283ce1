# systemd.network.*: files of systemd-networkd, and the service.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.systemd.network;
  systemd = import ../../../lib/systemd/types.nix { inherit lib; };
  render = import ../../../lib/systemd/render.nix { inherit lib; };

  section =
    description:
    mkOption {
      type = systemd.section;
      default = { };
      inherit description;
    };

  # A section that may occur several times. Older configurations put each into a set named ...Config.
  sections =
    old: description:
    mkOption {
      type = types.listOf (
        types.coercedTo (types.addCheck types.attrs (value: value ? ${old} && lib.length (lib.attrNames value) == 1)) (
          value: value.${old}
        ) systemd.section
      );
      default = [ ];
      inherit description;
    };

  strings =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };

  common = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the file exists; a disabled one is masked.";
    };
    matchConfig = section "Settings of the `[Match]` section: which interfaces are meant.";
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for the end of the file.";
    };
  };

  linkKinds = {
    linkConfig = "Link";
  };

  # Option → section of a .netdev file.
  netdevKinds = {
    netdevConfig = "NetDev";
    bridgeConfig = "Bridge";
    vlanConfig = "VLAN";
    ipvlanConfig = "IPVLAN";
    ipvtapConfig = "IPVTAP";
    macvlanConfig = "MACVLAN";
    macvtapConfig = "MACVTAP";
    vxlanConfig = "VXLAN";
    geneveConfig = "GENEVE";
    bareUDPConfig = "BareUDP";
    tunnelConfig = "Tunnel";
    fooOverUDPConfig = "FooOverUDP";
    peerConfig = "Peer";
    tunConfig = "Tun";
    tapConfig = "Tap";
    l2tpConfig = "L2TP";
    wireguardConfig = "WireGuard";
    bondConfig = "Bond";
    xfrmConfig = "Xfrm";
    vrfConfig = "VRF";
    wlanConfig = "WLAN";
    batmanAdvancedConfig = "BatmanAdvanced";
    ipoIBConfig = "IPoIB";
  };
  netdevLists = {
    wireguardPeers = {
      section = "WireGuardPeer";
      old = "wireguardPeerConfig";
    };
    l2tpSessions = {
      section = "L2TPSession";
      old = "l2tpSessionConfig";
    };
  };

  networkKinds = {
    linkConfig = "Link";
    networkConfig = "Network";
    dhcpV4Config = "DHCPv4";
    dhcpV6Config = "DHCPv6";
    dhcpPrefixDelegationConfig = "DHCPPrefixDelegation";
    ipv6AcceptRAConfig = "IPv6AcceptRA";
    dhcpServerConfig = "DHCPServer";
    ipv6SendRAConfig = "IPv6SendRA";
    bridgeConfig = "Bridge";
    lldpConfig = "LLDP";
    canConfig = "CAN";
    ipoIBConfig = "IPoIB";
    cakeConfig = "CAKE";
    fairQueueingConfig = "FairQueueing";
    fairQueueingControlledDelayConfig = "FairQueueingControlledDelay";
    hierarchyTokenBucketConfig = "HierarchyTokenBucket";
    networkEmulatorConfig = "NetworkEmulator";
    tokenBucketFilterConfig = "TokenBucketFilter";
    stochasticFairnessQueueingConfig = "StochasticFairnessQueueing";
  };
  networkLists = {
    addresses = {
      section = "Address";
      old = "addressConfig";
    };
    routes = {
      section = "Route";
      old = "routeConfig";
    };
    routingPolicyRules = {
      section = "RoutingPolicyRule";
      old = "routingPolicyRuleConfig";
    };
    nextHops = {
      section = "NextHop";
      old = "nextHopConfig";
    };
    neighbors = {
      section = "Neighbor";
      old = "neighborConfig";
    };
    dhcpServerStaticLeases = {
      section = "DHCPServerStaticLease";
      old = "dhcpServerStaticLeaseConfig";
    };
    ipv6Prefixes = {
      section = "IPv6Prefix";
      old = "ipv6PrefixConfig";
    };
    ipv6RoutePrefixes = {
      section = "IPv6RoutePrefix";
      old = "ipv6RoutePrefixConfig";
    };
    bridgeFDBs = {
      section = "BridgeFDB";
      old = "bridgeFDBConfig";
    };
    bridgeMDBs = {
      section = "BridgeMDB";
      old = "bridgeMDBConfig";
    };
    bridgeVLANs = {
      section = "BridgeVLAN";
      old = "bridgeVLANConfig";
    };
  };

  # Settings of [Network] that have an option of their own.
  networkStrings = {
    address = "Address";
    gateway = "Gateway";
    dns = "DNS";
    ntp = "NTP";
    bridge = "Bridge";
    bond = "Bond";
    vrf = "VRF";
    vlan = "VLAN";
    macvlan = "MACVLAN";
    macvtap = "MACVTAP";
    ipvlan = "IPVLAN";
    vxlan = "VXLAN";
    tunnel = "Tunnel";
    xfrm = "Xfrm";
    batmanAdvanced = "BatmanAdvanced";
  };

  sectionOptions = lib.mapAttrs (_: name: section "Settings of the `[${name}]` section.");
  listOptions = lib.mapAttrs (
    _: kind: sections kind.old "The `[${kind.section}]` sections, as a list."
  );

  linkModule.options = common // sectionOptions linkKinds;
  netdevModule.options = common // sectionOptions netdevKinds // listOptions netdevLists;
  networkModule =
    { name, config, ... }:
    {
      options =
        common
        // sectionOptions networkKinds
        // listOptions networkLists
        // lib.mapAttrs (_: key: strings "The `${key}=` settings of the `[Network]` section.") networkStrings
        // {
          name = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "The name, or pattern of names, of the interfaces that are meant.";
          };
          DHCP = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "ipv4";
            description = "Whether addresses come by DHCP: `yes`, `no`, `ipv4` or `ipv6`.";
          };
          domains = mkOption {
            type = types.nullOr (types.listOf types.str);
            default = null;
            description = "The domains in which short names are looked up.";
          };
        };
      config.matchConfig = lib.mkIf (config.name != null) { Name = config.name; };
    };

  sectionsText =
    kinds: definition:
    lib.concatStrings (
      lib.mapAttrsToList (option: name: render.section name definition.${option}) kinds
    );
  listsText =
    kinds: definition:
    lib.concatStrings (
      lib.mapAttrsToList (
        option: kind: lib.concatMapStrings (render.section kind.section) definition.${option}
      ) kinds
    );
  matchText = definition: render.section "Match" (
    lib.mapAttrs (_: value: if builtins.isList value then toString value else value) definition.matchConfig
  );

  linkText = definition: matchText definition + sectionsText linkKinds definition + definition.extraConfig;

  netdevText =
    definition:
    matchText definition
    + render.section "NetDev" definition.netdevConfig
    + sectionsText (builtins.removeAttrs netdevKinds [ "netdevConfig" ]) definition
    + listsText netdevLists definition
    + definition.extraConfig;

  networkText =
    definition:
    let
      extra =
        lib.optionalAttrs (definition.DHCP != null) { DHCP = definition.DHCP; }
        // lib.optionalAttrs (definition.domains != null) {
          Domains = lib.concatStringsSep " " definition.domains;
        };
      lists = lib.mapAttrs' (option: key: lib.nameValuePair key definition.${option}) networkStrings;
      network = render.settings (definition.networkConfig // extra) + render.settings lists;
    in
    matchText definition
    + render.section "Link" definition.linkConfig
    + lib.optionalString (network != "") "[Network]\n${network}\n"
    + sectionsText (builtins.removeAttrs networkKinds [
      "linkConfig"
      "networkConfig"
    ]) definition
    + listsText networkLists definition
    + definition.extraConfig;

  files =
    suffix: text: definitions:
    lib.mapAttrs' (
      name: definition:
      lib.nameValuePair "systemd/network/${name}.${suffix}" (
        if definition.enable then
          { text = text definition; }
        else
          {
            source = "/dev/null";
            mode = "direct-symlink";
          }
      )
    ) definitions;

  networkFiles =
    files "netdev" netdevText cfg.netdevs // files "network" networkText cfg.networks;
in
{
  options.systemd.network = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether systemd-networkd sets up the network.";
    };
    links = mkOption {
      type = types.attrsOf (types.submodule linkModule);
      default = { };
      description = "Link files, by name.";
    };
    netdevs = mkOption {
      type = types.attrsOf (types.submodule netdevModule);
      default = { };
      description = "Network devices to make, by file name.";
    };
    networks = mkOption {
      type = types.attrsOf (types.submodule networkModule);
      default = { };
      description = "Networks, by file name.";
    };
    units = mkOption {
      type = types.attrsOf types.attrs;
      default = { };
      internal = true;
      description = "Files of systemd-networkd, by name.";
    };
    config = mkOption {
      type = types.submodule {
        options = {
          networkConfig = section "Settings of the `[Network]` section of `networkd.conf`.";
          dhcpV4Config = section "Settings of the `[DHCPv4]` section of `networkd.conf`.";
          dhcpV6Config = section "Settings of the `[DHCPv6]` section of `networkd.conf`.";
          routeTables = mkOption {
            type = types.attrsOf types.int;
            default = { };
            example = {
              foo = 27;
            };
            description = "Names of route tables.";
          };
          addRouteTablesToIPRoute2 = mkOption {
            type = types.bool;
            default = true;
            description = "Whether `ip` knows those names too.";
          };
        };
      };
      default = { };
      description = "What concerns all of systemd-networkd.";
    };
    wait-online = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether `network-online.target` waits for interfaces to be up.";
      };
      anyInterface = mkOption {
        type = types.bool;
        default = config.networking.useDHCP;
        defaultText = lib.literalExpression "config.networking.useDHCP";
        description = "Whether one interface is enough.";
      };
      ignoredInterfaces = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "wg0" ];
        description = "Interfaces that are not waited for.";
      };
      timeout = mkOption {
        type = types.ints.unsigned;
        default = 120;
        example = 0;
        description = "Seconds to wait at most; 0 means for ever.";
      };
      extraArgs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Further arguments of `systemd-networkd-wait-online`.";
      };
    };
  };

  config = lib.mkMerge [
    { environment.etc = files "link" linkText cfg.links; }
    {
      # Names by the place of the hardware, as systemd's own package does.
      environment.etc."systemd/network/99-default.link".source =
        lib.mkDefault "${config.systemd.package}/lib/systemd/network/99-default.link";
    }
    (lib.mkIf cfg.enable {
      users.users.systemd-network = {
        uid = config.ids.uids.systemd-network;
        group = "systemd-network";
        isSystemUser = true;
      };
      users.groups.systemd-network.gid = config.ids.gids.systemd-network;

      environment.etc = networkFiles // {
        "systemd/networkd.conf".text =
          render.section "Network" (
            cfg.config.networkConfig
            // lib.optionalAttrs (cfg.config.routeTables != { }) {
              RouteTable = lib.concatStringsSep " " (
                lib.mapAttrsToList (name: number: "${name}:${toString number}") cfg.config.routeTables
              );
            }
          )
          + render.section "DHCPv4" cfg.config.dhcpV4Config
          + render.section "DHCPv6" cfg.config.dhcpV6Config;
      }
      // lib.optionalAttrs (cfg.config.addRouteTablesToIPRoute2 && cfg.config.routeTables != { }) {
        "iproute2/rt_tables.d/networkd.conf".text = lib.concatStrings (
          lib.mapAttrsToList (name: number: "${toString number} ${name}\n") cfg.config.routeTables
        );
      };

      systemd.services.systemd-networkd = {
        wantedBy = [ "multi-user.target" ];
        aliases = [ "dbus-org.freedesktop.network1.service" ];
        # Changed files are read again without taking interfaces down.
        reloadTriggers = lib.mapAttrsToList (name: _: config.environment.etc.${name}.source) (
          lib.filterAttrs (name: _: networkFiles.${name} ? text) networkFiles
        );
        restartTriggers = [ config.environment.etc."systemd/networkd.conf".source ];
        stopIfChanged = false;
      };
      systemd.sockets.systemd-networkd.wantedBy = [ "sockets.target" ];

      systemd.services.systemd-networkd-wait-online = {
        enable = cfg.wait-online.enable;
        wantedBy = [ "network-online.target" ];
        serviceConfig.ExecStart = [
          ""
          (lib.concatStringsSep " " (
            [
              "${config.systemd.package}/lib/systemd/systemd-networkd-wait-online"
              "--timeout=${toString cfg.wait-online.timeout}"
            ]
            ++ lib.optional cfg.wait-online.anyInterface "--any"
            ++ map (name: "--ignore=${name}") cfg.wait-online.ignoredInterfaces
            ++ cfg.wait-online.extraArgs
          ))
        ];
      };
    })
  ];
}
