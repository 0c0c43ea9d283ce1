# Imported programs start, find their data, and say the version that they should have.
{ pkgs, lib }:
let
  # runs commands; each must succeed
  commands =
    name: list:
    pkgs.runCommand name { } ''
      export HOME=$PWD
      failed=
      run() { if ! output=$("$@" 2>&1); then echo "failed ($?): $*: $output"; failed=1; fi; }
      ${lib.concatMapStrings (c: "run ${c}\n") list}
      [ -z "$failed" ]
      touch $out
    '';
  b = package: program: "${package}/bin/${program}";
in
with pkgs;
{
  shells = commands "shells" [
    "${b bash "bash"} -c 'x=ä; [ \${#x} = 2 ]'"
    "env LC_ALL=C.UTF-8 ${b bash "bash"} -c 'x=ä; [ \${#x} = 1 ]'"
    "${b zsh "zsh"} -c 'autoload -U compinit; compinit -D'"
    "${b fish "fish"} -c 'math 1+1'"
    "${b busybox "busybox"} true"
  ];
  languages = commands "languages" [
    "${b python3 "python3"} -c 'import ssl, sqlite3, zlib, ctypes, json, curses, readline'"
    "${b python3 "python3"} -m venv environment"
    "${b perl "perl"} -e 'use strict; use POSIX; use Data::Dumper; use File::Find; use Encode; print 1'"
    "${b ruby "ruby"} -e 'require \"json\"; require \"openssl\"; puts 1'"
    "${b lua "lua"} -e 'print(1)'"
  ];
  tools = commands "tools" [
    "${b git "git"} init repository"
    "${b git "git"} -C repository -c user.name=a -c user.email=b commit --allow-empty -m x"
    "${b vim "vim"} -es -c q"
    "${b nano "nano"} --version"
    "${b curl "curl"} --version"
    "${b jq "jq"} --version"
    "${b file "file"} ${b bash "bash"}"
    "${b sqlite "sqlite3"} :memory: 'select 1'"
    "${b openssl "openssl"} rand 4"
    "${b gnupg "gpg"} --version"
    "${b tmux "tmux"} -V"
    "${b man-db "man"} --version"
    "${b less "less"} --version"
    "${glibc}/bin/ldd ${b bash "bash"}"
    "${b dnsutils "dig"} -v"
  ];
  system = commands "system" [
    "${b systemd "systemctl"} --version"
    "${b systemd "systemd-analyze"} --version"
    "${b nginx "nginx"} -V"
    "${b openssh "ssh"} -V"
    "${b iproute2 "ip"} -V"
    "${b nftables "nft"} --version"
    "${b iptables "iptables"} --version"
    "${b kmod "kmod"} --version"
    "${b util-linux "mount"} --version"
    "${b shadow "useradd"} --help"
    "${b dbus "dbus-daemon"} --version"
    "${b wireguard-tools "wg"} --version"
    "${b e2fsprogs "mkfs.ext4"} -V"
    "${b btrfs-progs "btrfs"} --version"
    "${b cryptsetup "cryptsetup"} --version"
    "${b grub2 "grub-mkimage"} --version"
    "${b postgresql "postgres"} --version"
    "${b redis "redis-server"} --version"
    "test -s ${cacert}/etc/ssl/certs/ca-bundle.crt"
    "test -e ${tzdata}/share/zoneinfo/Europe/Berlin"
    "test -s ${iana-etc}/etc/services"
    "test -s ${glibcLocales}/lib/locale/locale-archive"
  ];
  # three versions side by side, each with its own npm
  nodejs-versions = pkgs.runCommand "nodejs-versions" { } (
    ''
      export HOME=$PWD
    ''
    + lib.concatMapStrings
      (node: ''
        [ "$(${node}/bin/node --version)" = v${node.version} ]
        [ "$(${node}/bin/npm --version)" = ${node.npm.version} ]
        ${node}/bin/npx --version
      '')
      [
        nodejs_14
        nodejs_18
        nodejs_22
      ]
    + "touch $out"
  );
}
