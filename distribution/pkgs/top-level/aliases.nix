# The layer of names that old or other configurations use for what is here under another one.
final: prev: {
  utillinux = final.util-linux;
  pkgconfig = final.pkg-config;
  wireguard = final.wireguard-tools;
  nodejs-18_x = final.nodejs_18;
  nodejs-14_x = final.nodejs_14;
  btrfsProgs = final.btrfs-progs;
  squashfs-tools-ng = final.squashfsTools;
}
