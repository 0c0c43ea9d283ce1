# A web site with TLS, HTTP 2 and redirection from HTTP, with a certificate that the machine signs for itself when it
# first starts. Put the files of a real certificate in its place.
{ config, pkgs, ... }:
let
  folder = "/var/lib/site-certificate";
in
{
  networking.hostName = "site";
  networking.domain = "example.org";
  networking.firewall.allowedTCPPorts = [
    80
    443
  ];

  services.nginx = {
    enable = true;
    recommendedTlsSettings = true;
    recommendedOptimisation = true;
    recommendedGzipSettings = true;
    virtualHosts.${config.networking.fqdn} = {
      default = true;
      forceSSL = true;
      sslCertificate = "${folder}/certificate.pem";
      sslCertificateKey = "${folder}/key.pem";
      root = "${pkgs.writeTextDir "index.html" "<h1>Nobody listens in.</h1>\n"}";
      extraConfig = ''
        add_header Strict-Transport-Security "max-age=31536000" always;
      '';
    };
  };

  systemd.services.site-certificate = {
    description = "Sign a certificate for this machine";
    requiredBy = [ "nginx.service" ];
    before = [ "nginx.service" ];
    path = [ pkgs.openssl ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      StateDirectory = baseNameOf folder;
      StateDirectoryMode = "0750";
      Group = config.services.nginx.group;
      UMask = "0027";
    };
    script = ''
      cd ${folder}
      if [ ! -e certificate.pem ]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
          -subj /CN=${config.networking.fqdn} -addext subjectAltName=DNS:${config.networking.fqdn} \
          -keyout key.pem -out certificate.pem
        chmod 0640 key.pem
      fi
    '';
  };

  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  system.stateVersion = "25.11";
}
