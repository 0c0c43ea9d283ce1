# A job that runs by the clock: every minute a line is added to a file, and once a day old lines are removed.
{
  networking.hostName = "clockwork";

  systemd.services.heartbeat = {
    description = "Note that the machine is alive";
    startAt = "minutely";
    serviceConfig = {
      Type = "oneshot";
      DynamicUser = true;
      User = "heartbeat";
      StateDirectory = "heartbeat";
    };
    script = ''
      date --iso-8601=seconds >> "$STATE_DIRECTORY/log"
    '';
  };

  # A timer in full, where startAt says too little.
  systemd.services.heartbeat-trim = {
    description = "Forget old heartbeats";
    serviceConfig = {
      Type = "oneshot";
      DynamicUser = true;
      User = "heartbeat";
      StateDirectory = "heartbeat";
    };
    script = ''
      log=$STATE_DIRECTORY/log
      if [ -e "$log" ]; then
        tail -n 1440 "$log" > "$log.new"
        mv "$log.new" "$log"
      fi
    '';
  };
  systemd.timers.heartbeat-trim = {
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = "daily";
      RandomizedDelaySec = "10m";
      Persistent = true;
    };
  };

  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  system.stateVersion = "25.11";
}
