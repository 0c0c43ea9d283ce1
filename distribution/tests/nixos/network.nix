# Names, addresses and DHCP, as files of systemd-networkd and of the resolver.
t:
let
  config = t.machine {
    networking = {
      domain = "example.org";
      useDHCP = false;
      interfaces.eth0 = {
        ipv4.addresses = [
          {
            address = "192.0.2.10";
            prefixLength = 24;
          }
        ];
        ipv4.routes = [
          {
            address = "198.51.100.0";
            prefixLength = 24;
            via = "192.0.2.1";
          }
        ];
        mtu = 1400;
      };
      interfaces.eth1.useDHCP = true;
      defaultGateway = "192.0.2.1";
      nameservers = [ "192.0.2.53" ];
      search = [ "example.net" ];
      hosts."192.0.2.20" = [ "other" ];
      extraHosts = "192.0.2.30 third";
      vlans.lan = {
        id = 7;
        interface = "eth0";
      };
      bridges.br0.interfaces = [ "eth2" ];
      hostId = "4e98920d";
    };
    systemd.network.networks."50-own" = {
      name = "own*";
      address = [ "203.0.113.1/24" ];
      networkConfig.IPForward = true;
      routes = [
        { Gateway = "203.0.113.254"; }
        { routeConfig.Gateway = "203.0.113.253"; }
      ];
      dhcpV4Config.UseDNS = false;
    };
  };
  file = name: t.etc config "systemd/network/${name}";
  eth0 = file "40-eth0.network";
in
{
  address = {
    expr = t.values "Address" eth0;
    expected = [ "192.0.2.10/24" ];
  };
  gatewayAndRoute = {
    expr = [
      (t.values "Gateway" eth0)
      (t.values "Destination" eth0)
    ];
    expected = [
      [
        "192.0.2.1"
        "192.0.2.1"
      ]
      [ "198.51.100.0/24" ]
    ];
  };
  noDHCPByDefault = {
    expr = t.values "DHCP" eth0;
    expected = [ "no" ];
  };
  mtu = {
    expr = t.values "MTUBytes" eth0;
    expected = [ "1400" ];
  };
  dhcpWhereAsked = {
    expr = t.values "DHCP" (file "40-eth1.network");
    expected = [ "yes" ];
  };
  gatewayBelongsToTheFixedAddress = {
    expr = t.values "Gateway" (file "40-eth1.network");
    expected = [ ];
  };
  vlan = {
    expr = [
      (t.values "VLAN" eth0)
      (t.values "Id" (file "40-lan.netdev"))
    ];
    expected = [
      [ "lan" ]
      [ "7" ]
    ];
  };
  bridge = {
    expr = [
      (t.values "Kind" (file "40-br0.netdev"))
      (t.values "Bridge" (file "40-eth2.network"))
    ];
    expected = [
      [ "bridge" ]
      [ "br0" ]
    ];
  };
  catchAllIsGone = {
    expr = config.environment.etc ? "systemd/network/99-ethernet-default-dhcp.network";
    expected = false;
  };
  catchAllIsThereByDefault = {
    expr = t.values "DHCP" (
      t.etc (t.machine { }) "systemd/network/99-ethernet-default-dhcp.network"
    );
    expected = [ "yes" ];
  };
  ownNetwork = {
    expr = [
      (t.values "Name" (file "50-own.network"))
      (t.values "IPForward" (file "50-own.network"))
      (t.values "Gateway" (file "50-own.network"))
      (t.values "UseDNS" (file "50-own.network"))
    ];
    expected = [
      [ "own*" ]
      [ "true" ]
      [
        "203.0.113.254"
        "203.0.113.253"
      ]
      [ "false" ]
    ];
  };
  hosts = {
    expr = map (t.line (t.etc config "hosts")) [
      "127.0.0.1 localhost"
      "::1 localhost"
      "127.0.0.2 machine.example.org machine"
      "192.0.2.20 other"
      "192.0.2.30 third"
    ];
    expected = [
      true
      true
      true
      true
      true
    ];
  };
  resolver = {
    expr = map (t.line (t.etc config "resolv.conf")) [
      "nameserver 192.0.2.53"
      "search example.net example.org"
    ];
    expected = [
      true
      true
    ];
  };
  fqdn = {
    expr = config.networking.fqdn;
    expected = "machine.example.org";
  };
  namesAreChecked = {
    expr = t.fails (t.machine { networking.hostName = t.lib.mkForce "a.b"; }).networking.hostName;
    expected = true;
  };
  wireguardKeyOnTheMachine = {
    expr =
      let
        c = t.machine {
          networking.wireguard.interfaces.wg0 = {
            ips = [ "10.0.0.1/24" ];
            privateKeyFile = "/key";
            generatePrivateKeyFile = true;
            peers = [
              {
                publicKey = "P";
                allowedIPs = [ "10.0.0.2/32" ];
              }
            ];
          };
        };
      in
      [
        (t.has "private-key /key" c.systemd.services.wireguard-wg0.script)
        (t.has "peer P" c.systemd.services.wireguard-wg0.script)
        (t.has "route replace 10.0.0.2/32 dev wg0" c.systemd.services.wireguard-wg0.script)
        c.systemd.services.wireguard-wg0-key.requiredBy
      ];
    expected = [
      true
      true
      true
      [ "wireguard-wg0.service" ]
    ];
  };
  wireguardNeedsOneKey = {
    expr = builtins.length (
      t.failures {
        networking.wireguard.interfaces.wg0.ips = [ "10.0.0.1/24" ];
      }
    );
    expected = 1;
  };
}
