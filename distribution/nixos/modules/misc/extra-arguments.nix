# Arguments that modules may take besides config, lib and pkgs.
{ lib, pkgs, ... }:
{
  _module.args.utils = import ../../lib/utils.nix { inherit lib pkgs; };
}
