# A derivation from a piece of shell: runCommand and its relatives.
{ lib, final }:
let
  run =
    {
      stdenv,
      local ? false,
      attrs,
    }:
    name: command:
    stdenv.mkDerivation (
      {
        enableParallelBuilding = true;
        inherit name;
        buildCommand = command;
        passAsFile = [ "buildCommand" ] ++ (attrs.passAsFile or [ ]);
      }
      // lib.optionalAttrs local {
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      // removeAttrs attrs [ "passAsFile" ]
    );
in
{
  runCommand = name: attrs: command: run {
    stdenv = final.stdenvNoCC;
    inherit attrs;
  } name command;

  runCommandLocal = name: attrs: command: run {
    stdenv = final.stdenvNoCC;
    local = true;
    inherit attrs;
  } name command;

  runCommandCC = name: attrs: command: run {
    inherit (final) stdenv;
    inherit attrs;
  } name command;

  runCommandWith =
    {
      stdenv ? final.stdenv,
      runLocal ? false,
      derivationArgs ? { },
      name,
    }:
    run {
      inherit stdenv;
      local = runLocal;
      attrs = derivationArgs;
    } name;

  emptyFile = final.runCommandLocal "empty-file" {
    outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    outputHashMode = "flat";
  } "touch $out";

  emptyDirectory = final.runCommandLocal "empty-directory" {
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
    outputHash = "0sjjj9z1dhilhpc8pq4154czrb79z9cm044jvn75kxcjv6v5l2m5";
  } "mkdir $out";

  # a source tree as another package's build would see it: unpacked and patched
  srcOnly =
    args:
    let
      given = args.drvAttrs or args;
      stdenv = args.stdenv or final.stdenvNoCC;
    in
    stdenv.mkDerivation (
      builtins.intersectAttrs {
        src = null;
        srcs = null;
        patches = null;
        patchFlags = null;
        prePatch = null;
        postPatch = null;
        sourceRoot = null;
        nativeBuildInputs = null;
        unpackPhase = null;
        preUnpack = null;
        postUnpack = null;
      } given
      // {
        name = "${args.name or "${args.pname}-${args.version}"}-source";
        phases = [
          "unpackPhase"
          "patchPhase"
          "installPhase"
        ];
        installPhase = "cp -pr --reflink=auto -- . $out";
        dontFixup = true;
      }
    );

  applyPatches =
    {
      src,
      name ? (
        if builtins.isPath src then
          baseNameOf src
        else
          "${src.name or "source"}-patched"
      ),
      patches ? [ ],
      prePatch ? "",
      postPatch ? "",
      ...
    }@args:
    final.stdenvNoCC.mkDerivation (
      {
        inherit
          name
          src
          patches
          prePatch
          postPatch
          ;
        preferLocalBuild = true;
        phases = "unpackPhase patchPhase installPhase";
        installPhase = "cp -R ./ $out";
      }
      // removeAttrs args [
        "src"
        "name"
        "patches"
        "prePatch"
        "postPatch"
      ]
    );

  # a file that a person must bring (licensed, behind a login)
  requireFile =
    {
      name ? null,
      sha256 ? null,
      hash ? null,
      url ? null,
      message ? null,
      hashMode ? "flat",
    }:
    let
      fileName = if name != null then name else baseNameOf (toString url);
      explained =
        if message != null then
          message
        else
          ''
            Unfortunately, we cannot download file ${fileName} automatically.
            Please go to ${url} to download it yourself, and add it to the Nix store
            using either
              nix-store --add-fixed sha256 ${fileName}
            or
              nix-prefetch-url --type sha256 file:///path/to/${fileName}
          '';
    in
    final.stdenvNoCC.mkDerivation {
      name = fileName;
      outputHashMode = hashMode;
      outputHashAlgo = if hash != null then null else "sha256";
      outputHash = if hash != null then hash else sha256;
      preferLocalBuild = true;
      inherit explained;
      buildCommand = ''
        printf '%s\n' "***" "$explained" "***"
        exit 1
      '';
    };

  # a setup hook as a package: what it propagates, and a script in which @variables@ are filled in
  makeSetupHook =
    {
      name ? lib.warn "calling makeSetupHook without passing a name is deprecated." "hook",
      deps ? [ ],
      propagatedBuildInputs ? [ ],
      propagatedNativeBuildInputs ? [ ],
      depsTargetTargetPropagated ? [ ],
      meta ? { },
      passthru ? { },
      substitutions ? { },
    }:
    script:
    final.stdenvNoCC.mkDerivation (
      substitutions
      // {
        inherit name meta passthru;
        inherit depsTargetTargetPropagated propagatedNativeBuildInputs;
        propagatedBuildInputs = propagatedBuildInputs ++ deps;
        strictDeps = true;
        dontUnpack = true;
        dontPatch = true;
        dontConfigure = true;
        dontBuild = true;
        dontFixup = true;
        hookScript = script;
        installPhase = ''
          mkdir -p $out/nix-support
          cp "$hookScript" $out/nix-support/setup-hook
          chmod u+w $out/nix-support/setup-hook
          _recordPropagated
        ''
        + lib.optionalString (substitutions != { }) ''
          substituteAll "$hookScript" $out/nix-support/setup-hook
        '';
      }
    );
}
