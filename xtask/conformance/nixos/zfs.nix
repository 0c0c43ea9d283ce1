# Root on ZFS, with snapshots.
{ machine, pkgs, ... }:
machine {
  networking.hostId = "deadbeef";
  boot.supportedFilesystems = [ "zfs" ];
  boot.zfs.devNodes = "/dev/disk/by-id";
  fileSystems."/home" = {
    device = "tank/home";
    fsType = "zfs";
  };
  services.zfs = {
    autoScrub.enable = true;
    autoSnapshot.enable = true;
    trim.enable = true;
  };
}
