# makeModulesClosure: the named kernel modules and all they need, with their order of loading.
#
# $out/lib/modules/VERSION/… holds the modules (decompressed), $out/insmod-list their paths in an order in which insmod can
# load them.
{ lib, final }:
{
  kernel,
  firmware ? null,
  rootModules,
  # modules that a kernel lacks are an error, unless they are built in
  allowMissing ? false,
  extraFirmwarePaths ? [ ],
}:
final.runCommandLocal "${kernel.name or "linux"}-modules-shrunk"
  {
    nativeBuildInputs = [ final.debian.kmod ];
    inherit kernel rootModules;
    version = kernel.modDirVersion;
    allowMissing = allowMissing;
  }
  ''
    folder=$kernel/lib/modules/$version
    if [ ! -e "$folder/modules.dep" ]; then
      echo "$folder has no modules.dep: is it a kernel package?" >&2
      exit 1
    fi
    target=$out/lib/modules/$version
    mkdir -p "$target"
    : > $out/insmod-list
    for module in $rootModules; do
      if ! lines=$(modprobe --config /dev/null -d "$kernel" -S "$version" --show-depends "$module" 2>/dev/null); then
        if [ -z "$allowMissing" ]; then
          echo "the kernel $version has no module '$module'" >&2
          exit 1
        fi
        continue
      fi
      while read -r kind path rest; do
        if [ "$kind" != insmod ]; then continue; fi
        relative=''${path#"$kernel/lib/modules/$version/"}
        plain=''${relative%.xz}
        plain=''${plain%.zst}
        if [ ! -e "$target/$plain" ]; then
          mkdir -p "$(dirname "$target/$plain")"
          case $path in
            *.xz) xz -dc "$path" > "$target/$plain" ;;
            *.zst) zstd -dcq "$path" > "$target/$plain" ;;
            *) cp "$path" "$target/$plain" ;;
          esac
          echo "lib/modules/$version/$plain" >> $out/insmod-list
        fi
      done <<< "$lines"
    done
    cp "$folder"/modules.order "$folder"/modules.builtin "$folder"/modules.builtin.modinfo "$target/" 2>/dev/null || true
    chmod -R u+w "$target"
    depmod -b $out "$version"
  ''
