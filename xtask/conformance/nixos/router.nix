# A router: systemd-networkd, nftables, WireGuard, DNS and DHCP.
{ machine, ... }:
machine {
  networking.useNetworkd = true;
  networking.nftables.enable = true;
  networking.firewall.interfaces.lan.allowedUDPPorts = [ 53 67 ];
  systemd.network.networks."10-lan" = {
    matchConfig.Name = "lan";
    networkConfig.Address = "192.168.1.1/24";
    networkConfig.IPMasquerade = "ipv4";
  };
  networking.wireguard.interfaces.wg0 = {
    ips = [ "10.100.0.1/24" ];
    listenPort = 51820;
    privateKeyFile = "/etc/wireguard/key";
    peers = [
      {
        publicKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        allowedIPs = [ "10.100.0.2/32" ];
      }
    ];
  };
  services.dnsmasq = {
    enable = true;
    settings.dhcp-range = [ "192.168.1.100,192.168.1.200" ];
  };
  services.resolved.enable = false;
  boot.kernel.sysctl."net.ipv4.ip_forward" = 1;
}
