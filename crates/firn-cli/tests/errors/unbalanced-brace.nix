{ pkgs, ... }:
{
  packages = [ pkgs.hello ;
}
