# A machine in an encrypted network: WireGuard on UDP port 51820, and a service that only its peers reach.
{ pkgs, ... }:
{
  networking.hostName = "gate";

  networking.wireguard.interfaces.wg0 = {
    ips = [ "10.100.0.1/24" ];
    listenPort = 51820;
    # The key is made on the machine and never leaves it.
    privateKeyFile = "/var/lib/wireguard/private-key";
    generatePrivateKeyFile = true;
    peers = [
      {
        # A laptop.
        publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        allowedIPs = [ "10.100.0.2/32" ];
        persistentKeepalive = 25;
      }
    ];
  };

  networking.firewall = {
    allowedUDPPorts = [ 51820 ];
    # Only from within the tunnel.
    interfaces.wg0.allowedTCPPorts = [ 80 ];
  };

  services.nginx.enable = true;
  services.nginx.virtualHosts.inside = {
    listenAddresses = [ "0.0.0.0" ];
    default = true;
    locations."/".return = "200 'inside the tunnel\\n'";
  };

  environment.systemPackages = [ pkgs.curl ];

  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  system.stateVersion = "25.11";
}
