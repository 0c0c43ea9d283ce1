# fetchurl: a file by its address and hash. Plain fetches are Nix's own (`builtin:fetchurl`, which also resolves mirror://
# addresses); those with something to do afterwards (postFetch, curlOpts, …) run curl in a builder.
{ lib, stdenvNoCC, fetchurlBoot, curl, cacert }:
let
  hashAttrs =
    {
      hash ? "",
      sha512 ? "",
      sha256 ? "",
      sha1 ? "",
      md5 ? "",
      outputHash ? "",
      outputHashAlgo ? "",
      ...
    }@given:
    what:
    if hash != "" then
      {
        outputHashAlgo = null;
        outputHash = hash;
      }
    else if outputHash != "" then
      {
        outputHashAlgo = if outputHashAlgo == "" then null else outputHashAlgo;
        inherit outputHash;
      }
    else if sha512 != "" then
      {
        outputHashAlgo = "sha512";
        outputHash = sha512;
      }
    else if sha256 != "" then
      {
        outputHashAlgo = "sha256";
        outputHash = sha256;
      }
    else if sha1 != "" then
      {
        outputHashAlgo = "sha1";
        outputHash = sha1;
      }
    else if given ? hash || given ? sha256 then
      {
        # an empty hash: the build fails, and its message names the right one
        outputHashAlgo = null;
        outputHash = lib.fakeHash;
      }
    else
      throw "fetchurl: ‘${what}’ has no hash; set `hash = \"\";` to be told the right one";
in
lib.makeOverridable (
  {
    url ? "",
    urls ? [ ],
    name ? "",
    pname ? "",
    version ? "",
    executable ? false,
    recursiveHash ? false,
    downloadToTemp ? false,
    postFetch ? "",
    curlOpts ? "",
    curlOptsList ? [ ],
    netrcPhase ? "",
    showURLs ? false,
    meta ? { },
    passthru ? { },
    preferLocalBuild ? true,
    nativeBuildInputs ? [ ],
    impureEnvVars ? [ ],
    derivationArgs ? { },
    ...
  }@args:
  let
    all =
      if urls != [ ] then
        urls ++ lib.optional (url != "" && url != [ ]) url
      else if builtins.isList url then
        url
      else if url != "" then
        [ url ]
      else
        throw "fetchurl: give a `url` or `urls`";
    first = builtins.head all;
    fileName =
      if showURLs then
        "urls"
      else if name != "" then
        name
      else if pname != "" then
        "${pname}-${version}"
      else
        # what is behind a ? is a query, not a name
        builtins.head (builtins.split "[?#]" (baseNameOf (toString first)));
    hashes = hashAttrs args first;
    plain =
      postFetch == ""
      && !downloadToTemp
      && curlOpts == ""
      && curlOptsList == [ ]
      && netrcPhase == ""
      && !showURLs
      && recursiveHash == false
      && derivationArgs == { };
    common = {
      inherit meta;
      url = first;
      urls = all;
    }
    // passthru;
    fetched = fetchurlBoot {
      name = fileName;
      url = first;
      urls = all;
      inherit executable;
      inherit (hashes) outputHash outputHashAlgo;
    };
  in
  if plain then
    fetched // common // { passthru = passthru; }
  else
    stdenvNoCC.mkDerivation (
      {
        name = fileName;
        urls = all;
        builder = ./curl-builder.sh;
        nativeBuildInputs = [ curl ] ++ nativeBuildInputs;
        inherit (hashes) outputHashAlgo outputHash;
        outputHashMode = if recursiveHash || executable then "recursive" else "flat";
        inherit
          curlOpts
          curlOptsList
          downloadToTemp
          executable
          postFetch
          netrcPhase
          showURLs
          preferLocalBuild
          ;
        SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
        impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ impureEnvVars;
        inherit meta;
        passthru = {
          url = first;
        }
        // passthru;
      }
      // derivationArgs
    )
)
