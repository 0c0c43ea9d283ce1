# UEFI with systemd-boot, several kernels and specialisations.
{ machine, pkgs, ... }:
machine {
  boot.loader.grub.enable = false;
  boot.loader.systemd-boot = {
    enable = true;
    configurationLimit = 5;
    editor = false;
    memtest86.enable = true;
  };
  boot.loader.efi.canTouchEfiVariables = true;
  boot.kernelPackages = pkgs.linuxPackages_latest;
  fileSystems."/boot" = {
    device = "/dev/disk/by-label/ESP";
    fsType = "vfat";
    options = [ "umask=0077" ];
  };
  specialisation.debug.configuration.boot.kernelParams = [ "debug" "systemd.log_level=debug" ];
}
