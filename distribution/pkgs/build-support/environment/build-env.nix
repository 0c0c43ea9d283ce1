# buildEnv: many packages' files in one folder of links. Two packages with different files of one name collide, unless one has
# the better (smaller) priority or collisions are ignored.
{ lib, final }:
lib.makeOverridable (
  {
    name ? if pname != null then "${pname}${lib.optionalString (version != null) "-${version}"}" else throw "buildEnv: `name` is missing",
    pname ? null,
    version ? null,
    # packages, files or folders
    paths,
    manifest ? "",
    ignoreCollisions ? false,
    ignoreSingleFileOutputs ? false,
    checkCollisionContents ? true,
    # folders of the packages that are taken
    pathsToLink ? [ "/" ],
    includeClosures ? false,
    # outputs beside each package's own meta.outputsToInstall
    extraOutputsToInstall ? [ ],
    # folder of the environment that takes everything
    extraPrefix ? "",
    postBuild ? "",
    nativeBuildInputs ? [ ],
    buildInputs ? [ ],
    passthru ? { },
    meta ? { },
    derivationArgs ? { },
  }:
  let
    chosen =
      drv:
      let
        wanted =
          # one output named by the user stands for itself
          if drv.outputSpecified or false then
            [ (drv.outputName or "out") ]
          else
            drv.meta.outputsToInstall or [ "out" ];
        asked = lib.filter (o: builtins.isAttrs drv && drv ? ${o} && lib.elem o (drv.outputs or [ ])) (
          wanted ++ extraOutputsToInstall
        );
      in
      {
        paths =
          if builtins.isAttrs drv && drv ? outputs then
            map (o: "${drv.${o}}") (lib.unique asked)
          else
            [ "${drv}" ];
        priority = drv.meta.priority or lib.meta.defaultPriority or 5;
      };
    packages = map chosen (lib.filter (p: p != null) paths);
  in
  final.runCommand name
    (
      {
        inherit
          extraPrefix
          ignoreCollisions
          ignoreSingleFileOutputs
          checkCollisionContents
          manifest
          passthru
          meta
          pathsToLink
          nativeBuildInputs
          buildInputs
          ;
        # a line for each package: PRIORITY PATH…
        packageList = lib.concatMapStrings (p: "${toString p.priority} ${lib.concatStringsSep " " p.paths}\n") packages;
        closures = lib.optionalString includeClosures "${final.closureInfo { rootPaths = lib.concatMap (p: p.paths) packages; }}/store-paths";
        preferLocalBuild = true;
        allowSubstitutes = false;
        passAsFile = [ "packageList" ];
        perl = final.debian.perl;
        mergeScript = ./merge.pl;
      }
      // derivationArgs
    )
    ''
      "$perl/bin/perl" "$mergeScript"
      ${postBuild}
    ''
)
