# A platform from its name, or from a set with a name in it and what the caller wants different.
{
  lib,
  parse,
  inspect,
}:
let
  inherit (builtins)
    all
    attrNames
    filter
    isString
    listToAttrs
    map
    mapAttrs
    removeAttrs
    throw
    toString
    ;
  inherit (lib.strings) optionalString toUpper;
  inherit (lib.attrsets) optionalAttrs;

  # Attributes that are functions, and so cannot be compared.
  functionNames = [
    "canExecute"
    "emulator"
    "emulatorAvailable"
    "staticEmulatorAvailable"
  ];

  # By kernel, as GNU config names it.
  libcOf =
    final:
    if final.isDarwin then
      "libSystem"
    else if final.isMsvc then
      "ucrt"
    else if final.isMinGW then
      "ucrt"
    else if final.isCygwin then
      "cygwin"
    else if final.isWasi then
      "wasilibc"
    else if final.isWasm && !final.isWasi then
      null
    else if final.isRedox then
      "relibc"
    else if final.isMusl then
      "musl"
    else if final.isUClibc then
      "uclibc"
    else if final.isAndroid then
      "bionic"
    else if final.isLinux then
      "glibc"
    else if final.isFreeBSD then
      "fblibc"
    else if final.isOpenBSD then
      "oblibc"
    else if final.isNetBSD then
      "nblibc"
    else if final.isAvr then
      "avrlibc"
    else if final.isGhcjs then
      null
    else if final.isNone then
      "newlib"
    else
      "native/impure";

  linuxArchOf =
    final:
    let
      cpu = final.parsed.cpu;
    in
    if final.isx86_32 then
      "i386"
    else if final.isAarch64 then
      "arm64"
    else if final.isAarch32 then
      "arm"
    else if cpu.family == "power" then
      "powerpc"
    else if cpu.family == "riscv" then
      "riscv"
    else if cpu.family == "mips" then
      "mips"
    else if cpu.family == "s390" then
      "s390"
    else if cpu.family == "loongarch" then
      "loongarch"
    else if cpu.family == "microblaze" then
      "microblaze"
    else if cpu.family == "sh" then
      "sh"
    else
      cpu.name;

  qemuArchOf =
    final:
    let
      cpu = final.parsed.cpu;
    in
    if final.isAarch32 then
      "arm"
    else if final.isAarch64 then
      cpu.name
    else if final.isS390 && !final.isS390x then
      null
    else if final.isx86_32 then
      "i386"
    else
      {
        powerpc = "ppc";
        powerpcle = "ppcle";
        powerpc64 = "ppc64";
        powerpc64le = "ppc64le";
      }
      .${cpu.name} or cpu.name;

  efiArchOf =
    final:
    if final.isx86_32 then
      "ia32"
    else if final.isx86_64 then
      "x64"
    else if final.isAarch32 then
      "arm"
    else if final.isAarch64 then
      "aa64"
    else
      final.parsed.cpu.name;

  goArchOf =
    final:
    let
      byName = {
        aarch64 = "arm64";
        i686 = "386";
        i586 = "386";
        i486 = "386";
        i386 = "386";
        x86_64 = "amd64";
        powerpc64 = "ppc64";
        powerpc64le = "ppc64le";
        loongarch64 = "loong64";
        mips64el = "mips64le";
        mipsel = "mipsle";
        javascript = "wasm";
        wasm32 = "wasm";
      };
    in
    byName.${final.parsed.cpu.name} or (if final.isAarch32 then "arm" else final.parsed.cpu.name);

  unameSystem = {
    linux = "Linux";
    windows = "Windows";
    darwin = "Darwin";
    netbsd = "NetBSD";
    freebsd = "FreeBSD";
    openbsd = "OpenBSD";
    solaris = "SunOS";
    wasi = "Wasi";
    redox = "Redox";
    genode = "Genode";
    cygwin = "CYGWIN_NT";
  };

  rustCpuOf =
    final:
    let
      name = final.parsed.cpu.name;
    in
    {
      armv7a = "armv7";
      armv7l = "armv7";
      armv6l = "arm";
      armv5tel = "armv5te";
      riscv32 = "riscv32gc";
      riscv64 = "riscv64gc";
    }
    .${name} or name;

  # Which levels of a processor's instructions a given one has.
  has = final: feature: builtins.elem feature (features.${final.gcc.arch or ""} or [ ]);
  v2 = [ "sse3" "ssse3" "sse4_1" "sse4_2" ];
  v3 = v2 ++ [ "avx" "avx2" "fma" ];
  features = {
    x86-64 = [ ];
    x86-64-v2 = v2;
    x86-64-v3 = v3;
    x86-64-v4 = v3 ++ [ "avx512" ];
    nehalem = v2;
    westmere = v2 ++ [ "aes" ];
    sandybridge = v2 ++ [ "aes" "avx" ];
    ivybridge = v2 ++ [ "aes" "avx" ];
    haswell = v3 ++ [ "aes" ];
    broadwell = v3 ++ [ "aes" ];
    skylake = v3 ++ [ "aes" ];
    skylake-avx512 = v3 ++ [ "aes" "avx512" ];
    icelake-client = v3 ++ [ "aes" "avx512" ];
    icelake-server = v3 ++ [ "aes" "avx512" ];
    alderlake = v3 ++ [ "aes" ];
    znver1 = v3 ++ [ "aes" "sse4a" ];
    znver2 = v3 ++ [ "aes" "sse4a" ];
    znver3 = v3 ++ [ "aes" "sse4a" ];
    znver4 = v3 ++ [ "aes" "sse4a" "avx512" ];
    znver5 = v3 ++ [ "aes" "sse4a" "avx512" ];
    bdver4 = v3 ++ [ "aes" "fma4" ];
  };

  # What compilers take for granted on each processor.
  gccOf =
    final:
    if final.isAarch64 && !final.isDarwin then
      { arch = "armv8-a"; }
    else if final.isAarch32 then
      {
        armv5tel = { arch = "armv5te"; };
        armv6l = {
          arch = "armv6";
          fpu = "vfp";
        };
        armv7l = {
          arch = "armv7-a";
          fpu = "vfpv3-d16";
        };
        armv7a = {
          arch = "armv7-a";
          fpu = "vfpv3-d16";
        };
      }
      .${final.parsed.cpu.name} or { }
    else
      { };

  elaborate =
    systemOrArgs:
    let
      allArgs = systemToAttrs systemOrArgs;
      # What is derived from what, and so must not be taken over when a platform is elaborated again.
      args = removeAttrs allArgs [
        "parsed"
        "system"
      ];

      derived = {
        system = parse.doubleFromSystem final.parsed;
        config = parse.tripleFromSystem final.parsed;
        canExecute =
          platform:
          final.isAndroid == platform.isAndroid
          && parse.isCompatible final.parsed.cpu platform.parsed.cpu
          && final.parsed.kernel == platform.parsed.kernel;
        libc = libcOf final;
        linker = if final.useLLVM or false then "lld" else if final.isDarwin then "cctools" else "bfd";
        libDir =
          if final.isLinux then
            if final.isx86_64 || final.isMips64 || final.isPower64 then "lib64" else "lib"
          else
            null;
        gcc = gccOf final;
        extensions =
          {
            ${if final.hasSharedLibraries then "sharedLibrary" else null} =
              if final.isDarwin then
                ".dylib"
              else if final.isWindows || final.isCygwin then
                ".dll"
              else
                ".so";
            staticLibrary = if final.isWindows && final.isMsvc then ".lib" else ".a";
            library = if final.isStatic then final.extensions.staticLibrary else final.extensions.sharedLibrary;
            executable =
              if final.isWindows || final.isCygwin then ".exe" else if final.isWasm then ".wasm" else "";
          };
        hasSharedLibraries =
          !final.isStatic
          && (final.isAndroid || final.isGnu || final.isMusl || final.isDarwin || final.isSunOS || final.isOpenBSD
          || final.isFreeBSD || final.isNetBSD || final.isCygwin || final.isMinGW || final.isMsvc || final.isWindows);
        isStatic = final.isWasi || final.isRedox;
        linuxArch = linuxArchOf final;
        qemuArch = qemuArchOf final;
        efiArch = efiArchOf final;
        ubootArch = if final.isx86_32 then "x86" else linuxArchOf final;
        darwinArch = parse.darwinArch final.parsed.cpu;
        darwinPlatform = if final.isMacOS then "macos" else if final.isiOS then "ios" else null;
        darwinSdkVersion = "14.4";
        darwinMinVersion = "14.0";
        darwinMinVersionVariable = if final.isMacOS then "MACOSX_DEPLOYMENT_TARGET" else if final.isiOS then "IPHONEOS_DEPLOYMENT_TARGET" else null;
        androidSdkVersion = null;
        androidNdkVersion = null;
        useLLVM = final.isFreeBSD || final.isOpenBSD;
        useiOSPrebuilt = false;
        useAndroidPrebuilt = false;
        uname = {
          system = unameSystem.${final.parsed.kernel.name} or null;
          processor =
            if final.isPower64 then
              "ppc64${optionalString final.isLittleEndian "le"}"
            else if final.isDarwin && final.isAarch64 then
              "arm64"
            else if final.isMips64 then
              "mips64"
            else
              final.parsed.cpu.name;
          release = null;
        };
        go = {
          GOARCH = goArchOf final;
          GOOS = if final.isWasi then "wasip1" else final.parsed.kernel.name;
          GOARM = toString (if final.isAarch32 then final.parsed.cpu.version or "" else "");
        };
        node = {
          platform =
            if final.isLinux then
              "linux"
            else if final.isDarwin then
              "darwin"
            else if final.isWindows then
              "win32"
            else
              final.parsed.kernel.name;
          arch =
            if final.isx86_64 then
              "x64"
            else if final.isx86_32 then
              "ia32"
            else if final.isAarch64 then
              "arm64"
            else if final.isAarch32 then
              "arm"
            else if final.isPower64 then
              "ppc64"
            else
              final.parsed.cpu.name;
        };
        nim = {
          cpu =
            if final.isx86_64 then
              "amd64"
            else if final.isAarch64 then
              "arm64"
            else if final.isx86_32 then
              "i386"
            else if final.isAarch32 then
              "arm"
            else if final.isPower64 then
              "powerpc64"
            else
              final.parsed.cpu.name;
          os = if final.isDarwin then "MacOSX" else unameSystem.${final.parsed.kernel.name} or final.parsed.kernel.name;
        };
        rustc = { };
        rust =
          let
            target = "${rustCpuOf final}-${
              if final.isDarwin then "apple" else final.parsed.vendor.name
            }-${if final.isDarwin then "darwin" else final.parsed.kernel.name}${
              optionalString (final.parsed.abi.name != "unknown") "-${final.parsed.abi.name}"
            }";
          in
          {
            platform = {
              arch = if final.isAarch32 then "arm" else if final.isPower64 then "powerpc64" else final.parsed.cpu.name;
              os = if final.isDarwin then "macos" else final.parsed.kernel.name;
              env = if final.isGnu then "gnu" else if final.isMusl then "musl" else if final.isMsvc then "msvc" else "";
              vendor = final.parsed.vendor.name;
              target-family = if final.isUnix then [ "unix" ] else if final.isWindows then [ "windows" ] else [ ];
            };
            rustcTarget = target;
            rustcTargetSpec = target;
            cargoShortTarget = target;
            cargoEnvVarTarget = builtins.replaceStrings [ "-" ] [ "_" ] (toUpper target);
            isNoStdTarget = final.isNone;
          };

        sse3Support = has final "sse3";
        ssse3Support = has final "ssse3";
        sse4_1Support = has final "sse4_1";
        sse4_2Support = has final "sse4_2";
        sse4_aSupport = has final "sse4a";
        avxSupport = has final "avx";
        avx2Support = has final "avx2";
        avx512Support = has final "avx512";
        aesSupport = has final "aes";
        fmaSupport = has final "fma";
        fma4Support = has final "fma4";
        lsxSupport = has final "lsx";
        lasxSupport = has final "lasx";

        emulator =
          pkgs:
          if final.emulatorAvailable pkgs then
            if pkgs.stdenv.hostPlatform.canExecute final then
              "${pkgs.writeShellScriptBin "exec" "exec \"$@\""}/bin/exec"
            else
              "${pkgs.qemu-user}/bin/qemu-${final.qemuArch}"
          else
            throw "Don't know how to run ${final.config} executables.";
        emulatorAvailable =
          pkgs: pkgs.stdenv.hostPlatform.canExecute final || (final.isLinux && final.qemuArch != null && pkgs ? qemu-user);
        staticEmulatorAvailable = pkgs: final.emulatorAvailable pkgs && (final.isLinux || final.isWasi);
      };

      parsed = parse.mkSystemFromString (allArgs.config or allArgs.system);

      final =
        derived
        // mapAttrs (_: predicate: predicate final.parsed) inspect.predicates
        // { inherit parsed; }
        // args
        // {
          # For comparing platforms.
          _withoutFunctions = removeAttrs (removeAttrs final functionNames) [ "_withoutFunctions" ];
        };
    in
    assert allArgs ? config || allArgs ? system || throw "lib.systems.elaborate: a platform needs `system` or `config`, but has only: ${toString (attrNames allArgs)}";
    final;

  systemToAttrs = systemOrArgs: if isString systemOrArgs then { system = systemOrArgs; } else systemOrArgs;
in
{
  inherit elaborate systemToAttrs functionNames;
  # Functions are left out: they are different each time a platform is elaborated.
  equals =
    a: b:
    removeAttrs a (functionNames ++ [ "_withoutFunctions" ])
    == removeAttrs b (functionNames ++ [ "_withoutFunctions" ]);
}
