# lock.json → packages. An entry is one store path: the files of one or more binary packages of a source, with links to
# the entries they use.
{
  lib,
  platform,
  importBinary,
  fetchurlBoot,
  settings ? { },
}:
let
  # one lock file for each of Debian's architectures
  lockFile = ./. + (if platform.firn.debianArch == "amd64" then "/lock.json" else "/lock-${platform.firn.debianArch}.json");
  lock = builtins.fromJSON (builtins.readFile lockFile);

  fetch =
    deb:
    fetchurlBoot {
      name = "${deb.name}_${lib.replaceStrings [ ":" "~" ] [ "-" "-" ] deb.version}.deb";
      inherit (deb) url sha256;
    };

  missing =
    key: user:
    throw "the lock file of Debian packages has no entry ‘${key}’, which ${user} needs; write it into distribution/pkgs/debian/packages.json and update the lock";

  # "@dep:KEY@" in a setting stands for that entry's store path
  fill =
    key: deps: value:
    if builtins.isString value then
      lib.replaceStrings (map (d: "@dep:${d}@") deps) (map (d: "${packages.${d} or (missing d key)}") deps) value
    else if builtins.isList value then
      map (fill key deps) value
    else if builtins.isAttrs value then
      builtins.mapAttrs (_: fill key deps) value
    else
      value;

  build =
    key: entry:
    let
      base = {
        pname = key;
        inherit (entry) version;
        spec = {
          kind = "debian";
          sources = map (deb: "${fetch deb}") entry.debs;
          dependencies = map (d: "${packages.${d} or (missing d key)}") entry.deps;
        }
        // fill key entry.deps (entry.spec or { });
        pos = {
          file = toString lockFile;
          line = 1;
        };
        passthru = {
          # the entries whose files this one uses
          debianDependencies = map (d: packages.${d}) entry.deps;
          debianPackages = map (deb: deb.name) entry.debs;
        };
        meta = {
          description = entry.description or "";
          platforms = [ platform.system ];
        }
        // lib.optionalAttrs (entry ? homepage) { inherit (entry) homepage; };
      };
      change = settings.${key} or (_: { });
    in
    importBinary (base // change base);

  packages = builtins.mapAttrs build lock.packages;
in
packages
