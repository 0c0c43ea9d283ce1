# A package's meta: what is filled in, and what the set's settings refuse to evaluate (broken, unfree, insecure, other
# platforms).
{ lib, config }:
let
  inherit (builtins)
    all
    any
    attrValues
    elem
    filter
    head
    isAttrs
    isList
    isString
    ;

  licensesOf =
    meta:
    let
      l = meta.license or [ ];
    in
    filter isAttrs (if isList l then l else [ l ]);

  isUnfree = meta: any (l: !(l.free or true)) (licensesOf meta);

  platformMatches =
    platform: entry:
    if isString entry then
      entry == platform.system
    else
      # a pattern such as { parsed.kernel.name = "linux"; }
      isAttrs entry && lib.matchAttrs entry platform;

  supports =
    platform: meta:
    let
      good = meta.platforms or null;
      bad = meta.badPlatforms or [ ];
    in
    (good == null || any (platformMatches platform) good) && !any (platformMatches platform) bad;

  complain =
    meta: name: what: why: remedy:
    throw ''
      Package ‘${name}’${lib.optionalString (meta ? position) " in ${meta.position}"} ${what}, refusing to evaluate.
      ${why}
      ${remedy}'';

  allow = attribute: variable: ''
    To allow it, set in the package set's settings (config.nixpkgs.config, or ~/.config/nixpkgs/config.nix):
      { ${attribute} = true; }
    or, for one impure evaluation, in the environment: ${variable}=1'';
in
{
  # fills in what every package's meta has
  complete =
    {
      attrs,
      pos,
      name,
      outputs,
      platform,
    }:
    let
      given = attrs.meta or { };
      hasOut = elem "out" outputs;
      main =
        if elem "bin" outputs then
          "bin"
        else if hasOut then
          "out"
        else
          head outputs;
      unfree = isUnfree given;
      insecure = (given.knownVulnerabilities or [ ]) != [ ];
      unsupported = !supports platform given;
    in
    {
      outputsToInstall = [ main ] ++ lib.optional (elem "man" outputs) "man";
      inherit name;
      broken = false;
      inherit unfree insecure unsupported;
      available =
        !(given.broken or false)
        && !unsupported
        && (!insecure || config.allowInsecure)
        && (!unfree || config.allowUnfree);
    }
    // lib.optionalAttrs (pos != null) { position = "${pos.file}:${toString pos.line}"; }
    // given;

  # meta → name → value → value, or a message that says what to change
  assertValid =
    meta: name: value:
    if meta.broken && !config.allowBroken then
      complain meta name "is marked as broken" "" (allow "allowBroken" "NIXPKGS_ALLOW_BROKEN")
    else if meta.unsupported && !config.allowUnsupportedSystem then
      complain meta name "is not available on the requested hostPlatform" "" (
        allow "allowUnsupportedSystem" "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM"
      )
    else if
      meta.unfree && !config.allowUnfree && !config.allowUnfreePredicate { inherit name meta; pname = lib.getName name; version = lib.getVersion name; }
    then
      complain meta name
        "has an unfree license (${
          lib.concatMapStringsSep ", " (l: "‘${l.shortName or l.fullName or "unknown"}’") (licensesOf meta)
        })"
        ""
        (allow "allowUnfree" "NIXPKGS_ALLOW_UNFREE")
    else if
      meta.insecure
      && !config.allowInsecure
      && !elem name config.permittedInsecurePackages
      && !config.allowInsecurePredicate { inherit name meta; }
    then
      complain meta name "is marked as insecure"
        "Known issues:\n${lib.concatMapStrings (v: " - ${v}\n") meta.knownVulnerabilities}"
        "To allow it, add its name to the settings: permittedInsecurePackages = [ \"${name}\" ];"
    else
      value;
}
