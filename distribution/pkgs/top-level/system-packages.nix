# The layer of what a running system is made of: shell and tools, init, network, file systems, servers. All are Debian's binary
# packages; names are nixpkgs'.
final: prev:
let
  inherit (prev) lib;
  from = import ./from-debian.nix { inherit final prev; };
  program = entry: mainProgram: { inherit entry mainProgram; };
in
from {
  # the C library
  glibc = "glibc";
  libgcc = "glibc";
  tzdata = "tzdata";
  cacert = "ca-certificates";

  # shell and tools
  bash = {
    entry = "bash";
    mainProgram = "bash";
    passthru.shellPath = "/bin/bash";
  };
  bashInteractive = {
    entry = "bash";
    mainProgram = "bash";
    passthru.shellPath = "/bin/bash";
  };
  zsh = {
    entry = "zsh";
    mainProgram = "zsh";
    passthru.shellPath = "/bin/zsh";
  };
  coreutils = "coreutils";
  coreutils-full = "coreutils";
  findutils = program "findutils" "find";
  diffutils = program "diffutils" "diff";
  gnugrep = program "grep" "grep";
  gnused = program "sed" "sed";
  gawk = program "gawk" "awk";
  mawk = program "mawk" "mawk";
  gnutar = program "tar" "tar";
  gzip = program "gzip" "gzip";
  bzip2 = program "bzip2" "bzip2";
  xz = program "xz-utils" "xz";
  zstd = program "zstd" "zstd";
  cpio = program "cpio" "cpio";
  unzip = program "unzip" "unzip";
  zip = program "zip" "zip";
  file = program "file" "file";
  less = program "less" "less";
  ncurses = "ncurses";
  debianutils = "debianutils";
  hostname = program "hostname" "hostname";
  man-db = program "man-db" "man";

  # accounts and processes
  util-linux = "util-linux";
  shadow = {
    entry = "shadow";
    passthru.shellPath = "/bin/nologin";
  };
  su = program "util-linux" "su";
  procps = "procps";
  psmisc = "psmisc";
  sudo = program "sudo" "sudo";
  pam = "pam";
  linux-pam = "pam";

  # init
  systemd = {
    entry = "systemd";
    mainProgram = "systemctl";
    passthru = {
      withCryptsetup = true;
      withEfi = true;
      withNetworkd = true;
      withResolved = true;
      withTimesyncd = true;
      interfaceVersion = 2;
    };
  };
  dbus = program "dbus" "dbus-daemon";
  kmod = program "kmod" "kmod";

  # network
  iproute2 = program "iproute2" "ip";
  iputils = program "iputils-ping" "ping";
  nftables = program "nftables" "nft";
  iptables = program "iptables" "iptables";
  ethtool = program "ethtool" "ethtool";
  wireguard-tools = program "wireguard-tools" "wg";
  openssh = program "openssh" "ssh";
  curl = program "curl" "curl";
  wget = program "wget" "wget";
  rsync = program "rsync" "rsync";
  openssl = program "openssl" "openssl";
  gnupg = program "gnupg" "gpg";

  # protocols and services by name and number
  iana-etc = "netbase";
  dnsutils = program "bind9-dnsutils" "dig";
  tcpdump = program "tcpdump" "tcpdump";
  socat = program "socat" "socat";
  netcat = program "netcat-openbsd" "nc";
  netcat-openbsd = program "netcat-openbsd" "nc";
  dig = program "bind9-dnsutils" "dig";
  iperf3 = program "iperf3" "iperf3";

  # servers
  haproxy = program "haproxy" "haproxy";
  nginx = program "nginx" "nginx";
  postgresql_15 = program "postgresql-15" "postgres";
  postgresql = program "postgresql-15" "postgres";
  redis = program "redis" "redis-cli";

  # file systems and images
  e2fsprogs = program "e2fsprogs" "mkfs.ext4";
  dosfstools = program "dosfstools" "mkfs.fat";
  mtools = program "mtools" "mtools";
  erofs-utils = program "erofs-utils" "mkfs.erofs";
  squashfsTools = program "squashfs-tools" "mksquashfs";
  xorriso = program "xorriso" "xorriso";
  cryptsetup = program "cryptsetup-bin" "cryptsetup";
  btrfs-progs = program "btrfs-progs" "btrfs";
  grub2 = program "grub" "grub-mkimage";
  busybox = program "busybox-static" "busybox";
  bubblewrap = program "bubblewrap" "bwrap";

  fuse3 = program "fuse3" "fusermount3";
  fuse = program "fuse3" "fusermount3";
  libcap = program "libcap2-bin" "getcap";
  uidmap = program "uidmap" "newuidmap";
  doas = program "opendoas" "doas";

  # people's tools
  bash-completion = "bash-completion";
  fish = {
    entry = "fish";
    mainProgram = "fish";
    passthru.shellPath = "/bin/fish";
  };
  screen = program "screen" "screen";
  lsof = program "lsof" "lsof";
  ncdu = program "ncdu" "ncdu";
  bc = program "bc" "bc";
  git-lfs = program "git-lfs" "git-lfs";
  git = program "git" "git";
  vim = program "vim" "vim";
  nano = program "nano" "nano";
  jq = program "jq" "jq";
  htop = program "htop" "htop";
  tree = program "tree" "tree";
  tmux = program "tmux" "tmux";
  strace = program "strace" "strace";
  ripgrep = program "ripgrep" "rg";
  sqlite = program "sqlite3" "sqlite3";
}
// {
  # the C library's questions to its databases, without the rest of its programs
  getent = final.runCommand "getent-${final.glibc.version}" { meta.mainProgram = "getent"; } ''
    mkdir -p $out/bin
    ln -s ${final.glibc}/bin/getent $out/bin/getent
  '';

  systemdMinimal = final.systemd;
  systemdLibs = final.systemd;
  udev = final.systemd;
  libudev = final.systemd;
  pkgsStatic = {
    # static already
    inherit (final) busybox;
  };

  # locales as an archive of their own: what glibc's programs find through LOCALE_ARCHIVE
  glibcLocales = final.callPackage ../glibc-locales { };
  glibcLocalesUtf8 = final.callPackage ../glibc-locales { allLocales = false; };

  firn = final.callPackage ../firn.nix { };
  nix = final.firn;
  nixVersions = {
    stable = final.firn;
    latest = final.firn;
  };
  nixos-rebuild = final.firn;
}
