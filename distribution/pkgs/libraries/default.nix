# A library to build with, from Debian's -dev package: headers, link names and pkg-config files, together with the libraries
# themselves (which the linker writes into what it makes, as the store path that has the file).
{
  lib,
  stdenvNoCC,
  debian,
  hostPlatform,
  pname,
  # the lock's entry
  entry,
  # libraries whose headers its own include
  propagatedBuildInputs ? [ ],
}:
let
  headers = debian.${entry};
  # the -dev package's own script may need a shell; only libraries are wanted
  libraries = lib.filter (p: lib.hasPrefix "lib" p.pname || p.pname == "zlib1g") headers.debianDependencies;
in
stdenvNoCC.mkDerivation {
  inherit pname;
  inherit (headers) version;
  inherit headers libraries propagatedBuildInputs;
  multiarch = hostPlatform.multiarch;
  # links: the files stay where the importer put them
  buildCommand = ''
    mkdir -p $out
    for package in $headers $libraries; do
      for folder in bin include lib share/pkgconfig share/aclocal; do
        # the libraries' programs are no part of this
        if [ "$folder" = bin ] && [ "$package" != "$headers" ]; then continue; fi
        if [ -d "$package/$folder" ]; then
          mkdir -p "$out/$folder"
          cp -rsn --no-preserve=mode "$package/$folder/." "$out/$folder/"
        fi
      done
    done
    # what pkg-config says leads here, where headers and libraries are together
    for file in $out/lib/pkgconfig/*.pc $out/share/pkgconfig/*.pc; do
      if [ -e "$file" ]; then
        text=$(sed "s,^prefix=.*,prefix=$out,; s,$headers,$out,g; s,/usr\\b,$out,g; s,/$multiarch,,g" "$file")
        rm "$file"
        printf '%s\n' "$text" > "$file"
      fi
    done
    _recordPropagated
  '';
  passthru = {
    inherit headers;
  };
  meta = removeAttrs headers.meta [
    "name"
    "outputsToInstall"
    "position"
  ];
}
