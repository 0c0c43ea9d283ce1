# Kernel, file systems, swap and boot loader.
t:
let
  config = t.machine {
    boot.kernelModules = [
      "b"
      "a"
      "b"
    ];
    boot.kernelParams = [ "quiet" ];
    boot.blacklistedKernelModules = [ "pcspkr" ];
    boot.kernel.sysctl = {
      "vm.swappiness" = 10;
      "net.ipv4.ip_forward" = true;
      "kernel.kptr_restrict" = null;
    };
    fileSystems."/data" = {
      device = "/dev/disk/by-label/my data";
      fsType = "ext4";
      options = [
        "noatime"
        "nofail"
      ];
      depends = [ "/" ];
    };
    fileSystems."/var" = {
      device = "/dev/vda2";
      fsType = "ext4";
    };
    fileSystems."/scratch".fsType = "tmpfs";
    swapDevices = [
      {
        device = "/swapfile";
        size = 512;
        priority = 5;
      }
    ];
    boot.tmp.useTmpfs = true;
    boot.tmp.cleanOnBoot = true;
  };
  fstab = t.etc config "fstab";
in
{
  sysctl = {
    expr = map (t.line (t.etc config "sysctl.d/60-nixos.conf")) [
      "vm.swappiness=10"
      "net.ipv4.ip_forward=1"
    ]
    ++ [ (t.has "kptr_restrict" (t.etc config "sysctl.d/60-nixos.conf")) ];
    expected = [
      true
      true
      false
    ];
  };
  modulesOnce = {
    expr = builtins.length (
      builtins.filter (l: l == "b") (t.lib.splitString "\n" (t.etc config "modules-load.d/nixos.conf"))
    );
    expected = 1;
  };
  blacklist = {
    expr = t.line (t.etc config "modprobe.d/nixos.conf") "blacklist pcspkr";
    expected = true;
  };
  parameters = {
    expr = map (p: builtins.elem p config.boot.kernelParams) [
      "quiet"
      "loglevel=4"
      "root=/dev/vda1"
      "rootfstype=ext4"
    ];
    expected = [
      true
      true
      true
      true
    ];
  };
  fstab = {
    expr = map (t.line fstab) [
      "/dev/vda1 / ext4 defaults 0 1"
      "/dev/disk/by-label/my\\040data /data ext4 x-systemd.requires-mounts-for=/,noatime,nofail 0 2"
      "tmpfs /scratch tmpfs defaults 0 0"
      "/swapfile none swap defaults,pri=5 0 0"
    ];
    expected = [
      true
      true
      true
      true
    ];
  };
  earlyMountsInOrder = {
    expr = map (fs: fs.mountPoint) config.boot.initrd.fileSystems;
    expected = [
      "/"
      "/var"
    ];
  };
  swapFileIsMade = {
    expr = config.systemd.services.mkswap-swapfile.wantedBy;
    expected = [ "swapfile.swap" ];
  };
  tmp = {
    expr = [
      (t.values "Where" (t.unit config "tmp.mount"))
      (builtins.elem "D! /tmp 1777 root root" config.systemd.tmpfiles.rules)
    ];
    expected = [
      [ "/tmp" ]
      true
    ];
  };
  grubByDefault = {
    expr = [
      config.boot.loader.grub.enable
      config.boot.loader.grub.devices
    ];
    expected = [
      true
      [ "/dev/vda" ]
    ];
  };
  noRootIsAnError = {
    expr = builtins.length (t.failures { fileSystems = t.lib.mkForce { }; });
    expected = 1;
  };
  noDeviceForGrubIsAnError = {
    expr = builtins.length (t.failures { boot.loader.grub.device = t.lib.mkForce ""; });
    expected = 1;
  };
  systemdBootNeedsNone = {
    expr = builtins.length (
      t.failures {
        boot.loader.grub.device = t.lib.mkForce "";
        boot.loader.systemd-boot.enable = true;
      }
    );
    expected = 0;
  };
  zfsNeedsAnId = {
    expr = builtins.length (t.failures { boot.supportedFilesystems = [ "zfs" ]; });
    expected = 1;
  };
}
