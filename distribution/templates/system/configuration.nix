# What this machine is. To try it in a container, without changing anything:
#
#   firn os try configuration.nix
{ pkgs, ... }:
{
  nixpkgs.hostPlatform = "x86_64-linux";
  networking.hostName = "machine";

  # where it lives: `lsblk -f` tells
  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  users.users.admin = {
    isNormalUser = true;
    # may become root with sudo
    extraGroups = [ "wheel" ];
    # for the first login; change it with `passwd`, or give openssh.authorizedKeys.keys instead
    initialPassword = "changeme";
  };

  services.openssh.enable = true;

  environment.systemPackages = [
    pkgs.git
    pkgs.vim
  ];

  time.timeZone = "UTC";

  # The release whose defaults for data on disk this machine keeps. It stays as it is when the rest is updated.
  system.stateVersion = "25.11";
}
