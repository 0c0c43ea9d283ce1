# A system in QEMU: the kernel and the initial ramdisk are given to QEMU itself, the store is a read-only disk.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.virtualisation;
  forVM = lib.mkVMOverride;

  forward = types.submodule {
    options = {
      from = mkOption {
        type = types.enum [
          "host"
          "guest"
        ];
        default = "host";
        description = "On which side connections come in.";
      };
      proto = mkOption {
        type = types.enum [
          "tcp"
          "udp"
        ];
        default = "tcp";
        description = "The protocol.";
      };
      host = {
        address = mkOption {
          type = types.str;
          default = "";
          description = "The address on the host.";
        };
        port = mkOption {
          type = types.port;
          description = "The port on the host.";
        };
      };
      guest = {
        address = mkOption {
          type = types.str;
          default = "";
          description = "The address in the machine.";
        };
        port = mkOption {
          type = types.port;
          description = "The port in the machine.";
        };
      };
    };
  };

  toplevel = config.system.build.toplevel;

  storeImage = pkgs.makeErofsImage { storeContents = [ toplevel ]; };

  rule =
    each:
    if each.from == "host" then
      "hostfwd=${each.proto}:${each.host.address}:${toString each.host.port}-${each.guest.address}:${toString each.guest.port}"
    else
      "guestfwd=${each.proto}:${each.guest.address}:${toString each.guest.port}-cmd:${pkgs.netcat}/bin/nc ${each.host.address} ${toString each.host.port}";

  # Runs the machine with the QEMU that is in PATH.
  run = pkgs.writeScript "run-${config.system.name}-vm" ''
    #!${pkgs.runtimeShell} -e
    export PATH=${lib.makeBinPath [ pkgs.coreutils pkgs.e2fsprogs ]}:$PATH
    disk=''${NIX_DISK_IMAGE:-${toString cfg.diskImage}}
    if ! [ -e "$disk" ]; then
      echo "making the disk $disk"
      truncate -s ${if cfg.diskSize == "auto" then "4096" else toString cfg.diskSize}M "$disk"
      mkfs.ext4 -q -F -L nixos "$disk"
    fi
    # A /dev/kvm that is there may still not work.
    accelerator=tcg
    if [ -w /dev/kvm ] && timeout 5 ${pkgs.firn}/bin/firn __kvm-probe; then accelerator=kvm; fi
    exec qemu-system-x86_64 \
      -name ${lib.escapeShellArg config.system.name} \
      -accel "$accelerator" -m ${toString cfg.memorySize} -smp ${toString cfg.cores} \
      -device virtio-rng-pci \
      -drive file=${storeImage},if=none,id=store,format=raw,readonly=on \
      -device virtio-blk-pci,drive=store,serial=store \
      -drive file="$disk",if=none,id=root,format=raw \
      -device virtio-blk-pci,drive=root,serial=root \
      -nic user,model=virtio-net-pci${lib.concatMapStrings (each: "," + rule each) cfg.forwardPorts}''${QEMU_NET_OPTS:+,$QEMU_NET_OPTS} \
      -kernel ${toplevel}/kernel -initrd ${toplevel}/initrd \
      -append "$(cat ${toplevel}/kernel-params) ${toString cfg.qemu.kernelParams} init=${toplevel}/init $QEMU_KERNEL_PARAMS" \
      ${if cfg.graphics then "-serial stdio" else "-nographic"} \
      ${toString cfg.qemu.options} $QEMU_OPTS "$@"
  '';
in
{
  imports = [ ./store-image.nix ];

  options.virtualisation = {
    memorySize = mkOption {
      type = types.ints.positive;
      default = 1024;
      description = "The memory in MiB.";
    };
    cores = mkOption {
      type = types.ints.positive;
      default = 1;
      description = "How many processors it has.";
    };
    diskSize = mkOption {
      type = types.either (types.enum [ "auto" ]) types.ints.positive;
      default = 1024;
      description = "The size of the disk in MiB.";
    };
    diskImage = mkOption {
      type = types.nullOr types.str;
      default = "./${config.system.name}.img";
      defaultText = lib.literalExpression ''"./''${config.system.name}.img"'';
      description = "The file of the disk.";
    };
    graphics = mkOption {
      type = types.bool;
      default = true;
      description = "Whether it has a window. Without one, the console is the terminal.";
    };
    writableStore = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the store in the machine can be written to.";
    };
    forwardPorts = mkOption {
      type = types.listOf forward;
      default = [ ];
      example = lib.literalExpression "[ { host.port = 2222; guest.port = 22; } ]";
      description = "Ports of the host that lead into the machine.";
    };
    sharedDirectories = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "Folders of the host in the machine. Accepted; not available yet.";
    };
    qemu = {
      options = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "-vga std" ];
        description = "Further arguments of QEMU.";
      };
      kernelParams = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Further parameters on the kernel's command line.";
      };
      guestAgent.enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether the guest agent runs. Accepted.";
      };
      consoles = mkOption {
        type = types.listOf types.str;
        default = [
          "ttyS0,115200n8"
          "tty0"
        ];
        description = "The consoles; the last one is the main one.";
      };
    };
    useBootLoader = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the machine starts by its boot loader. Accepted.";
    };
    useNixStoreImage = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the store is a disk image. It always is.";
    };
    vlans = mkOption {
      type = types.listOf types.ints.unsigned;
      default = [ ];
      description = "Networks that machines of one test share. Accepted.";
    };
  };

  config = {
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
    boot.kernelParams = map (console: "console=${console}") (
      if cfg.graphics then cfg.qemu.consoles else lib.reverseList cfg.qemu.consoles
    );

    # One disk holds the store and cannot be written; the other one everything else.
    virtualisation.qemu.kernelParams = [
      "firn.store=serial:store"
    ]
    ++ lib.optional cfg.writableStore "firn.storewritable";
    fileSystems = forVM {
      "/" = {
        device = "/dev/disk/by-label/nixos";
        fsType = "ext4";
        noCheck = true;
      };
    };
    swapDevices = forVM [ ];
    boot.initrd.luks.devices = forVM { };
    networking.useDHCP = lib.mkDefault true;
    services.timesyncd.enable = forVM false;

    system.build.vm =
      pkgs.runCommand "nixos-vm"
        {
          preferLocalBuild = true;
          allowSubstitutes = false;
          meta.mainProgram = "run-${config.system.name}-vm";
        }
        ''
          mkdir -p $out/bin
          ln -s ${toplevel} $out/system
          ln -s ${run} $out/bin/run-${config.system.name}-vm
        '';

    assertions = [
      {
        assertion = lib.all (each: each.from == "host" || each.proto == "tcp") cfg.forwardPorts;
        message = "virtualisation.forwardPorts: from the guest, only TCP can be forwarded.";
      }
    ];
  };
}
