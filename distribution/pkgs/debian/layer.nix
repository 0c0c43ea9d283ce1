# The layer of Debian's binary packages: `debian` holds one store path for each entry of the lock file, under its name there.
# Which of them a user sees, under which names and with what settings, the layers after this one decide.
final: prev:
let
  inherit (prev) lib;
  platform = prev.hostPlatform;
in
{
  importBinary = import ../build-support/import {
    inherit lib platform;
    inherit (prev) config;
  };

  # a fetch that needs nothing else: by Nix itself
  fetchurlBoot = import ../build-support/fetch/boot.nix;

  debian = import ./default.nix {
    inherit lib platform;
    inherit (final) importBinary fetchurlBoot;
    # changes to single entries (settings that the lock cannot know): entry name → old attributes → new attributes
    settings = final.debianSettings;
  };

  debianSettings = import ./settings.nix { inherit lib final; };
}
