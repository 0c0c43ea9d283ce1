# A system whose store comes as images (see stage 1's firn.store): they bring their contents, but no database of them.
{
  lib,
  pkgs,
  ...
}:
{
  # Each image has the registration of what is in it; the newest image's is on top.
  boot.postBootCommands = lib.mkBefore ''
    if [ -e /nix/store/.registration ] &&
      [ "$(cat /nix/store/.registration)" != "$(cat /nix/var/nix/db/image-registration 2>/dev/null)" ]; then
      ${pkgs.firn}/bin/nix-store --load-db < /nix/store/.registration
      # what was in an image that is not there any more
      ${pkgs.firn}/bin/nix-store --verify
      cp /nix/store/.registration /nix/var/nix/db/image-registration
    fi
  '';
}
