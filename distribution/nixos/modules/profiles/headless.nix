# For machines without keyboard and screen: the serial port is the console, and a failing boot restarts.
{ ... }:
{
  systemd.enableEmergencyMode = false;
  boot.kernelParams = [
    "panic=1"
    "boot.panic_on_fail"
    "vga=0x317"
    "nomodeset"
  ];
  boot.loader.grub.splashImage = null;
}
