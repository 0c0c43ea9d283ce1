# A web server with certificates, PHP and a reverse proxy.
{ machine, ... }:
machine {
  networking.hostName = "web";
  networking.firewall.allowedTCPPorts = [ 80 443 ];
  security.acme = {
    acceptTerms = true;
    defaults.email = "admin@example.org";
  };
  services.nginx = {
    enable = true;
    recommendedTlsSettings = true;
    recommendedProxySettings = true;
    virtualHosts."example.org" = {
      enableACME = true;
      forceSSL = true;
      root = "/srv/www";
      locations."/api/".proxyPass = "http://127.0.0.1:3000";
    };
  };
  services.phpfpm.pools.www = {
    user = "nginx";
    settings = {
      "pm" = "dynamic";
      "pm.max_children" = 8;
      "pm.start_servers" = 2;
      "pm.min_spare_servers" = 1;
      "pm.max_spare_servers" = 3;
    };
  };
}
