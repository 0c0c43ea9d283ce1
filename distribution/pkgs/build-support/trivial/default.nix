# The trivial builders, assembled: commands, files, scripts, link farms.
{ lib, final }:
let
  part = file: import file { inherit lib final; };
in
part ./commands.nix // part ./files.nix // part ./scripts.nix // part ./links.nix
