#!/bin/busybox sh
# Stage 1: what the kernel starts from the initrd. Loads modules, finds the root file system (and, where there are some, the
# store's images), and hands over to the system's init.
#
# Kernel parameters:
#   init=PATH            the system's init, a path on the root file system (default /sbin/init)
#   root=DEVICE          /dev/…, UUID=…, LABEL=…, PARTUUID=…, serial:NAME (virtio disk's serial), or tmpfs (the default)
#   rootfstype=TYPE rootflags=OPTIONS ro rw rootdelay=SECONDS
#   firn.store=DEVICE,…  images (erofs, squashfs) that are the store, the first before the later ones; firn.storefstype=TYPE (erofs)
#   firn.storewritable   put a layer over them, so that paths can be added: on the root file system, so in memory if that is
#   firn.mkfs=PROGRAM    a program in the store that makes a file system on the root device if that is all zeroes
#   firn.profile=LINK    start the present generation of this profile, if the system of init= was offered before: if it is the one
#                        that LINK's folder names in the file `offered-system`
#   firn.tmpfs=SIZE      size of a root in memory (default 50%)
#   boot.shell_on_fail   a shell instead of a panic when something is missing
#   boot.trace           show every command
export PATH=/bin
busybox=/bin/busybox
$busybox mkdir -p /proc /sys /dev /run /sysroot /etc
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs -o mode=0755 devtmpfs /dev
$busybox mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /run
$busybox --install -s /bin 2>/dev/null
[ -e /etc/mtab ] || ln -s /proc/mounts /etc/mtab

say() { echo "stage 1: $*" >/dev/console; }
fail() {
    say "$*"
    if [ -n "$shellOnFail" ]; then
        say "starting a shell, as boot.shell_on_fail asks; leave it to go on"
        setsid cttyhack sh
        return 0
    fi
    # init's end is a kernel panic: the machine restarts if panic= says so
    sleep 1
    exit 1
}

init=/sbin/init root=tmpfs rootType= rootFlags= rootMode=rw delay=30 stores= storeType=erofs storeWritable= size=50% shellOnFail=
mkfs= profile=
for word in $(cat /proc/cmdline); do
    case $word in
    init=*) init=${word#init=} ;;
    root=*) root=${word#root=} ;;
    rootfstype=*) rootType=${word#rootfstype=} ;;
    rootflags=*) rootFlags=${word#rootflags=} ;;
    ro) rootMode=ro ;;
    rw) rootMode=rw ;;
    rootdelay=*) delay=${word#rootdelay=} ;;
    firn.store=*) stores=$(echo "${word#firn.store=}" | tr , ' ') ;;
    firn.storefstype=*) storeType=${word#firn.storefstype=} ;;
    firn.storewritable) storeWritable=1 ;;
    firn.mkfs=*) mkfs=${word#firn.mkfs=} ;;
    firn.profile=*) profile=${word#firn.profile=} ;;
    firn.tmpfs=*) size=${word#firn.tmpfs=} ;;
    boot.shell_on_fail) shellOnFail=1 ;;
    boot.trace | boot.debugtrace) set -x ;;
    esac
done

# --- modules --------------------------------------------------------------------------------------------------------
# those that were asked for by name, then those that the machine's devices ask for
if [ -e /insmod-list ]; then
    while read -r module; do insmod "/$module" 2>/dev/null; done </insmod-list
fi
find /sys/devices -name modalias -exec cat {} + 2>/dev/null | sort -u | xargs -r modprobe -qa 2>/dev/null

# --- devices --------------------------------------------------------------------------------------------------------
# prints the device that a name stands for, once it is there
resolve() {
    case $1 in
    serial:*)
        for disk in /sys/block/*; do
            if [ "$(cat "$disk/serial" 2>/dev/null)" = "${1#serial:}" ]; then echo "/dev/${disk##*/}"; fi
        done
        ;;
    UUID=* | LABEL=*) findfs "$1" 2>/dev/null ;;
    PARTUUID=*)
        for file in /sys/class/block/*/uevent; do
            if grep -qi "^PARTUUID=${1#PARTUUID=}$" "$file"; then
                sed -n 's,^DEVNAME=,/dev/,p' "$file"
            fi
        done
        ;;
    /dev/disk/by-uuid/*) findfs "UUID=${1##*/}" 2>/dev/null ;;
    /dev/disk/by-label/*) findfs "LABEL=${1##*/}" 2>/dev/null ;;
    /dev/disk/by-partuuid/*) resolve "PARTUUID=${1##*/}" ;;
    *) if [ -b "$1" ]; then echo "$1"; fi ;;
    esac
}
waitFor() {
    waited=0
    while :; do
        device=$(resolve "$1" | head -n 1)
        if [ -n "$device" ]; then return 0; fi
        if [ "$waited" -ge $((delay * 10)) ]; then return 1; fi
        sleep 0.1
        waited=$((waited + 1))
    done
}

# --- the store's images ---------------------------------------------------------------------------------------------
# before the root file system: the program that makes one is in the store
images=
for store in $stores; do
    waitFor "$store" || fail "the store's device $store did not appear within $delay seconds"
    mkdir -p "/images/${device##*/}"
    mount -t "$storeType" -o ro "$device" "/images/${device##*/}" || fail "cannot mount the store's image $device"
    images="$images ${device##*/}"
done

# --- the root file system -------------------------------------------------------------------------------------------
# makes a file system on $device, if there is nothing at all on it
format() {
    if [ -z "$mkfs" ] || [ -n "$(head -c 1048576 "$device" | tr -d '\0' | head -c 1)" ]; then return 0; fi
    say "making a file system on $device"
    mkdir -p /nix
    for image in $images; do
        ln -sfn "/images/$image" /nix/store
        if [ -e "$mkfs" ]; then
            "$mkfs" -q -F "$device" || fail "cannot make a file system on $device"
            return 0
        fi
    done
    fail "the program $mkfs is not in the store's images"
}

if [ "$root" = tmpfs ]; then
    mount -t tmpfs -o "mode=0755,size=$size" tmpfs /sysroot || fail "cannot mount a root in memory"
else
    waitFor "$root" || fail "the root device $root did not appear within $delay seconds"
    format
    mount -o "$rootMode${rootFlags:+,$rootFlags}" ${rootType:+-t "$rootType"} "$device" /sysroot ||
        fail "cannot mount $device (root=$root) as the root file system"
fi

# --- the store ------------------------------------------------------------------------------------------------------
if [ -n "$images" ]; then
    mkdir -p /sysroot/nix/store
    lower=
    for image in $images; do
        place=/sysroot/nix/store
        if [ -n "$storeWritable" ]; then
            place=/sysroot/nix/.ro-store/$image
            mkdir -p "$place"
        fi
        mount -o move "/images/$image" "$place" || mount --move "/images/$image" "$place"
        lower=$lower${lower:+:}$place
        # without a layer there is room for one only
        if [ -z "$storeWritable" ]; then break; fi
    done
    if [ -n "$storeWritable" ]; then
        layer=/sysroot/nix/.rw-store
        mkdir -p $layer
        if [ "$root" = tmpfs ]; then mount -t tmpfs -o mode=0755 tmpfs $layer; fi
        mkdir -p $layer/store $layer/work
        mount -t overlay -o "lowerdir=$lower,upperdir=$layer/store,workdir=$layer/work" \
            overlay /sysroot/nix/store || fail "cannot put a writable layer over the store"
    fi
fi

# commands of the system's configuration, for what is not covered above
if [ -e /post-mount.sh ]; then . /post-mount.sh; fi

# --- over to the system ---------------------------------------------------------------------------------------------
if [ -n "$profile" ] && [ "$(cat "/sysroot${profile%/*}/offered-system" 2>/dev/null)" = "${init%/init}" ]; then
    generation=$(readlink "/sysroot${profile%/*}/$(readlink "/sysroot$profile")")
    if [ -e "/sysroot$generation/init" ]; then init=$generation/init; fi
fi
if [ ! -e "/sysroot$init" ] && [ ! -L "/sysroot$init" ]; then
    fail "the system's init $init is not on the root file system"
fi
mkdir -p /sysroot/proc /sysroot/sys /sysroot/dev /sysroot/run /sysroot/tmp /sysroot/etc /sysroot/var
chmod 1777 /sysroot/tmp
for place in /proc /sys /dev /run; do mount -o move "$place" "/sysroot$place" || mount --move "$place" "/sysroot$place"; done
exec switch_root /sysroot "$init"
