# Asks the web server for its page every five minutes; `journalctl -u ask-web` tells of failures.
{ pkgs, machines, ... }:
{
  systemd.services.ask-web = {
    description = "Whether the web server answers";
    serviceConfig.Type = "oneshot";
    script = "${pkgs.curl}/bin/curl --fail --silent --show-error --output /dev/null http://${machines.web}/";
  };
  systemd.timers.ask-web = {
    wantedBy = [ "timers.target" ];
    timerConfig.OnCalendar = "*:0/5";
  };
}
