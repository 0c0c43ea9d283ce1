# Names of systems: "x86_64-linux" and "x86_64-unknown-linux-gnu" as `{ cpu, vendor, kernel, abi }`, and back.
{ lib, tables }:
let
  inherit (builtins)
    elem
    elemAt
    filter
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    split
    throw
    ;
  typed = type: v: v // { _type = type; };

  nameSet = names: listToAttrs (map (name: { inherit name; value = { inherit name; }; }) names);

  significantBytes = nameSet [ "bigEndian" "littleEndian" ];
  execFormats = nameSet [ "aout" "elf" "macho" "pe" "wasm" "unknown" ];
  kernelFamilies = nameSet [ "bsd" "darwin" ];
  vendors = mapAttrs (_: typed "vendor") (nameSet tables.vendors);

  cpuTypes = mapAttrs (
    name: c:
    typed "cpu-type" (
      removeAttrs c [ "endian" ]
      // {
        inherit name;
      }
      // (if c.endian == null then { } else { significantByte = significantBytes.${c.endian}; })
    )
  ) tables.cpus;

  kernels = mapAttrs (
    _: k:
    typed "kernel" {
      inherit (k) name;
      execFormat = execFormats.${k.format};
      families = lib.attrsets.genAttrs k.families (f: kernelFamilies.${f});
    }
  ) tables.kernels;

  abis = mapAttrs (
    name: a: typed "abi" (a // { inherit name; })
  ) tables.abis;

  mkSystem = parts: typed "system" parts;
  isSystem = v: v._type or null == "system";

  unknown = what: name: throw "Unknown ${what}: ${name}";

  # The kernel with the version that some names carry: "darwin19", "freebsd13".
  kernelNamed =
    name:
    kernels.${name} or (
      let
        versioned = match "([a-z]+)[0-9.]+" name;
        stem = elemAt versioned 0;
      in
      if versioned != null && kernels ? ${stem} then kernels.${stem} else unknown "kernel" name
    );

  defaultVendor =
    kernel:
    if kernel.families ? darwin then
      vendors.apple
    else if kernel.name == "windows" || kernel.name == "cygwin" then
      vendors.pc
    else
      vendors.unknown;

  defaultAbi =
    cpu: kernel:
    if kernel.name == "windows" then
      abis.msvc
    else if kernel.name == "linux" then
      if cpu.family == "arm" && cpu.bits == 32 then
        # Hardware floating point came with version 6.
        if lib.strings.versionAtLeast (cpu.version or "0") "6" then abis.gnueabihf else abis.gnueabi
      else if cpu.name == "powerpc64" then
        abis.gnuabielfv1
      else
        abis.gnu
    else
      abis.unknown;

  # Which parts a name with so many dashes has.
  skeleton =
    parts:
    let
      part = elemAt parts;
      n = length parts;
      isKernel = name: (builtins.tryEval (kernelNamed name).name).success;
    in
    if n == 1 then
      throw "system string '${part 0}' has no kernel"
    else if n == 2 then
      if part 1 == "cygwin" then
        { cpu = part 0; kernel = "cygwin"; }
      else if elem (part 1) [ "elf" ] then
        { cpu = part 0; vendor = "unknown"; kernel = "none"; abi = part 1; }
      else
        { cpu = part 0; kernel = part 1; }
    else if n == 3 then
      if part 2 == "mingw32" || part 2 == "mingwW64" then
        { cpu = part 0; vendor = part 1; kernel = "windows"; abi = "gnu"; }
      else if part 1 == "linux" then
        { cpu = part 0; vendor = "unknown"; kernel = "linux"; abi = part 2; }
      else if isKernel (part 2) then
        { cpu = part 0; vendor = part 1; kernel = part 2; }
      else if elem (part 2) [ "eabi" "eabihf" "elf" "gnu" ] then
        { cpu = part 0; vendor = if part 1 == "none" then "unknown" else part 1; kernel = "none"; abi = part 2; }
      else
        unknown "kernel" (part 2)
    else if n == 4 then
      { cpu = part 0; vendor = part 1; kernel = if part 2 == "w64" then "windows" else part 2; abi = part 3; }
    else
      throw "system string has ${toString n} parts, but two to four were expected";

  mkSystemFromSkeleton =
    {
      cpu,
      vendor ? null,
      kernel,
      abi ? null,
      ...
    }:
    let
      # What some names call by another name.
      cpuName = if cpu == "arm64" && kernelIsDarwin then "aarch64" else if cpu == "amd64" then "x86_64" else cpu;
      kernelIsDarwin = match "(darwin|macos|ios).*" kernel != null;
      cpu' = cpuTypes.${cpuName} or (unknown "CPU type" cpu);
      kernel' = kernelNamed kernel;
      vendor' = if vendor == null then defaultVendor kernel' else vendors.${vendor} or (unknown "vendor" vendor);
      abi' =
        if abi == null then defaultAbi cpu' kernel' else abis.${abi} or (unknown "ABI" abi);
    in
    mkSystem {
      cpu = cpu';
      vendor = vendor';
      kernel = kernel';
      abi = abi';
    };

  mkSystemFromString =
    s:
    mkSystemFromSkeleton (skeleton (filter isString (split "-" s)));

  kernelName = kernel: kernel.name + toString (kernel.version or "");

  doubleFromSystem =
    { cpu, kernel, abi, ... }:
    if abi.name == "cygnus" then
      "${cpu.name}-cygwin"
    else if kernel.families ? darwin then
      "${cpu.name}-darwin"
    else
      "${cpu.name}-${kernel.name}";

  tripleFromSystem =
    { cpu, vendor, kernel, abi, ... }:
    let
      cpuName = if kernel.families ? darwin && cpu.name == "aarch64" then "arm64" else cpu.name;
      # Where a.out once was the default, ELF is said.
      netbsdSuffix =
        if kernel.name == "netbsd" && ((cpu.family == "arm" && cpu.bits == 32) || cpu.name == "i686" || cpu.family == "m68k") then
          "elf"
        else
          "";
      suffix = if abi.name == "unknown" then "" else "-${abi.name}";
    in
    "${cpuName}-${vendor.name}-${kernelName kernel}${netbsdSuffix}${suffix}";
in
{
  inherit
    abis
    cpuTypes
    doubleFromSystem
    execFormats
    isSystem
    kernelFamilies
    kernelName
    kernels
    mkSystem
    mkSystemFromSkeleton
    mkSystemFromString
    significantBytes
    tripleFromSystem
    vendors
    ;
  mkSkeletonFromList = skeleton;
  mkMuslSystem = system: mkSystem (system // { abi = if system.abi.name == "gnueabihf" then abis.musleabihf else if system.abi.name == "gnueabi" then abis.musleabi else abis.musl; });
  darwinArch = cpu: if cpu.name == "aarch64" then "arm64" else cpu.name;

  # Whether what runs on `b` also runs on `a`, by the processor alone.
  isCompatible =
    a: b:
    a.name == b.name
    || (a.name == "x86_64" && b.family == "x86" && b.bits == 32)
    || (a.family == "x86" && b.family == "x86" && a.bits == 32 && b.bits == 32 && a.name >= b.name)
    || (a.name == "aarch64" && b.name == "armv8a")
    || (a.family == "arm" && b.family == "arm" && a.bits == 32 && b.bits == 32 && lib.strings.versionOlder (b.version or "0") (a.version or "0"))
    || (a.name == "powerpc64" && b.name == "powerpc")
    || (a.name == "s390x" && b.name == "s390")
    || (a.name == "mips64" && b.name == "mips")
    || (a.name == "mips64el" && b.name == "mipsel");
}
