# Folders of links.
{ lib, final }:
rec {
  # linkFarm NAME [ { name = "a/b"; path = …; } ] or { "a/b" = …; }: a later entry of the same name wins
  linkFarm =
    name: entries:
    let
      list =
        if builtins.isAttrs entries then
          lib.mapAttrsToList (entry: path: {
            name = entry;
            inherit path;
          }) entries
        else
          entries;
      unique = builtins.foldl' (all: e: all // { ${e.name} = "${e.path}"; }) { } list;
    in
    final.runCommandLocal name { passthru.entries = unique; } ''
      mkdir -p $out
      cd $out
      ${lib.concatStrings (
        lib.mapAttrsToList (entry: path: ''
          mkdir -p -- ${lib.escapeShellArg (dirOf entry)}
          ln -s -- ${lib.escapeShellArg path} ${lib.escapeShellArg entry}
        '') unique
      )}
    '';

  linkFarmFromDrvs =
    name: drvs:
    linkFarm name (
      map (drv: {
        inherit (drv) name;
        path = drv;
      }) drvs
    );

  # one output that holds a link to each of a package's
  onlyBin =
    drv:
    final.runCommandLocal "${drv.name}-only-bin" { } ''
      mkdir -p $out
      ln -s ${lib.getBin drv}/bin $out/bin
    '';

  copyPathToStore = builtins.filterSource (_: _: true);
  copyPathsToStore = map copyPathToStore;
}
