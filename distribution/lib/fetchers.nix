# What fetchers have in common.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    filter
    head
    intersectAttrs
    length
    listToAttrs
    map
    throw
    toString
    ;

  algorithms = [ "sha1" "sha256" "sha512" "md5" ];
  fake = {
    "" = lib.misc.fakeHash;
    sha256 = lib.misc.fakeSha256;
    sha512 = lib.misc.fakeSha512;
  };

  # The one hash among a fetcher's arguments, whatever it is called, as `{ outputHash, outputHashAlgo }`.
  normalizeHash =
    {
      hashTypes ? [ "sha256" ],
      required ? true,
    }:
    let
      names = [ "hash" "outputHash" ] ++ hashTypes;
    in
    args:
    let
      given = filter (name: args ? ${name} && args.${name} != null) names;
      name = head given;
      hasAlgo = args ? outputHashAlgo && args.outputHashAlgo != null;
      rest = removeAttrs args (names ++ [ "outputHashAlgo" ]);
      emptyOr = algo: value: if value == "" then fake.${algo} or (throw "no “fake hash” for hash type “${toString algo}”") else value;
    in
    if given == [ ] then
      if required then throw "fetcher called without `hash`" else args
    else if length given > 1 then
      throw "multiple hashes passed: ${concatStringsSep ", " given}"
    else if name == "hash" then
      rest // { outputHash = emptyOr "" args.hash; outputHashAlgo = null; }
    else if name == "outputHash" then
      rest // { outputHash = emptyOr (args.outputHashAlgo or "") args.outputHash; outputHashAlgo = if hasAlgo then args.outputHashAlgo else null; }
    else
      rest // { outputHash = emptyOr name args.${name}; outputHashAlgo = name; };
in
{
  inherit normalizeHash;

  # A fetcher that takes its hash under any name, from one that takes `outputHash` and `outputHashAlgo`.
  withNormalizedHash =
    {
      hashTypes ? [ "sha256" ],
      required ? true,
    }@settings:
    fetcher:
    let
      formals = lib.trivial.functionArgs fetcher;
    in
    lib.trivial.setFunctionArgs (args: fetcher (normalizeHash { inherit hashTypes required; } args)) (
      removeAttrs formals [ "outputHash" "outputHashAlgo" ]
      // {
        # As needed as it is for the fetcher itself.
        hash = formals.outputHash;
      }
    );

  # Environment variables that say how to reach the network.
  proxyImpureEnvVars = [
    "http_proxy"
    "https_proxy"
    "ftp_proxy"
    "all_proxy"
    "no_proxy"
    "HTTP_PROXY"
    "HTTPS_PROXY"
    "FTP_PROXY"
    "ALL_PROXY"
    "NO_PROXY"
    "NIX_SSL_CERT_FILE"
  ];
}
