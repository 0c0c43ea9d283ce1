# A laptop: networks that come and go, power saving, firmware.
{ machine, pkgs, ... }:
machine {
  networking.networkmanager.enable = true;
  services.power-profiles-daemon.enable = true;
  services.fwupd.enable = true;
  services.thermald.enable = true;
  services.libinput.enable = true;
  services.xserver.enable = true;
  services.xserver.desktopManager.xfce.enable = true;
  hardware.enableRedistributableFirmware = true;
  hardware.cpu.intel.updateMicrocode = true;
  powerManagement.cpuFreqGovernor = "powersave";
  users.users.ann = {
    isNormalUser = true;
    extraGroups = [ "networkmanager" "wheel" ];
    shell = pkgs.zsh;
  };
  programs.zsh.enable = true;
}
