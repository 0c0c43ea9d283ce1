# The first program of a booted system: the second stage after the initrd in a machine, and the first process of a
# container. It mounts what is missing, activates the system and becomes systemd.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  path = lib.makeBinPath [
    pkgs.coreutils
    pkgs.util-linux
  ];
in
{
  options.boot = {
    postBootCommands = mkOption {
      type = types.lines;
      default = "";
      example = "rm -f /var/log/messages";
      description = "Shell text that runs once the system is activated, just before systemd starts.";
    };
    isContainer = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the system is a container: it has no kernel, no boot loader and no devices of its own.";
    };
    isNspawnContainer = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the container is run by systemd-nspawn.";
    };
    loader.initScript.interfaceVersion = mkOption {
      type = types.str;
      default = "systemd ${toString (config.systemd.package.interfaceVersion or 2)} (${config.nixpkgs.system})";
      internal = true;
      description = "What a running service manager has in common with one it can be exchanged for.";
    };
  };

  config.system.build.initScript = ''
    #!${pkgs.runtimeShell}
    # $out/init: starts the system at @out@.
    systemConfig=@out@
    export PATH=${path}
    umask 0022

    # The kernel, or whoever made the container, has mounted some of these.
    mounted() { mountpoint -q "$1"; }
    is_container=${if config.boot.isContainer then "1" else ""}
    [ -n "''${container-}" ] && is_container=1

    mkdir -p /proc /sys /dev /run /tmp /etc /var /nix/store
    mounted /proc || mount -t proc -o nosuid,nodev,noexec proc /proc
    if [ -z "$is_container" ] && ! mounted /; then
      mount -n -o remount,rw none /
    fi
    mounted /sys || mount -t sysfs -o nosuid,nodev,noexec sysfs /sys || true
    if ! mounted /dev; then
      if [ -z "$is_container" ]; then
        mount -t devtmpfs -o nosuid,strictatime,mode=755 devtmpfs /dev
      else
        mount -t tmpfs -o nosuid,strictatime,mode=755,size=4m tmpfs /dev
      fi
    fi
    # The few devices that every program expects, where nobody has made them.
    device() {
      [ -e "/dev/$1" ] || mknod -m "$2" "/dev/$1" c "$3" "$4" 2>/dev/null || true
    }
    device null 0666 1 3
    device zero 0666 1 5
    device full 0666 1 7
    device random 0666 1 8
    device urandom 0666 1 9
    device tty 0666 5 0
    [ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
    [ -e /dev/stdin ] || ln -s /proc/self/fd/0 /dev/stdin
    [ -e /dev/stdout ] || ln -s /proc/self/fd/1 /dev/stdout
    [ -e /dev/stderr ] || ln -s /proc/self/fd/2 /dev/stderr
    mkdir -p /dev/pts /dev/shm
    mounted /dev/pts || mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=620,gid=${toString config.ids.gids.tty} devpts /dev/pts || true
    [ -e /dev/ptmx ] || ln -s pts/ptmx /dev/ptmx
    mounted /dev/shm || mount -t tmpfs -o nosuid,nodev,strictatime,mode=1777 tmpfs /dev/shm
    mounted /run || mount -t tmpfs -o nosuid,nodev,strictatime,mode=755,size=${config.boot.runSize} tmpfs /run
    mkdir -p -m 0755 /run/lock /run/systemd
    ${lib.optionalString (!config.boot.isContainer) ''
      if [ -z "$is_container" ] && ! mounted /sys/fs/cgroup; then
        mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 /sys/fs/cgroup || true
      fi
      # Where the store is not a mount of its own, only its builders may write to it.
      if [ -z "$is_container" ] && ! mounted /nix/store; then
        mount --bind /nix/store /nix/store
        mount -o remount,ro,bind /nix/store
      fi
    ''}

    ln -sfn "$systemConfig" /run/booted-system

    echo "activating the system $systemConfig"
    if ! ${pkgs.firn}/bin/firn system-activate --toplevel "$systemConfig" init; then
      echo "warning: the system could not be activated completely; see the messages above" >&2
    fi

    ${config.boot.postBootCommands}

    # systemd reports its state to whoever started the container; nothing else of this environment concerns it.
    exec env -i ''${container:+container="$container"} ''${container_uuid:+container_uuid="$container_uuid"} \
      ''${NOTIFY_SOCKET:+NOTIFY_SOCKET="$NOTIFY_SOCKET"} \
      ''${TERM:+TERM="$TERM"} PATH=${config.systemd.defaultPath} \
      ${lib.concatStrings (
        lib.mapAttrsToList (
          name: value:
          lib.optionalString (value != null) "${lib.escapeShellArg "${name}=${toString value}"} "
        ) config.systemd.managerEnvironment
      )}\
      ${config.systemd.package}/lib/systemd/systemd "$@"
  '';

  options.boot.runSize = mkOption {
    type = types.str;
    default = "25%";
    example = "256m";
    description = "The size limit of `/run`.";
  };
  options.boot.devSize = mkOption {
    type = types.str;
    default = "5%";
    example = "32m";
    description = "The size limit of `/dev`.";
  };
  options.boot.devShmSize = mkOption {
    type = types.str;
    default = "50%";
    example = "256m";
    description = "The size limit of `/dev/shm`.";
  };
}
