# The user's own package settings, where nixpkgs looks for them: $NIXPKGS_CONFIG, then
# ~/.config/nixpkgs/config.nix, then ~/.nixpkgs/config.nix; nothing in pure evaluation.
let
  home = builtins.getEnv "HOME";
  named = builtins.getEnv "NIXPKGS_CONFIG";
  candidates =
    (if named == "" then [ ] else [ named ])
    ++ (
      if home == "" then
        [ ]
      else
        [
          "${home}/.config/nixpkgs/config.nix"
          "${home}/.nixpkgs/config.nix"
        ]
    );
  found = builtins.filter builtins.pathExists candidates;
in
if found == [ ] then { } else import (/. + builtins.head found)
