# fetchzip: an archive by its address, unpacked; the hash is that of the unpacked tree.
{ lib, fetchurl, unzip ? null }:
lib.makeOverridable (
  {
    name ? "source",
    url ? "",
    urls ? [ ],
    stripRoot ? true,
    extension ? null,
    postFetch ? "",
    extraPostFetch ? "",
    ...
  }@args:
  let
    first = if url != "" then url else builtins.head urls;
    fileName = if extension != null then "download.${extension}" else baseNameOf first;
  in
  fetchurl (
    removeAttrs args [
      "stripRoot"
      "extraPostFetch"
      "extension"
    ]
    // {
      inherit name;
      recursiveHash = true;
      downloadToTemp = true;
      nativeBuildInputs = lib.optional (unzip != null) unzip ++ args.nativeBuildInputs or [ ];
      postFetch = ''
        unpackDir="$TMPDIR/unpack"
        mkdir "$unpackDir"
        cd "$unpackDir"
        renamed="$TMPDIR/${fileName}"
        mv "$downloadedFile" "$renamed"
        case "$renamed" in
          *.zip) unzip -qq "$renamed" ;;
          *) unpackFile "$renamed" ;;
        esac
        chmod -R +w "$unpackDir"
      ''
      + (
        if stripRoot then
          ''
            if [ "$(ls -A "$unpackDir" | wc -l)" != 1 ]; then
              echo "error: zip file must contain a single file or directory."
              echo "hint: Pass stripRoot=false; to fetchzip to assume flat list of files."
              exit 1
            fi
            entry=$(ls -A "$unpackDir")
            if [ -f "$unpackDir/$entry" ]; then
              mkdir "$out"
            fi
            mv "$unpackDir/$entry" "$out"
          ''
        else
          ''
            mv "$unpackDir" "$out"
          ''
      )
      + ''
        chmod 755 "$out"
        ${postFetch}
        ${extraPostFetch}
      '';
    }
  )
)
