# Platforms.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testSystemsElaborate1 = {
    expr = (lib.systems.elaborate "x86_64-linux").config;
    expected = "x86_64-unknown-linux-gnu";
  };
  testSystemsElaborate2 = {
    expr = (lib.systems.elaborate { config = "aarch64-unknown-linux-musl"; }).system;
    expected = "aarch64-linux";
  };
  testSystemsElaborate3 = {
    expr = (lib.systems.elaborate { config = "aarch64-unknown-linux-musl"; }).libc;
    expected = "musl";
  };
  testSystemsElaborate4 = {
    expr = (lib.systems.elaborate { system = "x86_64-linux"; gcc.arch = "haswell"; }).avx2Support;
    expected = true;
  };
  testSystemsElaborate5 = {
    expr = (lib.systems.elaborate { system = "x86_64-linux"; gcc.arch = "sandybridge"; }).avx2Support;
    expected = false;
  };
  testSystemsElaborate6 = {
    expr = map (s: let e = lib.systems.elaborate s; in [ e.config e.libc e.linuxArch e.qemuArch e.isLinux e.is64bit e.isEfi e.rust.rustcTarget e.efiArch e.ubootArch ]) [ "x86_64-linux" "aarch64-linux" "i686-linux" "armv7l-linux" "riscv64-linux" "x86_64-darwin" "aarch64-darwin" ];
    expected = [ [ "x86_64-unknown-linux-gnu" "glibc" "x86_64" "x86_64" true true true "x86_64-unknown-linux-gnu" "x64" "x86_64" ] [ "aarch64-unknown-linux-gnu" "glibc" "arm64" "aarch64" true true true "aarch64-unknown-linux-gnu" "aa64" "arm64" ] [ "i686-unknown-linux-gnu" "glibc" "i386" "i386" true false true "i686-unknown-linux-gnu" "ia32" "x86" ] [ "armv7l-unknown-linux-gnueabihf" "glibc" "arm" "arm" true false true "armv7-unknown-linux-gnueabihf" "arm" "arm" ] [ "riscv64-unknown-linux-gnu" "glibc" "riscv" "riscv64" true true true "riscv64gc-unknown-linux-gnu" "riscv64" "riscv" ] [ "x86_64-apple-darwin" "libSystem" "x86_64" "x86_64" false true true "x86_64-apple-darwin" "x64" "x86_64" ] [ "arm64-apple-darwin" "libSystem" "arm64" "aarch64" false true true "aarch64-apple-darwin" "aa64" "arm64" ] ];
  };
  testSystemsEquals1 = {
    expr = lib.systems.equals (lib.systems.elaborate "x86_64-linux") (lib.systems.elaborate "x86_64-linux");
    expected = true;
  };
  testSystemsEquals2 = {
    expr = lib.systems.equals (lib.systems.elaborate "x86_64-linux") (lib.systems.elaborate "aarch64-linux");
    expected = false;
  };
  testSystemsElaborate7 = {
    expr = (lib.systems.elaborate "x86_64-linux").canExecute (lib.systems.elaborate "i686-linux");
    expected = true;
  };
  testSystemsElaborate8 = {
    expr = (lib.systems.elaborate "x86_64-linux").canExecute (lib.systems.elaborate "aarch64-linux");
    expected = false;
  };
  testSystemsElaborate9 = {
    expr = (lib.systems.elaborate "aarch64-linux").canExecute (lib.systems.elaborate "armv7l-linux");
    expected = false;
  };
  testSystemsElaborate10 = {
    expr = (lib.systems.elaborate "i686-linux").canExecute (lib.systems.elaborate "x86_64-linux");
    expected = false;
  };
  testPlatformsLinux1 = {
    expr = lib.platforms.linux;
    expected = [ "aarch64-linux" "arc-linux" "armv5tel-linux" "armv6l-linux" "armv7a-linux" "armv7l-linux" "i686-linux" "loongarch64-linux" "m68k-linux" "sh4-linux" "microblaze-linux" "microblazeel-linux" "mips-linux" "mips64-linux" "mips64el-linux" "mipsel-linux" "powerpc-linux" "powerpc64-linux" "powerpc64le-linux" "riscv32-linux" "riscv64-linux" "s390-linux" "s390x-linux" "x86_64-linux" ];
  };
  testPlatformsDarwin1 = {
    expr = lib.platforms.darwin;
    expected = [ "x86_64-darwin" "aarch64-darwin" ];
  };
  testPlatformsAarch641 = {
    expr = lib.platforms.aarch64;
    expected = [ "aarch64-darwin" "aarch64-freebsd" "aarch64-genode" "aarch64-linux" "aarch64-netbsd" "aarch64_be-none" "aarch64-none" "aarch64-windows" "aarch64-uefi" ];
  };
  testPlatformsX861 = {
    expr = lib.platforms.x86;
    expected = [ "i686-cygwin" "x86_64-cygwin" "x86_64-darwin" "i686-freebsd" "x86_64-freebsd" "i686-genode" "x86_64-genode" "x86_64-solaris" "i686-linux" "x86_64-linux" "i686-netbsd" "x86_64-netbsd" "i686-none" "x86_64-none" "i686-openbsd" "x86_64-openbsd" "x86_64-redox" "x86_64-windows" "i686-windows" "x86_64-uefi" ];
  };
  testPlatformsWindows1 = {
    expr = lib.platforms.windows;
    expected = [ "aarch64-windows" "x86_64-windows" "i686-windows" ];
  };
  testListsLength1 = {
    expr = lib.lists.length lib.platforms.all;
    expected = 80;
  };
  testSystemsFlakeExposed1 = {
    expr = lib.systems.flakeExposed;
    expected = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "armv6l-linux" "armv7l-linux" "i686-linux" "aarch64-darwin" "powerpc64le-linux" "riscv64-linux" "x86_64-freebsd" ];
  };
  testSystemsParseDoubleFromSystem1 = {
    expr = lib.systems.parse.doubleFromSystem (lib.systems.parse.mkSystemFromString "x86_64-unknown-linux-gnu");
    expected = "x86_64-linux";
  };
  testSystemsParseTripleFromSystem1 = {
    expr = lib.systems.parse.tripleFromSystem (lib.systems.parse.mkSystemFromString "armv7l-linux");
    expected = "armv7l-unknown-linux-gnueabihf";
  };
  testSystemsParseMkSystemFromString1 = {
    expr = (lib.systems.parse.mkSystemFromString "x86_64-apple-darwin").kernel.name;
    expected = "darwin";
  };
  testSystemsParseMkSystemFromString2 = {
    expr = (lib.systems.parse.mkSystemFromString "i686-pc-cygwin").kernel.name;
    expected = "cygwin";
  };
  testSystemsParseMkSystemFromString3 = {
    expr = (lib.systems.parse.mkSystemFromString "arm-none-eabi").abi.name;
    expected = "eabi";
  };
  testSystemsParseMkSystemFromString4 = {
    expr = (lib.systems.parse.mkSystemFromString "x86_64-w64-mingw32").kernel.name;
    expected = "windows";
  };
  testSystemsParseMkSystemFromString5 = {
    expr = (lib.systems.parse.mkSystemFromString "riscv64-unknown-linux-gnu").cpu.bits;
    expected = 64;
  };
}
