# The installation medium.
{ bare, nixpkgs, ... }:
{
  iso =
    (bare {
      imports = [ (nixpkgs + "/nixos/modules/installer/cd-dvd/installation-cd-minimal.nix") ];
      system.stateVersion = "25.11";
    }).isoImage;
}
