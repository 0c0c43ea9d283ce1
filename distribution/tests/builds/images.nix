# What machines start from: kernels with an index of their modules, initrds, store images.
{ pkgs, lib }:
{
  kernel = pkgs.runCommand "kernel-test" { kernel = pkgs.linux_cloud; } ''
    test -s $kernel/bzImage
    folder=$kernel/lib/modules/${pkgs.linux_cloud.modDirVersion}
    grep -q '^kernel/fs/erofs/erofs.ko:' $folder/modules.dep
    test -e $folder/kernel/fs/erofs/erofs.ko
    touch $out
  '';

  initrd =
    pkgs.runCommand "initrd-test"
      {
        initrd = pkgs.makeStage1 { kernel = pkgs.linux_cloud; };
        nativeBuildInputs = [ pkgs.cpio ];
      }
      ''
        gzip -dc $initrd/initrd | cpio -t > list
        for file in init bin/busybox insmod-list; do grep -qx "$file" list; done
        grep -q 'virtio_blk.ko$' list
        touch $out
      '';

  store-image =
    pkgs.runCommand "store-image-test"
      {
        image = pkgs.makeErofsImage { storeContents = [ pkgs.hello ]; };
        nativeBuildInputs = [ pkgs.erofs-utils ];
      }
      ''
        fsck.erofs $image
        touch $out
      '';
}
