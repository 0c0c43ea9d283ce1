# closureInfo: the closure of some paths, as files that image builders read: store-paths (one a line), registration (for
# `nix-store --load-db`), total-nar-size.
{ lib, final }:
{ rootPaths }:
assert lib.assertMsg (builtins.isList rootPaths) "closureInfo: rootPaths must be a list";
derivation {
  name = "closure-info";
  inherit (final.stdenvNoCC.hostPlatform) system;
  __structuredAttrs = true;
  exportReferencesGraph.closure = rootPaths;
  preferLocalBuild = true;
  builder = final.stdenvNoCC.shell;
  args = [
    "-e"
    ./closure-info.sh
  ];
  jq = final.debian.jq;
  coreutils = final.debian.coreutils;
}
// {
  meta = { };
}
