# What is known about packages beside how they are built: priorities, names, platforms, main programs, licenses.
{ lib }:
let
  inherit (builtins)
    all
    any
    elem
    isString
    mapAttrs
    match
    substring
    stringLength
    throw
    typeOf
    ;
  inherit (lib.attrsets) isDerivation matchAttrs getBin;
  inherit (lib.trivial) warn;

  addMetaAttrs =
    attrs: drv:
    if drv ? overrideAttrs then
      drv.overrideAttrs (old: {
        meta = (old.meta or { }) // attrs;
      })
    else
      drv // { meta = (drv.meta or { }) // attrs; };

  setPrio = priority: addMetaAttrs { inherit priority; };
  mapDerivationAttrset = f: set: mapAttrs (_: pkg: if isDerivation pkg then f pkg else pkg) set;

  updateName = update: drv: drv // { name = update drv.name; };

  # A pattern is a system's name, or a part of the parsed system or of the whole platform.
  platformMatch =
    platform: pattern:
    if isString pattern then
      platform ? system && platform.system == pattern
    else
      matchAttrs (if pattern ? parsed then pattern else { parsed = pattern; }) platform;

  getExe' =
    drv: name:
    if !isDerivation drv then
      throw "lib.meta.getExe': The first argument is of type ${typeOf drv}, but it should be a derivation instead."
    else if !isString name then
      throw "lib.meta.getExe': The second argument is of type ${typeOf name}, but it should be a string instead."
    else if match ".*/.*" name != null then
      throw "lib.meta.getExe': The second argument \"${name}\" is a nested path with a \"/\" character, but it should just be the name of the executable instead."
    else
      "${getBin drv}/bin/${name}";

  licensesSpdx = lib.attrsets.concatMapAttrs (
    _: license: if license ? spdxId then { ${license.spdxId} = license; } else { }
  ) lib.licenses;

  getLicenseFromSpdxIdOr =
    let
      lowered = lib.attrsets.mapAttrs' (id: license: {
        name = lib.strings.toLower id;
        value = license;
      }) licensesSpdx;
    in
    id: default:
    lowered.${lib.strings.toLower id} or default;
in
{
  inherit
    addMetaAttrs
    getExe'
    getLicenseFromSpdxIdOr
    licensesSpdx
    mapDerivationAttrset
    platformMatch
    setPrio
    updateName
    ;

  dontDistribute = addMetaAttrs { hydraPlatforms = [ ]; };
  setName = name: drv: drv // { inherit name; };
  appendToName =
    suffix:
    updateName (
      name:
      let
        parsed = builtins.parseDrvName name;
      in
      "${parsed.name}-${suffix}-${parsed.version}"
    );

  # ## priorities in an environment: the lower number wins
  defaultPriority = 5;
  lowPrio = setPrio 10;
  hiPrio = setPrio (-10);
  lowPrioSet = mapDerivationAttrset (setPrio 10);
  hiPrioSet = mapDerivationAttrset (setPrio (-10));

  availableOn =
    platform: pkg:
    (!pkg ? meta.platforms || any (platformMatch platform) pkg.meta.platforms)
    && all (pattern: !platformMatch platform pattern) (pkg.meta.badPlatforms or [ ]);

  getLicenseFromSpdxId =
    id:
    getLicenseFromSpdxIdOr id (
      warn "getLicenseFromSpdxId: No license with the given SPDX ID found: ${id}" {
        shortName = id;
        spdxId = id;
      }
    );

  # ## programs
  getExe =
    drv:
    getExe' drv (
      drv.meta.mainProgram or (
        let
          name = lib.strings.getName drv;
        in
        # getName is also what the fallback used to be; it need not be a program.
        warn "getExe: Package ${lib.strings.escapeNixIdentifier drv.meta.name or drv.pname or drv.name} does not have the meta.mainProgram attribute. We'll assume that the main program has the same name for now, but this behavior is deprecated, because it leads to surprising errors when the assumption does not hold. If the package has a main program, please set `meta.mainProgram` in its definition to make this warning go away. Otherwise, if the package does not have a main program, or if you don't control its definition, use getExe' to specify the name to the program, such as lib.getExe' foo \"bar\"." name
      )
    );

  cpeFullVersionWithVendor = vendor: version: {
    inherit vendor version;
    update = "*";
  };
}
