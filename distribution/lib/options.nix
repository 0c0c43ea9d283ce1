# Declaring options, merging definitions in the common ways, and showing options in messages and documentation.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    deepSeq
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isString
    length
    map
    mapAttrs
    match
    split
    tail
    throw
    toString
    tryEval
    typeOf
    ;
  inherit (lib.strings) escapeNixString;

  unknownModule = "<unknown-file>";

  isOption = v: v._type or null == "option";

  mkOption = attrs: attrs // { _type = "option"; };

  literalExpression =
    text:
    if !isString text then
      throw "literalExpression expects a string."
    else
      {
        _type = "literalExpression";
        inherit text;
      };
  literalMD =
    text:
    if !isString text then
      throw "literalMD expects a string."
    else
      {
        _type = "literalMD";
        inherit text;
      };

  # ## names

  showOption =
    path: concatStringsSep "." (map showOptionPart path);
  # Parts that stand for any name are shown as they are, the others as Nix would want them written.
  placeholders = {
    "*" = null;
    "<name>" = null;
    "<function body>" = null;
  };
  showOptionPart = part: if placeholders ? ${part} then part else lib.strings.escapeNixIdentifier part;

  showFiles = files: concatStringsSep " and " (map (file: "`${file}'") files);

  # Definitions with what can be said about their values in a few lines. A value that cannot be evaluated is left out.
  showDefs =
    defs:
    concatStringsSep "" (
      map (
        def:
        let
          text = lib.generators.toPretty { } (
            lib.generators.withRecursion {
              depthLimit = 10;
              throwOnDepthLimit = false;
            } def.value
          );
          lines = filter isString (split "\n" text);
          shown = lib.lists.take 5 lines;
          ellipsis = if length lines > 5 then [ "..." ] else [ ];
          attempt = tryEval (
            if tail lines == [ ] then
              ": ${head lines}"
            else
              ":\n    ${concatStringsSep "\n    " (shown ++ ellipsis)}"
          );
        in
        "\n- In `${def.file}'${if attempt.success then attempt.value else ""}"
      ) defs
    );

  # ## merging

  overrideHint = message: "${message}\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";

  mergeEqualOption =
    loc: defs:
    let
      first = head defs;
    in
    if tail defs == [ ] then
      first.value
    else
      foldl' (
        seen: def:
        if def.value != first.value then
          throw (
            overrideHint "The option `${showOption loc}' has conflicting definition values:${
              showDefs [
                first
                def
              ]
            }"
          )
        else
          seen
      ) first.value (tail defs);

  mergeUniqueOption =
    args:
    let
      message = args.message;
      merge =
        args.merge or (
          loc: defs: (head defs).value
        );
    in
    loc: defs:
    if defs != [ ] && tail defs == [ ] then
      merge loc defs
    else
      throw (
        "The option `${showOption loc}' is defined multiple times while it's expected to be unique.\n${message}\nDefinition values:${showDefs defs}\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions."
      );

  # ## documentation

  renderOptionValue =
    v:
    if v ? _type && v ? text then
      v
    else
      literalExpression (
        lib.generators.toPretty {
          multiline = true;
          allowPrettyValues = true;
        } v
      );

  scrubOptionValue =
    x:
    if lib.attrsets.isDerivation x then
      {
        type = "derivation";
        drvPath = x.name;
        outPath = x.name;
        name = x.name;
      }
    else if isList x then
      map scrubOptionValue x
    else if isAttrs x then
      mapAttrs (_: scrubOptionValue) (removeAttrs x [ "_args" ])
    else
      x;

  optionAttrSetToDocList' =
    _prefix: options:
    concatMap (
      opt:
      let
        name = showOption opt.loc;
        visible = opt.visible or true;
        entry = {
          inherit (opt) loc;
          inherit name;
          description = opt.description or null;
          declarations = filter (file: file != unknownModule) opt.declarations;
          internal = opt.internal or false;
          visible = if isBool visible then visible else visible == "shallow";
          readOnly = opt.readOnly or false;
          type = opt.type.description or "unspecified";
        }
        // (
          if opt ? example then
            {
              example = builtins.addErrorContext "while evaluating the example of option `${name}`" (renderOptionValue opt.example);
            }
          else
            { }
        )
        // (
          if opt ? defaultText || opt ? default then
            {
              default = builtins.addErrorContext "while evaluating the ${
                if opt ? defaultText then "defaultText" else "default value"
              } of option `${name}`" (renderOptionValue (opt.defaultText or opt.default));
            }
          else
            { }
        )
        // (if (opt.relatedPackages or null) == null then { } else { inherit (opt) relatedPackages; });

        below = opt.type.getSubOptions opt.loc;
        # `shallow` and `transparent` speak of this option and those below it separately.
        shows = if visible == "transparent" then true else if isBool visible then visible else false;
        nested = if shows && below != { } then optionAttrSetToDocList' opt.loc below else [ ];
      in
      [ entry ] ++ nested
    ) (lib.attrsets.collect isOption options);
in
{
  inherit
    isOption
    literalExpression
    literalMD
    mergeEqualOption
    mergeUniqueOption
    mkOption
    optionAttrSetToDocList'
    renderOptionValue
    scrubOptionValue
    showDefs
    showFiles
    showOption
    unknownModule
    ;

  # ## declaring
  mkEnableOption =
    name:
    mkOption {
      default = false;
      example = true;
      description = "Whether to enable ${name}.";
      type = lib.types.bool;
    };

  mkPackageOption =
    pkgs: name:
    {
      # Path in `pkgs`; the option's name where it is not given, no default where it is null.
      default ? name,
      example ? null,
      extraDescription ? "",
      nullable ? false,
      pkgsText ? "pkgs",
    }:
    let
      name' = if isList name then lib.lists.last name else name;
      path = if isList default then default else [ default ];
      value = lib.attrsets.attrByPath path (throw "${concatStringsSep "." path} cannot be found in ${pkgsText}") pkgs;
      hasDefault = default != null;
    in
    mkOption (
      {
        type = if nullable then lib.types.nullOr lib.types.package else lib.types.package;
        description =
          "The ${name'} package to use."
          + (if extraDescription == "" then "" else " ${extraDescription}");
      }
      // (
        if hasDefault then
          {
            default = value;
            defaultText = literalExpression "${pkgsText}.${concatStringsSep "." path}";
          }
        else if nullable then
          { default = null; }
        else
          { }
      )
      // (
        if example == null then
          { }
        else
          {
            example = literalExpression (
              if isList example then "${pkgsText}.${concatStringsSep "." example}" else example
            );
          }
      )
    );

  # An option that swallows all definitions below it.
  mkSinkUndeclaredOptions =
    attrs:
    mkOption (
      {
        internal = true;
        visible = false;
        default = false;
        description = "Sink for option definitions.";
        type = lib.types.mkOptionType {
          name = "sink";
          check = _: true;
          merge = _: _: false;
        };
        apply = _: throw "Option value is not readable because the option is not declared.";
      }
      // attrs
    );

  literalCode = literalExpression;
  mdDoc = lib.trivial.id;

  # ## merging
  mergeOneOption = mergeUniqueOption { message = ""; };
  mergeDefaultOption =
    loc: defs:
    let
      values = map (def: def.value) defs;
    in
    if tail values == [ ] then
      head values
    else if all isFunction values then
      x: lib.options.mergeDefaultOption loc (map (f: { value = f x; file = unknownModule; }) values)
    else if all isList values then
      concatLists values
    else if all isAttrs values then
      foldl' (l: r: l // r) { } values
    else if all isBool values then
      builtins.any (x: x) values
    else if all isString values then
      concatStringsSep "" values
    else if all isInt values && all (x: x == head values) values then
      head values
    else
      throw "Cannot merge definitions of `${showOption loc}'. Definition values:${showDefs defs}";

  getValues = map (def: def.value);
  getFiles = map (def: def.file);

  # ## showing
  showOptionWithDefLocs = opt: "${showOption opt.loc}, with values defined in:\n${concatStringsSep "\n" (map (file: "  - ${file}") opt.files)}\n";
  optionAttrSetToDocList = optionAttrSetToDocList' [ ];
}
