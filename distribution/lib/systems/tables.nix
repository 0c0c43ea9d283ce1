# Facts about processors, kernels and ABIs.
let
  cpu = family: bits: endian: more: { inherit family bits endian; } // more;
  little = "littleEndian";
  big = "bigEndian";
in
{
  # Name → family, bits, byte order, and where it has them the architecture level and version.
  cpus = {
    aarch64 = cpu "arm" 64 little { arch = "armv8-a"; version = "8"; };
    aarch64_be = cpu "arm" 64 big { arch = "armv8-a"; version = "8"; };
    alpha = cpu "alpha" 64 little { };
    arc = cpu "arc" 32 little { };
    arm = cpu "arm" 32 little { };
    arm64 = cpu "arm" 64 little { arch = "armv8-a"; version = "8"; };
    armv5tel = cpu "arm" 32 little { arch = "armv5t"; version = "5"; };
    armv6l = cpu "arm" 32 little { arch = "armv6"; version = "6"; };
    armv6m = cpu "arm" 32 little { arch = "armv6-m"; version = "6"; };
    armv7a = cpu "arm" 32 little { arch = "armv7-a"; version = "7"; };
    armv7l = cpu "arm" 32 little { arch = "armv7"; version = "7"; };
    armv7m = cpu "arm" 32 little { arch = "armv7-m"; version = "7"; };
    armv7r = cpu "arm" 32 little { arch = "armv7-r"; version = "7"; };
    armv8a = cpu "arm" 32 little { arch = "armv8-a"; version = "8"; };
    armv8m = cpu "arm" 32 little { arch = "armv8-m"; version = "8"; };
    armv8r = cpu "arm" 32 little { arch = "armv8-a"; version = "8"; };
    avr = cpu "avr" 8 null { };
    i386 = cpu "x86" 32 little { arch = "i386"; };
    i486 = cpu "x86" 32 little { arch = "i486"; };
    i586 = cpu "x86" 32 little { arch = "i586"; };
    i686 = cpu "x86" 32 little { arch = "i686"; };
    javascript = cpu "javascript" 32 little { };
    loongarch64 = cpu "loongarch" 64 little { };
    m68k = cpu "m68k" 32 big { };
    microblaze = cpu "microblaze" 32 big { };
    microblazeel = cpu "microblaze" 32 little { };
    mips = cpu "mips" 32 big { };
    mips64 = cpu "mips" 64 big { };
    mips64el = cpu "mips" 64 little { };
    mipsel = cpu "mips" 32 little { };
    mmix = cpu "mmix" 64 big { };
    msp430 = cpu "msp430" 16 little { };
    or1k = cpu "or1k" 32 big { };
    powerpc = cpu "power" 32 big { };
    powerpc64 = cpu "power" 64 big { };
    powerpc64le = cpu "power" 64 little { };
    powerpcle = cpu "power" 32 little { };
    riscv32 = cpu "riscv" 32 little { };
    riscv64 = cpu "riscv" 64 little { };
    rx = cpu "rx" 32 little { };
    s390 = cpu "s390" 32 big { };
    s390x = cpu "s390" 64 big { };
    sh4 = cpu "sh" 32 little { };
    sparc = cpu "sparc" 32 big { };
    sparc64 = cpu "sparc" 64 big { };
    vc4 = cpu "vc4" 32 little { };
    wasm32 = cpu "wasm" 32 little { };
    wasm64 = cpu "wasm" 64 little { };
    x86_64 = cpu "x86" 64 little { arch = "x86-64"; };
  };

  # Name → executable format and families.
  kernels = {
    cygwin = { name = "cygwin"; format = "pe"; families = [ ]; };
    darwin = { name = "darwin"; format = "macho"; families = [ "darwin" ]; };
    freebsd = { name = "freebsd"; format = "elf"; families = [ "bsd" ]; };
    genode = { name = "genode"; format = "elf"; families = [ ]; };
    ghcjs = { name = "ghcjs"; format = "unknown"; families = [ ]; };
    ios = { name = "ios"; format = "macho"; families = [ "darwin" ]; };
    linux = { name = "linux"; format = "elf"; families = [ ]; };
    macos = { name = "darwin"; format = "macho"; families = [ "darwin" ]; };
    mmixware = { name = "mmixware"; format = "unknown"; families = [ ]; };
    netbsd = { name = "netbsd"; format = "elf"; families = [ "bsd" ]; };
    none = { name = "none"; format = "unknown"; families = [ ]; };
    openbsd = { name = "openbsd"; format = "elf"; families = [ "bsd" ]; };
    redox = { name = "redox"; format = "elf"; families = [ ]; };
    solaris = { name = "solaris"; format = "elf"; families = [ ]; };
    tvos = { name = "ios"; format = "macho"; families = [ "darwin" ]; };
    uefi = { name = "uefi"; format = "pe"; families = [ ]; };
    wasi = { name = "wasi"; format = "wasm"; families = [ ]; };
    watchos = { name = "ios"; format = "macho"; families = [ "darwin" ]; };
    win32 = { name = "windows"; format = "pe"; families = [ ]; };
    windows = { name = "windows"; format = "pe"; families = [ ]; };
  };

  # Name → what distinguishes it.
  abis = {
    android = { };
    androideabi = { eabi = true; };
    eabi = { eabi = true; float = "soft"; };
    eabihf = { eabi = true; float = "hard"; };
    elf = { };
    gnu = { };
    gnuabi64 = { abi = "64"; };
    gnuabielfv1 = { abi = "elfv1"; };
    gnuabielfv2 = { abi = "elfv2"; };
    gnuabin32 = { abi = "n32"; };
    gnueabi = { eabi = true; float = "soft"; };
    gnueabihf = { eabi = true; float = "hard"; };
    msvc = { };
    musl = { };
    muslabi64 = { abi = "64"; };
    muslabin32 = { abi = "n32"; };
    musleabi = { eabi = true; float = "soft"; };
    musleabihf = { eabi = true; float = "hard"; };
    uclibc = { };
    uclibceabi = { eabi = true; float = "soft"; };
    uclibceabihf = { eabi = true; float = "hard"; };
    unknown = { };
  };

  vendors = [
    "apple"
    "knuth"
    "none"
    "pc"
    "unknown"
    "w64"
  ];

  # Systems as processor and kernel.
  doubles = [
    "i686-cygwin"
    "x86_64-cygwin"
    "x86_64-darwin"
    "aarch64-darwin"
    "i686-freebsd"
    "x86_64-freebsd"
    "aarch64-freebsd"
    "aarch64-genode"
    "i686-genode"
    "x86_64-genode"
    "x86_64-solaris"
    "javascript-ghcjs"
    "aarch64-linux"
    "arc-linux"
    "armv5tel-linux"
    "armv6l-linux"
    "armv7a-linux"
    "armv7l-linux"
    "i686-linux"
    "loongarch64-linux"
    "m68k-linux"
    "sh4-linux"
    "microblaze-linux"
    "microblazeel-linux"
    "mips-linux"
    "mips64-linux"
    "mips64el-linux"
    "mipsel-linux"
    "powerpc-linux"
    "powerpc64-linux"
    "powerpc64le-linux"
    "riscv32-linux"
    "riscv64-linux"
    "s390-linux"
    "s390x-linux"
    "x86_64-linux"
    "mmix-mmixware"
    "aarch64-netbsd"
    "armv6l-netbsd"
    "armv7a-netbsd"
    "armv7l-netbsd"
    "i686-netbsd"
    "m68k-netbsd"
    "mipsel-netbsd"
    "powerpc-netbsd"
    "riscv32-netbsd"
    "riscv64-netbsd"
    "x86_64-netbsd"
    "aarch64_be-none"
    "aarch64-none"
    "arm-none"
    "armv6l-none"
    "avr-none"
    "i686-none"
    "microblaze-none"
    "microblazeel-none"
    "mips-none"
    "mips64-none"
    "msp430-none"
    "or1k-none"
    "m68k-none"
    "powerpc-none"
    "powerpcle-none"
    "riscv32-none"
    "riscv64-none"
    "rx-none"
    "s390-none"
    "s390x-none"
    "vc4-none"
    "x86_64-none"
    "i686-openbsd"
    "x86_64-openbsd"
    "x86_64-redox"
    "wasm64-wasi"
    "wasm32-wasi"
    "aarch64-windows"
    "x86_64-windows"
    "i686-windows"
    "aarch64-uefi"
    "x86_64-uefi"
  ];
}
