# makeErofsImage: the closure of some paths as a raw erofs image, to be mounted as a store without unpacking.
{ lib, final }:
{
  name ? "store.erofs",
  # what must be in it, with all that it refers to
  storeContents,
  # mkfs.erofs' compression ("" is none: fastest to build and to read)
  compression ? "",
}:
final.runCommand name
  {
    nativeBuildInputs = [ final.erofs-utils ];
    closure = final.closureInfo { rootPaths = storeContents; };
    compression = lib.optionalString (compression != "") "-z${compression}";
    passthru = { inherit storeContents; };
  }
  ''
    # the image's top is the store folder itself: its entries are the store paths
    mkdir store
    while IFS= read -r path; do
      cp -r --preserve=mode,links,timestamps --no-dereference --reflink=auto "$path" store/
    done < "$closure/store-paths"
    cp "$closure/registration" store/.registration
    # it draws its progress
    if ! mkfs.erofs -T1 --all-root -U 6669726e-0000-4000-8000-000000000000 $compression "$out" store > messages; then
      cat messages
      exit 1
    fi
  ''
