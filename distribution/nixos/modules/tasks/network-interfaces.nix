# networking.interfaces, bridges, bonds, vlans, gateways and DHCP, turned into configuration of systemd-networkd.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking;

  address = bits: types.submodule {
    options = {
      address = mkOption {
        type = types.str;
        description = "The address.";
      };
      prefixLength = mkOption {
        type = types.ints.between 0 bits;
        description = "The length of the network's prefix, in bits.";
      };
    };
  };

  route = bits: types.submodule {
    options = {
      address = mkOption {
        type = types.str;
        description = "The network's address.";
      };
      prefixLength = mkOption {
        type = types.ints.between 0 bits;
        description = "The length of the network's prefix, in bits.";
      };
      type = mkOption {
        type = types.nullOr (
          types.enum [
            "unicast"
            "local"
            "broadcast"
            "multicast"
          ]
        );
        default = null;
        description = "The type of the route.";
      };
      via = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "The next hop.";
      };
      options = mkOption {
        type = types.attrsOf types.str;
        default = { };
        example = {
          mtu = "1492";
        };
        description = "Further settings of the route: `mtu`, `metric`, `src`, `table`, `onlink`.";
      };
    };
  };

  family = bits: {
    addresses = mkOption {
      type = types.listOf (address bits);
      default = [ ];
      description = "Addresses of the interface.";
    };
    routes = mkOption {
      type = types.listOf (route bits);
      default = [ ];
      description = "Routes through the interface.";
    };
  };

  interface =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          default = name;
          description = "The name of the interface.";
        };
        useDHCP = mkOption {
          type = types.nullOr types.bool;
          default = null;
          description = "Whether the interface gets an address by DHCP. Null means what {option}`networking.useDHCP` says.";
        };
        ipv4 = family 32;
        ipv6 = family 128;
        tempAddress = mkOption {
          type = types.enum [
            "default"
            "disabled"
            "enabled"
          ];
          default = "default";
          description = "Whether IPv6 uses temporary addresses.";
        };
        mtu = mkOption {
          type = types.nullOr types.int;
          default = null;
          example = 9000;
          description = "The largest packet, in bytes.";
        };
        macAddress = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "00:11:22:33:44:55";
          description = "The hardware address.";
        };
        virtual = mkOption {
          type = types.bool;
          default = false;
          description = "Whether this is a tun or tap interface to be made.";
        };
        virtualType = mkOption {
          type = types.enum [
            "tun"
            "tap"
          ];
          default = if lib.hasPrefix "tun" name then "tun" else "tap";
          defaultText = lib.literalMD "`tun` if the name starts so, else `tap`";
          description = "The type of a virtual interface.";
        };
        virtualOwner = mkOption {
          type = types.nullOr types.str;
          default = "root";
          description = "The user who may use a virtual interface.";
        };
        proxyARP = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the machine answers ARP for others.";
        };
        wakeOnLan.enable = mkOption {
          type = types.bool;
          default = false;
          description = "Whether a packet can wake the machine.";
        };
      };
    };

  gateway = types.nullOr (
    types.coercedTo types.str (address: { inherit address; }) (
      types.submodule {
        options = {
          address = mkOption {
            type = types.str;
            description = "The address of the gateway.";
          };
          interface = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "enp0s3";
            description = "The interface through which it is reached.";
          };
          metric = mkOption {
            type = types.nullOr types.int;
            default = null;
            example = 42;
            description = "The metric of the route.";
          };
          source = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "The source address for it.";
          };
        };
      }
    )
  );

  interfaces = lib.attrValues cfg.interfaces;
  useDHCP = each: if each.useDHCP != null then each.useDHCP else cfg.useDHCP && each.ipv4.addresses == [ ] && each.ipv6.addresses == [ ];

  withPrefix = each: "${each.address}/${toString each.prefixLength}";

  routeSection =
    each:
    {
      Destination = withPrefix each;
    }
    // lib.optionalAttrs (each.via != null) { Gateway = each.via; }
    // lib.optionalAttrs (each.type != null) { Type = each.type; }
    // lib.mapAttrs' (
      name: value:
      lib.nameValuePair
        ({
          mtu = "MTUBytes";
          metric = "Metric";
          src = "PreferredSource";
          table = "Table";
          onlink = "GatewayOnLink";
          scope = "Scope";
        }.${name} or (throw "networking.interfaces: the route option \"${name}\" is not known here; use systemd.network.networks")
        )
        (if name == "onlink" then true else value)
    ) each.options;

  gatewaysOf =
    name:
    let
      only = lib.attrNames cfg.interfaces;
      belongs =
        gate:
        gate != null
        && (
          if gate.interface != null then
            gate.interface == name
          else
            # Without an interface it goes where there is a fixed address.
            lib.length only == 1
            || lib.head (
              lib.filter (each: cfg.interfaces.${each}.ipv4.addresses != [ ] || cfg.interfaces.${each}.ipv6.addresses != [ ]) only
              ++ only
            ) == name
        );
      section =
        gate:
        {
          Gateway = gate.address;
          GatewayOnLink = gate.interface != null;
        }
        // lib.optionalAttrs (gate.metric != null) { Metric = gate.metric; }
        // lib.optionalAttrs (gate.source != null) { PreferredSource = gate.source; };
    in
    map section (lib.filter belongs [
      cfg.defaultGateway
      cfg.defaultGateway6
    ]);

  networkOf = each: {
    matchConfig.Name = each.name;
    DHCP = if useDHCP each then "yes" else "no";
    address = map withPrefix (each.ipv4.addresses ++ lib.optionals cfg.enableIPv6 each.ipv6.addresses);
    routes = map routeSection (each.ipv4.routes ++ each.ipv6.routes) ++ gatewaysOf each.name;
    networkConfig = {
      IPv6PrivacyExtensions =
        {
          default = if cfg.tempAddresses == "disabled" then "no" else if cfg.tempAddresses == "enabled" then "yes" else "prefer-public";
          disabled = "no";
          enabled = "yes";
        }
        .${each.tempAddress};
    }
    // lib.optionalAttrs each.proxyARP { IPv4ProxyARP = true; }
    // lib.optionalAttrs (!cfg.enableIPv6) { LinkLocalAddressing = "no"; IPv6AcceptRA = false; };
    linkConfig =
      lib.optionalAttrs (each.macAddress != null) { MACAddress = each.macAddress; }
      // lib.optionalAttrs (each.mtu != null) { MTUBytes = toString each.mtu; };
    bridge = lib.concatLists (
      lib.mapAttrsToList (bridge: settings: lib.optional (lib.elem each.name settings.interfaces) bridge) cfg.bridges
    );
    vlan = lib.attrNames (lib.filterAttrs (_: vlan: vlan.interface == each.name) cfg.vlans);
    bond = lib.concatLists (
      lib.mapAttrsToList (bond: settings: lib.optional (lib.elem each.name settings.interfaces) bond) cfg.bonds
    );
  };

  # Interfaces that only appear as parts of others.
  members = lib.unique (
    lib.concatMap (each: each.interfaces) (lib.attrValues cfg.bridges ++ lib.attrValues cfg.bonds)
    ++ map (vlan: vlan.interface) (lib.attrValues cfg.vlans)
  );
  made = lib.attrNames cfg.bridges ++ lib.attrNames cfg.bonds ++ lib.attrNames cfg.vlans;
in
{
  options.networking = {
    useNetworkd = mkOption {
      type = types.bool;
      default = true;
      description = "Whether systemd-networkd sets up interfaces. It always does here, so false is not possible.";
    };
    useDHCP = mkOption {
      type = types.bool;
      default = true;
      description = "Whether interfaces without fixed addresses get one by DHCP.";
    };
    useHostResolvConf = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a container uses the host's `/etc/resolv.conf`.";
    };
    usePredictableInterfaceNames = mkOption {
      type = types.bool;
      default = true;
      description = "Whether interfaces are named after where they are plugged in, as `enp0s3`, and not in order, as `eth0`.";
    };
    tempAddresses = mkOption {
      type = types.enum [
        "default"
        "disabled"
        "enabled"
      ];
      default = if cfg.enableIPv6 then "default" else "disabled";
      defaultText = lib.literalMD "`default`, or `disabled` without IPv6";
      description = "Whether IPv6 uses temporary addresses.";
    };
    interfaces = mkOption {
      type = types.attrsOf (types.submodule interface);
      default = { };
      example = lib.literalExpression ''{ eth0.ipv4.addresses = [ { address = "131.211.84.78"; prefixLength = 25; } ]; }'';
      description = "Interfaces of the network, by name.";
    };
    defaultGateway = mkOption {
      type = gateway;
      default = null;
      example = {
        address = "131.211.84.1";
        interface = "enp3s0";
      };
      description = "Where packets for other networks go.";
    };
    defaultGateway6 = mkOption {
      type = gateway;
      default = null;
      description = "Where IPv6 packets for other networks go.";
    };
    defaultGatewayWindowSize = mkOption {
      type = types.nullOr types.int;
      default = null;
      description = "The window size of the route to the gateway. Accepted.";
    };
    bridges = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            interfaces = mkOption {
              type = types.listOf types.str;
              example = [ "eth0" ];
              description = "The interfaces that the bridge joins.";
            };
            rstp = mkOption {
              type = types.bool;
              default = false;
              description = "Whether the bridge uses a spanning tree.";
            };
          };
        }
      );
      default = { };
      description = "Bridges, by name.";
    };
    bonds = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            interfaces = mkOption {
              type = types.listOf types.str;
              description = "The interfaces that the bond joins.";
            };
            driverOptions = mkOption {
              type = types.attrsOf types.str;
              default = { };
              example = {
                mode = "active-backup";
              };
              description = "Settings of the bond: `mode`, `miimon`, `xmit_hash_policy`, `lacp_rate`.";
            };
          };
        }
      );
      default = { };
      description = "Bonds, by name.";
    };
    vlans = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            id = mkOption {
              type = types.int;
              description = "The number of the VLAN.";
            };
            interface = mkOption {
              type = types.str;
              description = "The interface that it is on.";
            };
          };
        }
      );
      default = { };
      description = "VLANs, by the name of their interface.";
    };
    dhcpcd = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether interfaces get addresses by DHCP at all. systemd-networkd is the client here.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Lines for dhcpcd.conf. They have no effect here.";
      };
      denyInterfaces = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [
          "virbr0"
          "vnet*"
        ];
        description = "Interfaces that DHCP leaves alone.";
      };
      wait = mkOption {
        type = types.enum [
          "background"
          "any"
          "ipv4"
          "ipv6"
          "both"
          "if-carrier-up"
        ];
        default = "any";
        description = "What to wait for before the network counts as up. Accepted.";
      };
      persistent = mkOption {
        type = types.bool;
        default = false;
        description = "Whether addresses stay when the client stops. Accepted.";
      };
    };
    networkmanager.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether NetworkManager sets up interfaces. Not available.";
    };
    wireless.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether wireless networks are used. Not available yet.";
    };
  };

  config = {
    systemd.network.enable = lib.mkDefault true;

    systemd.network.networks =
      lib.listToAttrs (
        map (each: lib.nameValuePair "40-${each.name}" (networkOf each)) (
          interfaces
          ++ map (
            name:
            {
              inherit name;
              useDHCP = null;
              ipv4 = {
                addresses = [ ];
                routes = [ ];
              };
              ipv6 = {
                addresses = [ ];
                routes = [ ];
              };
              tempAddress = "default";
              macAddress = null;
              mtu = null;
              proxyARP = false;
            }
            // lib.optionalAttrs (lib.elem name members) { useDHCP = false; }
          ) (lib.filter (name: !(cfg.interfaces ? ${name})) (lib.unique (members ++ made)))
        )
      )
      // lib.optionalAttrs (cfg.useDHCP && cfg.dhcpcd.enable) {
        # Wired and wireless interfaces that nothing else describes.
        "99-ethernet-default-dhcp" = {
          matchConfig = {
            Type = "ether";
            Kind = "!*";
          }
          // lib.optionalAttrs (cfg.dhcpcd.denyInterfaces != [ ]) {
            Name = map (name: "!${name}") cfg.dhcpcd.denyInterfaces;
          };
          DHCP = "yes";
          networkConfig.IPv6PrivacyExtensions = "kernel";
        };
        "99-wireless-client-dhcp" = {
          matchConfig.WLANInterfaceType = "station";
          DHCP = "yes";
          networkConfig.IPv6PrivacyExtensions = "kernel";
          dhcpV4Config.RouteMetric = 1025;
          ipv6AcceptRAConfig.RouteMetric = 1025;
        };
      };

    systemd.network.netdevs =
      lib.mapAttrs' (
        name: bridge:
        lib.nameValuePair "40-${name}" {
          netdevConfig = {
            Name = name;
            Kind = "bridge";
          };
          bridgeConfig = lib.optionalAttrs bridge.rstp { STP = true; };
        }
      ) cfg.bridges
      // lib.mapAttrs' (
        name: vlan:
        lib.nameValuePair "40-${name}" {
          netdevConfig = {
            Name = name;
            Kind = "vlan";
          };
          vlanConfig.Id = vlan.id;
        }
      ) cfg.vlans
      // lib.mapAttrs' (
        name: bond:
        lib.nameValuePair "40-${name}" {
          netdevConfig = {
            Name = name;
            Kind = "bond";
          };
          bondConfig = lib.mapAttrs' (
            key: value:
            lib.nameValuePair
              ({
                mode = "Mode";
                miimon = "MIIMonitorSec";
                xmit_hash_policy = "TransmitHashPolicy";
                lacp_rate = "LACPTransmitRate";
                updelay = "UpDelaySec";
                downdelay = "DownDelaySec";
                ad_select = "AdSelect";
              }.${key} or (throw "networking.bonds.${name}.driverOptions: \"${key}\" is not known here; use systemd.network.netdevs")
              )
              (if lib.elem key [ "miimon" "updelay" "downdelay" ] then "${value}ms" else value)
          ) bond.driverOptions;
        }
      ) cfg.bonds
      // lib.mapAttrs' (
        _: each:
        lib.nameValuePair "40-${each.name}" {
          netdevConfig = {
            Name = each.name;
            Kind = each.virtualType;
          };
          "${each.virtualType}Config".User = each.virtualOwner;
        }
      ) (lib.filterAttrs (_: each: each.virtual) cfg.interfaces);

    boot.kernelParams = lib.optional (!cfg.usePredictableInterfaceNames) "net.ifnames=0";

    environment.systemPackages = [ pkgs.iproute2 ];

    warnings = lib.optional (
      !cfg.useNetworkd
    ) "networking.useNetworkd is false, but interfaces are set up by systemd-networkd all the same.";

    assertions = [
      {
        assertion = !cfg.networkmanager.enable;
        message = "networking.networkmanager.enable is set, but NetworkManager is not available; interfaces are set up by systemd-networkd.";
      }
      {
        assertion = !cfg.wireless.enable;
        message = "networking.wireless.enable is set, but wireless networks are not available yet.";
      }
    ]
    ++ map (each: {
      assertion = lib.stringLength each.name <= 15;
      message = "networking.interfaces.\"${each.name}\": the name of an interface has 15 characters at most.";
    }) interfaces;
  };
}
