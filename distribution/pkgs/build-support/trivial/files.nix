# A derivation that writes a text into a file.
{ lib, final }:
let
  checkedName =
    name:
    if lib.isString name then
      lib.strings.sanitizeDerivationName name
    else
      throw "writeTextFile: the name must be a string, but is a ${builtins.typeOf name}";

  # a file's name without its folder and, in the store, its hash
  plainName =
    src:
    let
      base = builtins.unsafeDiscardStringContext (baseNameOf (toString src));
      stored = builtins.match "[0-9a-df-np-sv-z]{32}-(.*)" base;
    in
    if stored == null then base else builtins.head stored;
in
rec {
  writeTextFile =
    {
      name ? if pname != null && version != null then "${pname}-${version}" else pname,
      pname ? null,
      version ? null,
      text,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
      passthru ? { },
      allowSubstitutes ? false,
      preferLocalBuild ? true,
      derivationArgs ? { },
    }:
    if destination != "" && !lib.hasPrefix "/" destination then
      throw "writeTextFile: the destination of ‘${name}’ must start with a slash, but is ‘${destination}’"
    else
      final.stdenvNoCC.mkDerivation (
        {
          name = checkedName name;
          inherit
            text
            executable
            destination
            checkPhase
            allowSubstitutes
            preferLocalBuild
            passthru
            ;
          meta =
            lib.optionalAttrs (executable && lib.hasPrefix "/bin/" destination) {
              mainProgram = lib.removePrefix "/bin/" destination;
            }
            // meta
            // derivationArgs.meta or { };
          passAsFile = [ "text" ] ++ derivationArgs.passAsFile or [ ];
          buildCommand = ''
            target=$out$destination
            mkdir -p "$(dirname "$target")"
            if [ -e "$textPath" ]; then
              mv "$textPath" "$target"
            else
              printf '%s' "$text" > "$target"
            fi
            if [ -n "$executable" ]; then chmod +x "$target"; fi
            eval "$checkPhase"
          '';
        }
        // removeAttrs derivationArgs [
          "passAsFile"
          "meta"
        ]
      );

  writeText = name: text: writeTextFile { inherit name text; };

  writeTextDir =
    path: text:
    writeTextFile {
      name = baseNameOf path;
      destination = "/${path}";
      inherit text;
    };

  # what is equal in bytes has one path, whatever it was made from
  concatTextFile =
    {
      name,
      files,
      executable ? false,
      destination ? "",
      checkPhase ? "",
      meta ? { },
      passthru ? { },
    }:
    final.runCommandLocal name
      {
        inherit
          files
          executable
          destination
          checkPhase
          meta
          passthru
          ;
      }
      ''
        target=$out$destination
        mkdir -p "$(dirname "$target")"
        list=()
        concatTo list files
        cat "''${list[@]}" > "$target"
        if [ -n "$executable" ]; then chmod +x "$target"; fi
        eval "$checkPhase"
      '';
  concatText = name: files: concatTextFile { inherit name files; };
  concatScript =
    name: files:
    concatTextFile {
      inherit name files;
      executable = true;
    };

  # a copy of a file in which every @name@ is the attribute of that name
  substituteAll =
    args:
    final.stdenvNoCC.mkDerivation (
      {
        name = args.name or (plainName args.src);
        preferLocalBuild = true;
        allowSubstitutes = false;
        buildCommand = ''
          target=$out
          if [ -n "''${dir:-}" ]; then
            target=$out/$dir/$name
            mkdir -p "$out/$dir"
          fi
          substituteAll "$src" "$target"
          if [ -n "''${isExecutable:-}" ]; then chmod +x "$target"; fi
          eval "''${postInstall:-}"
        '';
      }
      // args
    );

  # the same for an explicit list: an @name@ that is not in the file, or one that is left over, is an error
  replaceVarsWith =
    {
      src,
      replacements,
      name ? null,
      dir ? null,
      isExecutable ? false,
      meta ? { },
      passthru ? { },
      postInstall ? "",
    }:
    let
      options = lib.concatMap (
        variable:
        if replacements.${variable} == null then
          [ ]
        else
          [
            "--replace-fail"
            "@${variable}@"
            "${toString replacements.${variable}}"
          ]
      ) (lib.attrNames replacements);
      kept = lib.filter (variable: replacements.${variable} == null) (lib.attrNames replacements);
      fileName = if name != null then name else plainName src;
    in
    final.stdenvNoCC.mkDerivation {
      name = fileName;
      inherit src meta passthru;
      preferLocalBuild = true;
      allowSubstitutes = false;
      dontUnpack = true;
      doInstallCheck = false;
      replacementOptions = lib.escapeShellArgs options;
      kept = kept;
      target = lib.optionalString (dir != null) "/${dir}/${fileName}";
      isExecutable = isExecutable;
      inherit postInstall;
      buildCommand = ''
        target=$out$target
        mkdir -p "$(dirname "$target")"
        cp "$src" "$target"
        chmod u+w "$target"
        eval "options=($replacementOptions)"
        if ((''${#options[@]})); then substituteInPlace "$target" "''${options[@]}"; fi
        if [ -n "$isExecutable" ]; then chmod +x "$target"; fi
        left=$({ grep -oE '@[a-zA-Z_][0-9A-Za-z_-]*@' "$target" || true; } | sort -u | while read -r variable; do
          case " $kept " in *" ''${variable//@/} "*) ;; *) echo "$variable" ;; esac
        done)
        if [ -n "$left" ]; then
          echo "$name: these variables are left without a value:" $left >&2
          exit 1
        fi
        eval "$postInstall"
      '';
    };
  replaceVars = src: replacements: replaceVarsWith { inherit src replacements; };

  # strings whose text must not be in the derivation's environment
  writeStringReferencesToFile =
    string:
    final.runCommandLocal "string-references" {
      references = lib.attrNames (builtins.getContext string);
    } ''printf '%s\n' $references | sort > $out'';

  writeClosure =
    paths:
    final.runCommandLocal "runtime-deps" { nativeBuildInputs = [ final.debian.coreutils ]; info = final.closureInfo { rootPaths = paths; }; }
      ''sort "$info/store-paths" > $out'';
  writeReferencesToFile = path: final.writeClosure [ path ];
}
