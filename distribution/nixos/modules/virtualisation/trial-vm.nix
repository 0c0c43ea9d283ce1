# What makes any configuration fit the virtual machine that `firn os try` boots it in: root in memory or on a disk that is
# empty at first, the store on read-only disks with a layer of the root over it, and an agent that runs commands for the host.
{
  lib,
  pkgs,
  ...
}:
let
  forVM = lib.mkVMOverride;
in
{
  imports = [ ./store-image.nix ];

  boot.loader.grub.enable = forVM false;
  boot.loader.systemd-boot.enable = forVM false;
  boot.initrd.kernelModules = [
    "virtio_pci"
    "virtio_blk"
    "virtio_net"
    "erofs"
    "overlay"
    "ext4"
  ];
  # the kernel for virtual machines has a quarter of the modules, and those that a machine of QEMU has devices for
  boot.kernelPackages = lib.mkOverride 1400 pkgs.linuxPackages_cloud;
  # a new disk is formatted before the store is in its place
  boot.kernelParams = [ "firn.mkfs=${pkgs.e2fsprogs}/bin/mkfs.ext4" ];
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

  # The system that the host offers becomes a generation once; after that the machine's present generation is started, which
  # stage 1 looks up by this record.
  boot.postBootCommands = ''
    offered=
    for word in $(cat /proc/cmdline); do
      case $word in init=*) offered=''${word#init=}; offered=''${offered%/init} ;; esac
    done
    record=/nix/var/nix/profiles/offered-system
    if [ "$offered" = "$systemConfig" ] && [ "$(cat "$record" 2>/dev/null)" != "$offered" ]; then
      ${pkgs.firn}/bin/nix-env -p /nix/var/nix/profiles/system --set "$systemConfig" &&
        printf %s "$offered" > "$record.tmp" && mv -f "$record.tmp" "$record"
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
