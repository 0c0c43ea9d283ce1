# symlinkJoin: packages' files as links, all folders real ones, the first package wins.
{ lib, final }:
{
  name ?
    if pname != null && version != null then
      "${pname}-${version}"
    else
      throw "symlinkJoin: a `name`, or a `pname` and a `version`, is missing",
  pname ? null,
  version ? null,
  paths,
  stripPrefix ? "",
  preferLocalBuild ? true,
  allowSubstitutes ? false,
  postBuild ? "",
  failOnMissing ? stripPrefix == "",
  ...
}@args:
final.runCommand name
  (
    removeAttrs args [
      "name"
      "postBuild"
      "stripPrefix"
      "failOnMissing"
      "paths"
    ]
    // {
      inherit preferLocalBuild allowSubstitutes;
      paths = map (path: "${path}${stripPrefix}") paths;
      passAsFile = [ "paths" ];
      strict = failOnMissing;
    }
  )
  ''
    mkdir -p $out
    for path in $(cat "$pathsPath"); do
      if [ -d "$path" ]; then
        # what is there already stays
        (
          cd "$path"
          find . -type d -print0 | (cd $out && xargs -0r mkdir -p --)
          find . ! -type d -printf '%h\0%f\0' | while IFS= read -r -d "" folder && IFS= read -r -d "" file; do
            if [ ! -e "$out/$folder/$file" ] && [ ! -L "$out/$folder/$file" ]; then
              printf '%s\0' "$path/''${folder#./}/$file" "$out/$folder/$file"
            fi
          done | xargs -0r -n2 ln -s --
        )
      elif [ -n "$strict" ]; then
        echo "symlinkJoin: $path is not a folder" >&2
        exit 1
      fi
    done
    ${postBuild}
  ''
