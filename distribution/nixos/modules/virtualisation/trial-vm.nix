# What makes any configuration fit the virtual machine that `firn os try` boots it in: root in memory, the store on a
# read-only disk with a layer of memory over it, and an agent that runs commands for the host.
{
  lib,
  pkgs,
  ...
}:
let
  forVM = lib.mkVMOverride;
in
{
  boot.loader.grub.enable = forVM false;
  boot.loader.systemd-boot.enable = forVM false;
  boot.initrd.kernelModules = [
    "virtio_pci"
    "virtio_blk"
    "virtio_net"
    "erofs"
    "overlay"
  ];
  boot.initrd.luks.devices = forVM { };
  fileSystems = forVM {
    "/" = {
      device = "tmpfs";
      fsType = "tmpfs";
    };
  };
  swapDevices = forVM [ ];
  networking.useDHCP = forVM true;
  networking.interfaces = forVM { };
  services.timesyncd.enable = forVM false;

  # the store's database does not come with its contents
  boot.postBootCommands = ''
    if [ -e /nix/store/.registration ] && ! [ -e /nix/var/nix/db/db.sqlite ]; then
      ${pkgs.firn}/bin/nix-store --load-db < /nix/store/.registration
      ${pkgs.firn}/bin/nix-env -p /nix/var/nix/profiles/system --set "$systemConfig"
    fi
  '';

  systemd.services.firn-agent = {
    description = "Run commands for the host";
    wantedBy = [ "multi-user.target" ];
    unitConfig.ConditionKernelCommandLine = "firn.agent";
    serviceConfig = {
      ExecStart = "${pkgs.firn}/bin/firn __agent /dev/ttyS1";
      Restart = "always";
      # a switch is one of the commands it runs
      KillMode = "process";
    };
    restartIfChanged = false;
  };
}
