# A file fetched by Nix itself, before there are any packages. `url` may be a mirror:// address.
{
  url,
  urls ? [ url ],
  name ? baseNameOf (toString url),
  sha256 ? "",
  hash ? "",
  outputHash ? if hash != "" then hash else sha256,
  outputHashAlgo ? if hash != "" then null else "sha256",
  executable ? false,
  unpack ? false,
  meta ? { },
}:
derivation {
  inherit
    name
    url
    urls
    executable
    unpack
    outputHash
    outputHashAlgo
    ;
  builder = "builtin:fetchurl";
  system = "builtin";
  outputHashMode = if executable || unpack then "recursive" else "flat";
  preferLocalBuild = true;
  impureEnvVars = [
    "http_proxy"
    "https_proxy"
    "ftp_proxy"
    "all_proxy"
    "no_proxy"
  ];
  __ignoreNulls = true;
}
