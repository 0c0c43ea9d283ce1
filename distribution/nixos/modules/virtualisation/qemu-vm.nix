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

  # What runs the machine: the program that starts it reads this.
  machine = {
    version = 1;
    name = config.system.name;
    toplevel = "${toplevel}";
    kernel = "${toplevel}/kernel";
    initrd = "${toplevel}/initrd";
    kernelParams = config.boot.kernelParams ++ [ "init=${toplevel}/init" ] ++ cfg.qemu.kernelParams;
    inherit (cfg)
      memorySize
      cores
      diskSize
      graphics
      forwardPorts
      writableStore
      ;
    qemuOptions = cfg.qemu.options;
    diskImage = cfg.diskImage;
  };
in
{
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
      default = "./${config.system.name}.qcow2";
      defaultText = lib.literalExpression ''"./''${config.system.name}.qcow2"'';
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
    ];
    boot.kernelParams = map (console: "console=${console}") (
      if cfg.graphics then cfg.qemu.consoles else lib.reverseList cfg.qemu.consoles
    );

    # The first disk holds the store, the second one everything else.
    fileSystems = forVM {
      "/" = {
        device = "/dev/vdb";
        fsType = "ext4";
        autoFormat = true;
      };
      "/nix/store" = {
        device = "/dev/vda";
        fsType = "erofs";
        options = [ "ro" ];
        neededForBoot = true;
      };
    };
    swapDevices = forVM [ ];
    boot.initrd.luks.devices = forVM { };
    networking.useDHCP = lib.mkDefault true;
    services.timesyncd.enable = forVM false;

    system.build.vmConfiguration = machine;
    system.build.vm =
      pkgs.runCommand "nixos-vm"
        {
          preferLocalBuild = true;
          allowSubstitutes = false;
          machine = builtins.toJSON machine;
          passAsFile = [ "machine" ];
          meta.mainProgram = "run-${config.system.name}-vm";
        }
        ''
          mkdir -p $out/bin
          ln -s ${toplevel} $out/system
          cp "$machinePath" $out/machine.json
          cat > $out/bin/run-${config.system.name}-vm <<'END'
          #!${pkgs.runtimeShell}
          exec ${pkgs.firn}/bin/firn os run-vm @out@/machine.json "$@"
          END
          substituteInPlace $out/bin/run-${config.system.name}-vm --replace-fail @out@ "$out"
          chmod +x $out/bin/run-${config.system.name}-vm
        '';
  };
}
