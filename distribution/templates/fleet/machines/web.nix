# Serves a page.
{ pkgs, ... }:
{
  services.nginx.enable = true;
  services.nginx.virtualHosts.default = {
    default = true;
    root = pkgs.writeTextDir "index.html" "<h1>Hello from the fleet</h1>\n";
  };
  networking.firewall.allowedTCPPorts = [ 80 ];
}
