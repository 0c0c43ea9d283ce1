# The least that makes a system: a name, a place to live, somebody who can log in.
{
  networking.hostName = "minimal";

  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  users.users.root.initialPassword = "snow";

  system.stateVersion = "25.11";
}
