# Predicates on parsed systems, as patterns: sets whose attributes a system must share; a list of them is an alternative.
{ lib, parse }:
let
  inherit (builtins)
    any
    attrValues
    concatMap
    elem
    filter
    isList
    listToAttrs
    map
    mapAttrs
    ;
  inherit (parse)
    abis
    execFormats
    kernelFamilies
    kernels
    significantBytes
    ;
  toList = x: if isList x then x else [ x ];
  and = ps: qs: concatMap (p: map (q: lib.attrsets.recursiveUpdate p q) (toList qs)) (toList ps);

  cpu = cpu: { inherit cpu; };
  kernel = name: { kernel = removeAttrs kernels.${name} [ "_type" ]; };
  inFamily = name: { kernel.families.${name} = kernelFamilies.${name}; };
  anyAbi = names: map (name: { abi = removeAttrs abis.${name} [ "_type" "assertions" ]; }) names;

  patterns = rec {
    # processors
    isi686 = cpu (removeAttrs parse.cpuTypes.i686 [ "_type" ]);
    isx86_32 = cpu { family = "x86"; bits = 32; };
    isx86_64 = cpu { family = "x86"; bits = 64; };
    isx86 = cpu { family = "x86"; };
    isPower = cpu { family = "power"; };
    isPower64 = cpu { family = "power"; bits = 64; };
    isAarch = cpu { family = "arm"; };
    isAarch32 = cpu { family = "arm"; bits = 32; };
    isAarch64 = cpu { family = "arm"; bits = 64; };
    isArmv7 = map (name: cpu { inherit (parse.cpuTypes.${name}) arch; }) (
      filter (name: lib.strings.hasPrefix "armv7" name) (builtins.attrNames parse.cpuTypes)
    );
    isMicroBlaze = cpu { family = "microblaze"; };
    isMips = cpu { family = "mips"; };
    isMips32 = cpu { family = "mips"; bits = 32; };
    isMips64 = cpu { family = "mips"; bits = 64; };
    isMips64n32 = cpu { family = "mips"; bits = 64; } // { abi.abi = "n32"; };
    isMips64n64 = cpu { family = "mips"; bits = 64; } // { abi.abi = "64"; };
    isMmix = cpu { family = "mmix"; };
    isRiscV = cpu { family = "riscv"; };
    isRiscV32 = cpu { family = "riscv"; bits = 32; };
    isRiscV64 = cpu { family = "riscv"; bits = 64; };
    isRx = cpu { family = "rx"; };
    isSparc = cpu { family = "sparc"; };
    isSparc64 = cpu { family = "sparc"; bits = 64; };
    isWasm = cpu { family = "wasm"; };
    isMsp430 = cpu { family = "msp430"; };
    isVc4 = cpu { family = "vc4"; };
    isAvr = cpu { family = "avr"; };
    isArc = cpu { family = "arc"; };
    isAlpha = cpu { family = "alpha"; };
    isOr1k = cpu { family = "or1k"; };
    isM68k = cpu { family = "m68k"; };
    isS390 = cpu { family = "s390"; };
    isS390x = cpu { family = "s390"; bits = 64; };
    isSh4 = cpu { name = "sh4"; };
    isLoongArch64 = cpu { family = "loongarch"; bits = 64; };
    isJavaScript = cpu { name = "javascript"; };
    is32bit = cpu { bits = 32; };
    is64bit = cpu { bits = 64; };
    isILP32 = [
      (cpu { family = "wasm"; bits = 32; })
    ]
    ++ map (abi: { abi = { inherit abi; }; }) [ "n32" "ilp32" "x32" ];
    isBigEndian = cpu { significantByte = significantBytes.bigEndian; };
    isLittleEndian = cpu { significantByte = significantBytes.littleEndian; };

    # kernels
    isBSD = inFamily "bsd";
    isDarwin = inFamily "darwin";
    isUnix = [
      isBSD
      isDarwin
      isLinux
      isSunOS
      isCygwin
      isRedox
    ];
    isMacOS = kernel "macos";
    isiOS = kernel "ios";
    isLinux = kernel "linux";
    isSunOS = kernel "solaris";
    isFreeBSD = kernel "freebsd";
    isNetBSD = kernel "netbsd";
    isOpenBSD = kernel "openbsd";
    isWindows = kernel "windows";
    isCygwin = kernel "cygwin";
    isMinGW = kernel "windows" // { abi = removeAttrs abis.gnu [ "_type" "assertions" ]; };
    isMsvc = kernel "windows" // { abi = removeAttrs abis.msvc [ "_type" "assertions" ]; };
    isWasi = kernel "wasi";
    isRedox = kernel "redox";
    isGhcjs = kernel "ghcjs";
    isGenode = kernel "genode";
    isUefi = kernel "uefi";
    isNone = kernel "none";

    # ABIs and formats
    isAndroid = anyAbi [ "android" "androideabi" ];
    isGnu = anyAbi [ "gnuabi64" "gnuabin32" "gnu" "gnueabi" "gnueabihf" "gnuabielfv1" "gnuabielfv2" ];
    isMusl = anyAbi [ "musl" "musleabi" "musleabihf" "muslabin32" "muslabi64" ];
    isUClibc = anyAbi [ "uclibc" "uclibceabi" "uclibceabihf" ];
    isEabi = { abi.eabi = true; };
    isAbiElfv1 = { abi.abi = "elfv1"; };
    isAbiElfv2 = { abi.abi = "elfv2"; };
    isElf = { kernel.execFormat = execFormats.elf; };
    isMacho = { kernel.execFormat = execFormats.macho; };
    isPE = { kernel.execFormat = execFormats.pe; };

    # firmware
    isEfi = [
      (cpu { family = "arm"; version = "6"; })
      (cpu { family = "arm"; version = "7"; })
      (cpu { family = "arm"; version = "8"; })
      (cpu { family = "riscv"; })
      (cpu { family = "x86"; })
      (cpu { family = "loongarch"; })
    ];
  };

  matchAnyPattern =
    patterns:
    let
      alternatives = toList patterns;
    in
    system: any (pattern: lib.attrsets.matchAttrs pattern system) alternatives;
in
{
  inherit patterns matchAnyPattern;
  predicates = mapAttrs (_: matchAnyPattern) patterns;
  patternLogicalAnd = and;
  # What is asked of a whole platform, not of its parsed name.
  platformPatterns.isStatic = {
    parsed = { };
    isStatic = true;
  };
}
