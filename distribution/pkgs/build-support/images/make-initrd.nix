# makeInitrd: a compressed cpio archive for the kernel to start from. `contents` is a list of
#   { object = STORE PATH OR FILE; symlink = "/init"; }   the object and its closure go in, with a link at that place
# and, with `copy = true`, the object itself is put there without its closure (for what needs nothing: a static program);
# `executable = true` makes the copy a program.
#
# Deterministic: sorted names, owner 0, times 1, inode numbers renumbered.
{ lib, final }:
{
  name ? "initrd",
  contents,
  compressor ? "gzip",
  prepend ? [ ],
}:
let
  compressors = {
    cat = "cat";
    gzip = "gzip -9n";
    zstd = "zstd -19 -T1 -q";
    # the kernel's decoder knows crc32 only
    xz = "xz --check=crc32 --lzma2=dict=512KiB -T1";
  };
  closed = lib.filter (c: !(c.copy or false)) contents;
in
final.runCommand name
  {
    nativeBuildInputs = [
      final.debian.cpio
    ]
    ++ lib.optional (compressor == "zstd") final.debian.zstd;
    closure = lib.optionalString (closed != [ ]) "${
      final.closureInfo { rootPaths = map (c: c.object) closed; }
    }/store-paths";
    inherit prepend;
    compress =
      compressors.${compressor}
        or (throw "makeInitrd: the compressor ‘${compressor}’ is not one of ${lib.concatStringsSep ", " (lib.attrNames compressors)}");
    entries = lib.concatMapStrings (
      c:
      "${
        if !(c.copy or false) then
          "link"
        else if c.executable or false then
          "program"
        else
          "copy"
      } ${c.symlink} ${c.object}\n"
    ) contents;
    passAsFile = [ "entries" ];
    passthru = {
      inherit contents;
      file = "initrd";
    };
  }
  ''
    mkdir -p root $out
    while read -r kind target object; do
      mkdir -p "root$(dirname "$target")"
      case $kind in
        link) ln -s "$object" "root$target" ;;
        *) cp -rL --no-preserve=timestamps "$object" "root$target" ;;
      esac
      if [ "$kind" = program ]; then chmod 755 "root$target"; fi
    done < "$entriesPath"
    if [ -n "$closure" ]; then
      mkdir -p root/nix/store
      while read -r path; do cp -r --preserve=mode,links --no-dereference "$path" "root$path"; done < "$closure"
    fi
    for file in $prepend; do cat "$file" >> $out/initrd; done
    find root -exec touch -h -d @1 '{}' +
    (cd root && find . -mindepth 1 -print0 | LC_ALL=C sort -z \
      | cpio --quiet --reproducible -o -H newc -R +0:+0 --null) \
      | $compress >> $out/initrd
  ''
