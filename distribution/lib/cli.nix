# Command lines from sets of options.
{ lib }:
let
  inherit (builtins)
    attrValues
    concatLists
    concatMap
    isBool
    isList
    isString
    map
    mapAttrs
    stringLength
    toString
    ;
  inherit (lib.strings) escapeShellArgs;
  inherit (lib.trivial) warn;
  text = lib.generators.mkValueStringDefault { };

  toGNUCommandLine =
    {
      # One character is a short option.
      mkOptionName ? (k: if stringLength k == 1 then "-${k}" else "--${k}"),
      # How booleans, lists and the rest become arguments.
      mkBool ? (k: v: if v then [ (mkOptionName k) ] else [ ]),
      mkList ? (k: v: concatMap (mkOption k) v),
      mkOption ? (
        k: v:
        if v == null then
          [ ]
        else if optionValueSeparator == null then
          [
            (mkOptionName k)
            (text v)
          ]
        else
          [ "${mkOptionName k}${optionValueSeparator}${text v}" ]
      ),
      # Between name and value in one argument; two arguments where it is null.
      optionValueSeparator ? null,
    }:
    options:
    concatLists (
      attrValues (
        mapAttrs (k: v: if isBool v then mkBool k v else if isList v then mkList k v else mkOption k v) options
      )
    );

  # `optionFormat name` says `{ option, sep, explicitBool, formatArg }`: how the option is written, what stands before its value
  # (nothing where null: two arguments), whether booleans are values, and how values are written.
  toCommandLine =
    optionFormat: attrs:
    let
      one =
        name: value:
        let
          format = optionFormat name;
          inherit (format) option sep explicitBool;
          formatArg = format.formatArg or (if explicitBool then (v: if isBool v then lib.trivial.boolToString v else text v) else text);
          withValue =
            if sep == null then
              [
                option
                (formatArg value)
              ]
            else
              [ "${option}${sep}${formatArg value}" ];
        in
        if value == null then
          [ ]
        else if isList value then
          concatMap (one name) value
        else if isBool value && !explicitBool then
          (if value then [ option ] else [ ])
        else
          withValue;
    in
    concatLists (attrValues (mapAttrs one attrs));

  gnuFormat =
    {
      isLong ? (name: stringLength name > 1),
      explicitBool ? false,
      formatArg ? text,
    }:
    name: {
      option = if isLong name then "--${name}" else "-${name}";
      sep = if isLong name then "=" else "";
      inherit explicitBool formatArg;
    };
in
{
  inherit toCommandLine;
  toCommandLineShell = optionFormat: attrs: escapeShellArgs (toCommandLine optionFormat attrs);
  toCommandLineGNU = settings: toCommandLine (gnuFormat settings);
  toCommandLineShellGNU = settings: attrs: escapeShellArgs (toCommandLine (gnuFormat settings) attrs);

  toGNUCommandLine = warn "lib.cli.toGNUCommandLine is deprecated, please use lib.cli.toCommandLine or lib.cli.toCommandLineShellGNU instead." toGNUCommandLine;
  toGNUCommandLineShell = warn "lib.cli.toGNUCommandLineShell is deprecated, please use lib.cli.toCommandLineShell or lib.cli.toCommandLineShellGNU instead." (
    settings: options: escapeShellArgs (toGNUCommandLine settings options)
  );
}
