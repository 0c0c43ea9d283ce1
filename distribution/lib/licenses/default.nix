# Licenses of packages, and expressions of several: `AND [ mit gpl2Only ]`, `WITH gpl2Only classpathException20`.
{ lib }:
let
  inherit (builtins)
    all
    any
    attrValues
    concatStringsSep
    elem
    elemAt
    filter
    head
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    throw
    toString
    ;
  table = import ./table.nix;

  # Names that packages' metadata has always shown for these.
  shortNames = {
    ecl20 = "ECL 2.0";
    nvidiaCuda = "CUDA EULA";
    nvidiaCudaRedist = "CUDA EULA";
    tsl = "TSL";
  };

  make =
    {
      free,
      redistributable ? free,
      deprecated ? false,
    }:
    mapAttrs (
      name: entry:
      let
        spdxId = elemAt entry 0;
      in
      {
        licenseType = "simple";
        shortName = shortNames.${name} or name;
        fullName = elemAt entry 1;
        inherit free redistributable deprecated;
      }
      // (
        if spdxId != null then
          {
            inherit spdxId;
            url = "https://spdx.org/licenses/${spdxId}.html";
          }
        else if length entry > 2 then
          { url = elemAt entry 2; }
        else
          { }
      )
    );

  licenses =
    make { free = true; } table.free
    // make {
      free = true;
      deprecated = true;
    } table.deprecated
    // make {
      free = false;
      redistributable = true;
    } table.redistributable
    // make { free = false; } table.unfree;

  # A property of an expression, from that of its parts: of all of them, as a package under both must honour both, or of any,
  # as its user may choose.
  evaluateProperty =
    property:
    let
      go =
        license:
        if isList license then
          all go license
        else if isString license then
          true
        else
          let
            kind = license.licenseType or "simple";
          in
          if kind == "compound" then
            if license.operator == "OR" then any go license.licenses else all go license.licenses
          else if kind == "exception" then
            go license.license
          else if kind == "plus" then
            go license.license
          else
            property license;
    in
    go;
  evaluateNamedProperty = name: evaluateProperty (license: license.${name} or true);

  toSPDX =
    let
      go =
        outer: license:
        if isString license then
          license
        else if isList license then
          go outer { licenseType = "compound"; operator = "AND"; licenses = license; }
        else
          let
            kind = license.licenseType or "simple";
            inner = concatStringsSep " ${license.operator} " (map (go true) license.licenses);
          in
          if kind == "compound" then
            if outer then "(${inner})" else inner
          else if kind == "exception" then
            "${go true license.license} WITH ${go true license.exception}"
          else if kind == "plus" then
            "${go true license.license}+"
          else
            license.spdxId or "LicenseRef-nixos-${license.shortName}";
    in
    go false;
in
licenses
// {
  inherit evaluateProperty evaluateNamedProperty toSPDX;

  AND = licenses: {
    licenseType = "compound";
    operator = "AND";
    inherit licenses;
  };
  OR = licenses: {
    licenseType = "compound";
    operator = "OR";
    inherit licenses;
  };
  WITH = license: exception: {
    licenseType = "exception";
    operator = "WITH";
    inherit license exception;
  };
  PLUS = license: {
    licenseType = "plus";
    operator = "+";
    inherit license;
  };

  isFree = evaluateNamedProperty "free";
  isRedistributable = evaluateNamedProperty "redistributable";

  # Whether any of the given licenses is part of an expression.
  containsLicenses =
    wanted:
    let
      go =
        license:
        if isList license then
          any go license
        else
          let
            kind = license.licenseType or "simple";
          in
          if kind == "compound" then
            any go license.licenses
          else if kind == "exception" then
            go license.license || go license.exception
          else if kind == "plus" then
            go license.license
          else
            elem license wanted;
    in
    go;
}
