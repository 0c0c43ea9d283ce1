# What makes any configuration fit the container that `firn os try` boots it in.
{ lib, ... }:
{
  boot.isContainer = true;
  # the container's interface has its address before the system starts
  networking.useDHCP = lib.mkVMOverride false;
  networking.interfaces = lib.mkVMOverride { };
}
