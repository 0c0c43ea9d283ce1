# Metrics, dashboards and logs.
{ machine, ... }:
machine {
  services.prometheus = {
    enable = true;
    exporters.node.enable = true;
    scrapeConfigs = [
      {
        job_name = "node";
        static_configs = [ { targets = [ "localhost:9100" ]; } ];
      }
    ];
    rules = [ "groups: []" ];
  };
  services.grafana = {
    enable = true;
    settings.server.http_port = 3001;
    settings.security.secret_key = "$__file{/etc/grafana-key}";
  };
  services.journald.extraConfig = "SystemMaxUse=500M";
}
