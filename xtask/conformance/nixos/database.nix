# Databases with backups on a timer.
{ machine, pkgs, ... }:
machine {
  services.postgresql = {
    enable = true;
    ensureDatabases = [ "shop" ];
    ensureUsers = [
      {
        name = "shop";
        ensureDBOwnership = true;
      }
    ];
    settings.max_connections = 50;
  };
  services.postgresqlBackup.enable = true;
  services.redis.servers.cache = {
    enable = true;
    port = 6380;
  };
  services.mysql = {
    enable = true;
    package = pkgs.mariadb;
  };
  services.restic.backups.daily = {
    paths = [ "/var/backup" ];
    repository = "/mnt/backup";
    passwordFile = "/etc/restic-password";
    timerConfig.OnCalendar = "03:00";
  };
}
