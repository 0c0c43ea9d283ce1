# The user's own overlays, where nixpkgs looks for them: <nixpkgs-overlays>, then ~/.config/nixpkgs/overlays.nix, then the
# folder ~/.config/nixpkgs/overlays (its .nix files and its folders with a default.nix, by name).
let
  home = builtins.getEnv "HOME";
  base = "${home}/.config/nixpkgs/overlays";
  onPath = builtins.tryEval (toString <nixpkgs-overlays>);

  fromFolder =
    folder:
    let
      entries = builtins.readDir folder;
      isOverlay =
        name:
        builtins.match ".*\\.nix" name != null || builtins.pathExists (folder + "/${name}/default.nix");
    in
    map (name: import (folder + "/${name}")) (
      builtins.filter isOverlay (builtins.attrNames entries)
    );

  from =
    place:
    if builtins.pathExists (place + "/.") then
      fromFolder (/. + place)
    else
      import (/. + place);
in
if onPath.success && onPath.value != "" then
  from onPath.value
else if home == "" then
  [ ]
else if builtins.pathExists "${base}.nix" then
  import (/. + "${base}.nix")
else if builtins.pathExists base then
  from base
else
  [ ]
