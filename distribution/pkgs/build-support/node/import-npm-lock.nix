# importNpmLock: the packages that a package-lock.json names, each fetched by the hash that stands there, as the node_modules
# that npm would make of them. Nothing needs a hash of its own, and nothing is downloaded twice.
{ lib, final }:
let
  # npm's own registry is that of the host where it has another
  mirrored =
    url:
    let
      path = builtins.match "https://registry[.]npmjs[.][a-z]+/(.*)" url;
    in
    if path == null then url else "mirror://npm/${builtins.head path}";

  # a field of a lock may rule a platform in (`linux`) or out (`!win32`)
  fits =
    here: wanted:
    wanted == [ ]
    || (
      !builtins.elem "!${here}" wanted
      && (builtins.elem here wanted || builtins.elem "any" wanted || builtins.all (lib.hasPrefix "!") wanted)
    );

  # lock files of npm 7 and later list each folder
  fromPackages =
    lock:
    lib.mapAttrsToList (path: package: package // { inherit path; }) (
      lib.filterAttrs (
        path: package:
        path != ""
        && lib.hasInfix "node_modules/" path
        && !(package.inBundle or false)
        && fits "linux" (package.os or [ ])
        && fits final.hostPlatform.firn.npmArch (package.cpu or [ ])
      ) lock.packages
    );

  # those of npm 6 are a tree
  fromDependencies =
    prefix: dependencies:
    lib.concatLists (
      lib.mapAttrsToList (
        name: package:
        let
          path = "${prefix}node_modules/${name}";
        in
        lib.optional (!(package.bundled or false)) (package // { inherit path; })
        ++ fromDependencies "${path}/" (package.dependencies or { })
      ) dependencies
    );

  fetch =
    package:
    let
      url =
        package.resolved
          or (throw "importNpmLock: package-lock.json does not say where ‘${package.path}’ comes from (`resolved`); run `npm install` without omit-lockfile-registry-resolved");
    in
    if !(package ? integrity) then
      throw "importNpmLock: ‘${package.path}’ comes from ‘${url}’ without a hash (`integrity`), as packages from Git do; publish it to a registry, or use npmDepsHash"
    else
      final.fetchurlBoot {
        # only the last of several hashes, which is the strongest
        hash = lib.last (lib.splitString " " package.integrity);
        name = lib.strings.sanitizeDerivationName (baseNameOf url);
        url = mirrored url;
      };

  read = file: builtins.fromJSON (builtins.readFile file);

  make =
    {
      npmRoot ? null,
      package ? read (npmRoot + "/package.json"),
      packageLock ? read (npmRoot + "/package-lock.json"),
      pname ? package.name or "npm-project",
      version ? package.version or "0",
      ...
    }:
    let
      all =
        if packageLock ? packages then
          fromPackages packageLock
        else
          fromDependencies "" (packageLock.dependencies or { });
      links = builtins.filter (p: p.link or false) all;
      fetched = builtins.filter (p: !(p.link or false)) all;
    in
    final.runCommandLocal
      (lib.strings.sanitizeDerivationName "${baseNameOf pname}-${version}-npm-deps")
      {
        # outer packages before those that lie in them
        archives = lib.concatMapStrings (
          p: "${if p.optional or false then "optional" else "needed"} ${p.path} ${fetch p}\n"
        ) (lib.sort (a: b: a.path < b.path) fetched);
        links = lib.concatMapStrings (p: "${p.path} ${p.resolved}\n") links;
        lock = builtins.toJSON packageLock;
        passAsFile = [
          "archives"
          "links"
          "lock"
        ];
        nativeBuildInputs = [ final.jq ];
        npmCpu = final.hostPlatform.firn.npmArch;
      }
      ''
        mkdir -p $out
        cp "$lockPath" $out/package-lock.json
        # os and cpu of an optional package of an old lock file stand in the package alone
        unfit() {
          jq -e --arg cpu "$npmCpu" '
            def fits($here): if type == "string" then [.] else . end
              | length == 0 or ((index("!" + $here) | not) and (index($here) or all(startswith("!"))));
            ((.os // [] | fits("linux")) and (.cpu // [] | fits($cpu))) | not' "$1/package.json" > /dev/null
        }
        while read -r kind path archive; do
          folder=$out/tree/$path
          mkdir -p "$folder"
          tar -xzf "$archive" --strip-components=1 --no-same-owner --no-same-permissions -C "$folder"
          # some archives have folders that cannot be entered
          chmod -R u+rwX,go+rX "$folder"
          if [ "$kind" = optional ] && unfit "$folder"; then rm -r "$folder"; fi
        done < "$archivesPath"
        mkdir -p $out/tree
        cp "$linksPath" $out/links
      '';
in
{
  # callable as a function, with the hook that puts the result in place beside it
  __functor = _: make;
  inherit (import ./hooks.nix { inherit final; }) npmConfigHook;
}
