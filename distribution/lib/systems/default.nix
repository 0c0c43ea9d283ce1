# Platforms: what is known about a machine from its name.
#
#   tables.nix    processors, kernels, ABIs and the systems made of them: facts only
#   parse.nix     names of systems, taken apart and put together
#   inspect.nix   predicates (`isLinux`, `isx86_64` …) as patterns on parsed systems
#   elaborate.nix a platform with everything that builds want to know about it
{ lib }:
let
  tables = import ./tables.nix;
  parse = import ./parse.nix { inherit lib tables; };
  inspect = import ./inspect.nix { inherit lib parse; };
  elaborated = import ./elaborate.nix { inherit lib parse inspect; };

  parsedDoubles = map (system: {
    inherit system;
    parsed = parse.mkSystemFromString system;
  }) tables.doubles;
  where = pred: map (d: d.system) (builtins.filter (d: pred d.parsed) parsedDoubles);
  p = inspect.predicates;

  platforms = {
    all = tables.doubles;
    none = [ ];
    aarch = where p.isAarch;
    aarch64 = where p.isAarch64;
    arc = where p.isArc;
    arm = where p.isAarch32;
    armv7 = where p.isArmv7;
    bigEndian = where p.isBigEndian;
    cygwin = where p.isCygwin;
    darwin = where p.isDarwin;
    embedded = where p.isNone;
    freebsd = where p.isFreeBSD;
    genode = where p.isGenode;
    # Of the GNU libraries: Linux with any libc of theirs.
    gnu = where (s: s.kernel.name == "linux");
    i686 = where p.isi686;
    illumos = where p.isSunOS;
    js = where p.isJavaScript;
    linux = where p.isLinux;
    littleEndian = where p.isLittleEndian;
    loongarch64 = where p.isLoongArch64;
    m68k = where p.isM68k;
    microblaze = where p.isMicroBlaze;
    mips = where p.isMips;
    mmix = where p.isMmix;
    netbsd = where p.isNetBSD;
    openbsd = where p.isOpenBSD;
    or1k = where p.isOr1k;
    power = where p.isPower;
    redox = where p.isRedox;
    riscv = where p.isRiscV;
    riscv32 = where p.isRiscV32;
    riscv64 = where p.isRiscV64;
    rx = where p.isRx;
    s390 = where p.isS390;
    s390x = where p.isS390x;
    sh4 = where p.isSh4;
    uefi = where p.isUefi;
    unix = where p.isUnix;
    vc4 = where p.isVc4;
    wasi = where p.isWasi;
    windows = where p.isWindows;
    x86 = where p.isx86;
    x86_64 = where p.isx86_64;
  };
in
{
  inherit parse inspect;
  inherit (elaborated)
    elaborate
    equals
    functionNames
    systemToAttrs
    ;

  doubles = platforms // { inherit platforms; };

  # Systems that flakes are expected to work on.
  flakeExposed = [
    "x86_64-linux"
    "aarch64-linux"
    "x86_64-darwin"
    "armv6l-linux"
    "armv7l-linux"
    "i686-linux"
    "aarch64-darwin"
    "powerpc64le-linux"
    "riscv64-linux"
    "x86_64-freebsd"
  ];

  examples = {
    gnu64.config = "x86_64-unknown-linux-gnu";
    gnu32.config = "i686-unknown-linux-gnu";
    musl64.config = "x86_64-unknown-linux-musl";
    musl32.config = "i686-unknown-linux-musl";
    aarch64-multiplatform.config = "aarch64-unknown-linux-gnu";
    aarch64-multiplatform-musl.config = "aarch64-unknown-linux-musl";
    armv7l-hf-multiplatform.config = "armv7l-unknown-linux-gnueabihf";
    riscv64.config = "riscv64-unknown-linux-gnu";
    riscv32.config = "riscv32-unknown-linux-gnu";
    s390x.config = "s390x-unknown-linux-gnu";
    loongarch64-linux.config = "loongarch64-unknown-linux-gnu";
    aarch64-darwin.config = "arm64-apple-darwin";
    x86_64-darwin.config = "x86_64-apple-darwin";
  };
}
