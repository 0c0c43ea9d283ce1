# A web server: one page, a firewall that lets web traffic in, one person who administers it.
#
#   firn os try examples/webserver/configuration.nix     try it in a container, without changing this machine
{ config, pkgs, ... }:
let
  page = pkgs.writeTextDir "index.html" ''
    <!doctype html>
    <meta charset="utf-8">
    <title>${config.networking.hostName}</title>
    <h1>Hello from ${config.networking.hostName}</h1>
    <p>This is the first generation.</p>
  '';
in
{
  networking.hostName = "web";

  services.nginx.enable = true;
  services.nginx.virtualHosts.default = {
    default = true;
    root = "${page}";
  };

  # Everything else is refused.
  networking.firewall.allowedTCPPorts = [
    80
    443
  ];

  users.users.alice = {
    isNormalUser = true;
    description = "Alice";
    extraGroups = [ "wheel" ];
    # For trying out; on a real machine, give `openssh.authorizedKeys.keys`.
    initialPassword = "snow";
  };

  environment.systemPackages = [
    pkgs.curl
    pkgs.git
    pkgs.vim
  ];

  # More connections may wait for nginx to accept them.
  boot.kernel.sysctl."net.core.somaxconn" = 4096;

  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  system.stateVersion = "25.11";
}
