# Containers of other kinds.
{ machine, pkgs, ... }:
machine {
  virtualisation.docker = {
    enable = true;
    autoPrune.enable = true;
  };
  virtualisation.podman.enable = true;
  virtualisation.oci-containers = {
    backend = "podman";
    containers.proxy = {
      image = "docker.io/library/caddy:2";
      ports = [ "8080:80" ];
      volumes = [ "/srv/caddy:/data" ];
    };
  };
  users.users.dev = {
    isNormalUser = true;
    extraGroups = [ "docker" ];
    packages = [ pkgs.docker-compose ];
  };
}
