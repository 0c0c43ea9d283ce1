# Plasma with Bluetooth and a graphical login.
{ machine, pkgs, ... }:
machine {
  services.displayManager.sddm.enable = true;
  services.desktopManager.plasma6.enable = true;
  hardware.bluetooth.enable = true;
  programs.kdeconnect.enable = true;
  environment.systemPackages = [ pkgs.gimp pkgs.vlc ];
}
