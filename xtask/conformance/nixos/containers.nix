# Systems in containers, with networks of their own.
{ machine, ... }:
machine {
  containers.database = {
    autoStart = true;
    privateNetwork = true;
    hostAddress = "10.0.0.1";
    localAddress = "10.0.0.2";
    config = {
      services.postgresql.enable = true;
      networking.firewall.allowedTCPPorts = [ 5432 ];
      system.stateVersion = "25.11";
    };
  };
  containers.web = {
    ephemeral = true;
    bindMounts."/srv".hostPath = "/srv/web";
    config = { pkgs, ... }: {
      services.lighttpd.enable = true;
      environment.systemPackages = [ pkgs.curl ];
      system.stateVersion = "25.11";
    };
  };
  networking.nat = {
    enable = true;
    internalInterfaces = [ "ve-+" ];
    externalInterface = "eth0";
  };
}
