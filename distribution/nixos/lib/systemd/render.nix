# Text of unit files: settings to lines, lines to sections.
{ lib }:
let
  scalar =
    value:
    if value == true then
      "true"
    else if value == false then
      "false"
    else
      toString value;

  # A list gives one line for each element; null gives none.
  line =
    name: value:
    if value == null then
      ""
    else if builtins.isList value then
      lib.concatMapStrings (line name) value
    else
      "${name}=${scalar value}\n";
in
rec {
  inherit scalar;

  settings = attributes: lib.concatStrings (lib.mapAttrsToList line attributes);

  # An empty section is left out.
  section =
    name: attributes:
    let
      text = settings attributes;
    in
    lib.optionalString (text != "") "[${name}]\n${text}\n";

  # Environment= lines, quoted as systemd reads them.
  environment =
    variables:
    lib.concatStrings (
      lib.mapAttrsToList (
        name: value:
        lib.optionalString (value != null) "Environment=${builtins.toJSON "${name}=${toString value}"}\n"
      ) variables
    );
}
