# GNOME with sound, printing and fonts.
{ machine, pkgs, ... }:
machine {
  services.displayManager.gdm.enable = true;
  services.desktopManager.gnome.enable = true;
  services.pipewire = {
    enable = true;
    alsa.enable = true;
    pulse.enable = true;
  };
  services.printing.enable = true;
  fonts.packages = [ pkgs.dejavu_fonts pkgs.noto-fonts ];
  i18n.defaultLocale = "de_DE.UTF-8";
  time.timeZone = "Europe/Berlin";
}
