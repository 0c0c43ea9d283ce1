# For hardware that was not recognised: firmware that may be passed on is included.
{ lib, ... }:
{
  hardware.enableRedistributableFirmware = lib.mkDefault true;
}
