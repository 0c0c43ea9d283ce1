# pkgs.formats: the text each makes of a value.
{
  pkgs,
  lib,
  system,
}:
let
  inherit (pkgs) formats;
  text = format: value: (format.generate "x" value).text;
  value = {
    name = "a b";
    number = 1;
    list = [
      1
      2
    ];
    nested.on = true;
  };
in
{
  json-reads-back = builtins.fromJSON (text (formats.json { }) value) == value;
  json-null = builtins.fromJSON (text (formats.json { }) { a = null; }) == { a = null; };
  json-empty = text (formats.json { }) { } == "{}\n";
  toml-reads-back = builtins.fromTOML (text (formats.toml { }) value) == value;
  toml-tables =
    let
      v = {
        a.b.c = 1;
        list = [
          { x = 1; }
          {
            x = 2;
            y.z = "q";
          }
        ];
        "odd key" = "\"quoted\"";
        float = 1.5;
        empty = { };
        none = [ ];
      };
    in
    builtins.fromTOML (text (formats.toml { }) v) == v;
  toml-drops-null = builtins.fromTOML (text (formats.toml { }) { a = null; b = 1; }) == { b = 1; };
  yaml = text (formats.yaml { }) value == ''
    list:
      - 1
      - 2
    name: "a b"
    nested:
      "on": true
    number: 1
  '';
  yaml-words-that-are-no-text = text (formats.yaml { }) { a = "yes"; b = "null"; c = "plain"; } == "a: \"yes\"\nb: \"null\"\nc: plain\n";
  yaml-scalar = text (formats.yaml { }) 5 == "5\n";
  ini = text (formats.ini { }) { s.k = 1; s.b = true; } == "[s]\nb=true\nk=1\n";
  ini-lists = text (formats.ini { listsAsDuplicateKeys = true; }) { s.k = [ 1 2 ]; } == "[s]\nk=1\nk=2\n";
  ini-joined-lists = text (formats.ini { listToValue = lib.concatMapStringsSep ", " toString; }) { s.k = [ 1 2 ]; } == "[s]\nk=1, 2\n";
  ini-with-globals =
    text (formats.iniWithGlobalSection { }) { globalSection.g = 1; sections.s.k = 2; } == "g=1\n\n[s]\nk=2\n";
  key-value = text (formats.keyValue { }) { a = 1; b = "x"; } == "a=1\nb=x\n";
  systemd = text formats.systemd { Unit.After = [ "a" "b" ]; } == "[Unit]\nAfter=a\nAfter=b\n";
  types-accept = (formats.json { }).type.check value && (formats.toml { }).type.check value;
  types-refuse = !(formats.json { }).type.check (x: x);
}
