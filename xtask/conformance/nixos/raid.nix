# Software RAID, Btrfs and network file systems.
{ machine, ... }:
machine {
  boot.swraid = {
    enable = true;
    mdadmConf = "MAILADDR root";
  };
  fileSystems."/data" = {
    device = "/dev/md0";
    fsType = "btrfs";
    options = [ "compress=zstd" "subvol=data" ];
  };
  fileSystems."/media" = {
    device = "server:/export";
    fsType = "nfs";
    options = [ "x-systemd.automount" "noauto" ];
  };
  services.btrfs.autoScrub.enable = true;
  services.nfs.server = {
    enable = true;
    exports = "/data 10.0.0.0/24(rw)";
  };
  services.samba.enable = true;
}
