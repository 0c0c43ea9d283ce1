# A test with two virtual machines.
{ pkgs, ... }:
{
  test = pkgs.testers.runNixOSTest {
    name = "two-machines";
    nodes.server = {
      services.nginx.enable = true;
      networking.firewall.allowedTCPPorts = [ 80 ];
    };
    nodes.client = { pkgs, ... }: { environment.systemPackages = [ pkgs.curl ]; };
    testScript = ''
      start_all()
      server.wait_for_open_port(80)
      client.succeed("curl --fail http://server/")
    '';
  };
}
