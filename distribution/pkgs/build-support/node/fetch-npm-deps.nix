# fetchNpmDeps: the packages of a package-lock.json as npm itself fetches them, with one hash for all. For locks that
# importNpmLock cannot read, such as those with packages from Git.
{ lib, final }:
{
  name ? "npm-deps",
  hash ? "",
  nodejs ? final.nodejs,
  npmRoot ? ".",
  forceGitDeps ? false,
  nativeBuildInputs ? [ ],
  ...
}@args:
final.stdenvNoCC.mkDerivation (
  {
    inherit name;
    nativeBuildInputs = [
      nodejs
      final.git
    ]
    ++ nativeBuildInputs;
    SSL_CERT_FILE = "${final.cacert}/etc/ssl/certs/ca-bundle.crt";
    NODE_EXTRA_CA_CERTS = "${final.cacert}/etc/ssl/certs/ca-bundle.crt";
    impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [ "npm_config_registry" ];
    dontConfigure = true;
    buildPhase = ''
      runHook preBuild
      export HOME=$PWD
      cd ${lib.escapeShellArg npmRoot}
      [ -f package-lock.json ] || { echo "the source has no package-lock.json, which says what to fetch"; exit 1; }
      npm ci --ignore-scripts --no-audit --no-fund --no-bin-links
      mkdir -p $out/tree
      cp package-lock.json $out/package-lock.json
      if [ -d node_modules ]; then mv node_modules $out/tree/node_modules; fi
      rm -f $out/tree/node_modules/.package-lock.json
      # links to the project's own parts
      (cd $out/tree && find . -type l -printf '%P %l\n' | LC_ALL=C sort) | while read -r path target; do
        echo "$path $(realpath -m --relative-to=. "''${path%/*}/$target")"
      done > $out/links
      find $out/tree -type l -delete
      runHook postBuild
    '';
    dontInstall = true;
    dontFixup = true;
    outputHashMode = "recursive";
    outputHashAlgo = if hash == "" then "sha256" else null;
    outputHash = if hash == "" then lib.fakeHash else hash;
  }
  // removeAttrs args [
    "name"
    "hash"
    "nodejs"
    "npmRoot"
    "forceGitDeps"
    "nativeBuildInputs"
  ]
)
