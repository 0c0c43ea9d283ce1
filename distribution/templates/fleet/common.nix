# What all machines have in common.
{
  config,
  lib,
  pkgs,
  machines,
  ...
}:
{
  # they know each other by name
  networking.hosts = lib.mapAttrs' (name: address: lib.nameValuePair address [ name ]) machines;

  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  users.users.admin = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    # your key here, and the password goes
    openssh.authorizedKeys.keys = [ ];
    initialPassword = "changeme";
  };

  services.openssh.enable = true;
  networking.firewall.enable = true;

  environment.systemPackages = [
    pkgs.htop
    pkgs.vim
  ];

  system.stateVersion = "25.11";
}
