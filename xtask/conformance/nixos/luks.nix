# An encrypted root on LVM, unlocked by systemd in the initrd.
{ machine, ... }:
machine {
  boot.initrd = {
    systemd.enable = true;
    luks.devices.root = {
      device = "/dev/disk/by-uuid/11111111-2222-3333-4444-555555555555";
      allowDiscards = true;
      crypttabExtraOpts = [ "tpm2-device=auto" ];
    };
    availableKernelModules = [ "nvme" "aesni_intel" ];
    services.lvm.enable = true;
  };
  swapDevices = [
    {
      device = "/dev/vg/swap";
      randomEncryption.enable = true;
    }
  ];
}
