# What is different in a container (boot.isContainer): there are no devices, kernel settings or clocks of its own.
{ config, lib, ... }:
{
  config = lib.mkIf config.boot.isContainer {
    powerManagement.enable = false;
    documentation.nixos.enable = lib.mkDefault false;
    services.udev.enable = lib.mkDefault false;

    systemd.suppressedSystemUnits = [
      "dev-hugepages.mount"
      "dev-mqueue.mount"
      "kmod-static-nodes.service"
      "proc-sys-fs-binfmt_misc.automount"
      "proc-sys-fs-binfmt_misc.mount"
      "sys-fs-fuse-connections.mount"
      "sys-kernel-config.mount"
      "sys-kernel-debug.mount"
      "sys-kernel-tracing.mount"
      "systemd-journald-audit.socket"
      "systemd-modules-load.service"
      "systemd-random-seed.service"
      "systemd-udev-settle.service"
      "systemd-udev-trigger.service"
      "systemd-udevd-control.socket"
      "systemd-udevd-kernel.socket"
      "systemd-udevd.service"
      "systemd-fsck-root.service"
      "systemd-remount-fs.service"
    ];
  };
}
