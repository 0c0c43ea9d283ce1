# What is on disk.
{ lib }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    head
    length
    map
    mapAttrs
    match
    pathExists
    readDir
    readFileType
    throw
    toString
    ;
  inherit (lib.strings) hasSuffix removeSuffix;

  # Where there is nothing at the path, the error names it, which a missing attribute would not.
  pathType = builtins.readFileType;
  pathIsDirectory = path: pathExists path && pathType path == "directory";
  pathIsRegularFile = path: pathExists path && pathType path == "regular";

  listFilesRecursive =
    dir:
    builtins.concatLists (
      attrValues (
        mapAttrs (
          name: type: if type == "directory" then listFilesRecursive (dir + "/${name}") else [ (dir + "/${name}") ]
        ) (readDir dir)
      )
    );

  packagesFromDirectoryRecursive =
    {
      callPackage,
      directory,
      # For scopes: gives nested folders scopes of their own.
      newScope ? throw "lib.packagesFromDirectoryRecursive: newScope wasn't passed in args",
      recurseIntoDirectory ? null,
    }@args:
    let
      processEntry =
        name: type:
        let
          path = directory + "/${name}";
        in
        if type == "directory" then
          [
            {
              inherit name;
              value = packagesFromDirectoryRecursive (args // { directory = path; });
            }
          ]
        else if type == "regular" && hasSuffix ".nix" name then
          [
            {
              name = removeSuffix ".nix" name;
              value = callPackage path { };
            }
          ]
        else if type == "regular" then
          [ ]
        else
          throw ''
            lib.filesystem.packagesFromDirectoryRecursive: Unsupported file type ${type} at path ${toString path}'';
      own = directory + "/package.nix";
      entries = readDir directory;
    in
    if pathExists own then
      callPackage own { }
    else if args ? newScope then
      lib.attrsets.recurseIntoAttrs (
        lib.customisation.makeScope newScope (
          self:
          builtins.listToAttrs (
            builtins.concatLists (
              attrValues (
                mapAttrs (
                  name: type:
                  if type == "directory" then
                    [
                      {
                        inherit name;
                        value = packagesFromDirectoryRecursive {
                          inherit (self) callPackage newScope;
                          directory = directory + "/${name}";
                        };
                      }
                    ]
                  else if type == "regular" && hasSuffix ".nix" name then
                    [
                      {
                        name = removeSuffix ".nix" name;
                        value = self.callPackage (directory + "/${name}") { };
                      }
                    ]
                  else
                    [ ]
                ) entries
              )
            )
          )
        )
      )
    else
      builtins.listToAttrs (builtins.concatLists (attrValues (mapAttrs processEntry entries)));
in
{
  inherit
    listFilesRecursive
    packagesFromDirectoryRecursive
    pathIsDirectory
    pathIsRegularFile
    pathType
    ;
  inherit (builtins)
    baseNameOf
    dirOf
    hashFile
    isPath
    readDir
    readFileType
    ;

  # The Haskell packages in a folder: `{ name = path; }` for each folder with a cabal file.
  haskellPathsInDir =
    root:
    let
      folders = lib.attrsets.filterAttrs (_: type: type == "directory") (readDir root);
    in
    lib.attrsets.concatMapAttrs (
      name: _: if pathExists (root + "/${name}/${name}.cabal") then { ${name} = root + "/${name}"; } else { }
    ) folders;

  # The nearest folder above with a file that matches: `{ path, matches }`, or null.
  locateDominatingFile =
    pattern:
    let
      go =
        dir:
        let
          matches = builtins.filter (m: m != null) (map (match pattern) (attrNames (readDir dir)));
          isRoot = dirOf dir == dir;
        in
        if matches != [ ] then
          { path = dir; inherit matches; }
        else if isRoot then
          null
        else
          go (dirOf dir);
    in
    file:
    let
      type = pathType file;
    in
    go (if type == "directory" then file else dirOf file);

  # What `import` would read.
  resolveDefaultNix = path: if pathIsDirectory path then path + "/default.nix" else path;
}
