# A tiling desktop on Wayland.
{ machine, pkgs, ... }:
machine {
  programs.sway = {
    enable = true;
    extraPackages = [ pkgs.foot pkgs.wofi pkgs.swaylock ];
  };
  services.greetd = {
    enable = true;
    settings.default_session.command = "${pkgs.tuigreet}/bin/tuigreet --cmd sway";
  };
  xdg.portal.wlr.enable = true;
  programs.firefox.enable = true;
  fonts.enableDefaultPackages = true;
}
