# pkgs.formats: for a text format, the option type of its values (`type`) and how a value becomes a file (`generate`).
{ lib, final }:
let
  inherit (lib.types)
    attrsOf
    bool
    float
    int
    listOf
    nullOr
    oneOf
    path
    str
    ;
  write = text: name: final.writeText name text;

  # values as JSON has them
  tree =
    description: nullable:
    let
      value =
        (if nullable then nullOr else (t: t)) (oneOf [
          bool
          int
          float
          str
          path
          (attrsOf value)
          (listOf value)
        ])
        // {
          inherit description;
        };
    in
    value;

  iniAtom =
    nullOr (oneOf [
      bool
      int
      float
      str
    ])
    // {
      description = "INI atom (null, bool, int, float or string)";
    };

  # list values: repeated keys, or joined by a function of the caller
  withLists =
    atom: listsAsDuplicateKeys: listToValue:
    if listsAsDuplicateKeys then
      lib.types.coercedTo atom lib.singleton (listOf atom) // { description = atom.description + " or a list of them for duplicate keys"; }
    else if listToValue != null then
      lib.types.coercedTo atom lib.singleton (lib.types.nonEmptyListOf atom) // { description = atom.description + " or a non-empty list of them"; }
    else
      atom;

  joinLists =
    listToValue: lib.mapAttrs (_: v: if listToValue != null && lib.isList v then listToValue v else v);

  pick = names: args: lib.filterAttrs (n: _: lib.elem n names) args;
  generatorOptions = pick [
    "mkKeyValue"
    "mkSectionName"
    "listsAsDuplicateKeys"
  ];
in
{
  json = { }: {
    type = tree "JSON value" true;
    generate = name: value: write (import ./json.nix { inherit lib; } value) name;
  };

  yaml = { }: {
    type = tree "YAML value" true;
    generate = name: value: write (import ./yaml.nix { inherit lib; } value) name;
  };
  yaml_1_1 = final.formats.yaml;
  yaml_1_2 = final.formats.yaml;

  toml = { }: {
    type = tree "TOML value" false;
    generate = name: value: write (import ./toml.nix { inherit lib; } value) name;
  };

  ini =
    {
      listsAsDuplicateKeys ? false,
      listToValue ? null,
      atomsCoercedToLists ? null,
      ...
    }@args:
    {
      type = attrsOf (attrsOf (withLists iniAtom listsAsDuplicateKeys listToValue));
      lib.types.atom = iniAtom;
      generate =
        name: value:
        write (lib.generators.toINI (generatorOptions args) (lib.mapAttrs (_: joinLists listToValue) value)) name;
    };

  iniWithGlobalSection =
    {
      listsAsDuplicateKeys ? false,
      listToValue ? null,
      ...
    }@args:
    {
      type = lib.types.submodule {
        options = {
          sections = lib.mkOption {
            type = attrsOf (attrsOf (withLists iniAtom listsAsDuplicateKeys listToValue));
            default = { };
            description = "Sections of the file, by name.";
          };
          globalSection = lib.mkOption {
            type = attrsOf (withLists iniAtom listsAsDuplicateKeys listToValue);
            default = { };
            description = "What stands in front of the first section.";
          };
        };
      };
      lib.types.atom = iniAtom;
      generate =
        name:
        {
          sections ? { },
          globalSection ? { },
          ...
        }:
        write (lib.generators.toINIWithGlobalSection (generatorOptions args) {
          globalSection = joinLists listToValue globalSection;
          sections = lib.mapAttrs (_: joinLists listToValue) sections;
        }) name;
    };

  gitIni =
    {
      listsAsDuplicateKeys ? false,
      ...
    }:
    {
      type = attrsOf (attrsOf (lib.types.either (withLists iniAtom true null) (attrsOf (withLists iniAtom true null))));
      lib.types.atom = iniAtom;
      generate = name: value: write (lib.generators.toGitINI value) name;
    };

  systemd = final.formats.ini { listsAsDuplicateKeys = true; };

  keyValue =
    {
      listsAsDuplicateKeys ? false,
      listToValue ? null,
      ...
    }@args:
    {
      type = attrsOf (withLists iniAtom listsAsDuplicateKeys listToValue);
      lib.types.atom = iniAtom;
      generate =
        name: value:
        write (lib.generators.toKeyValue (generatorOptions args) (joinLists listToValue value)) name;
    };

  javaProperties =
    {
      comment ? "Generated with Nix",
      ...
    }:
    {
      type = attrsOf (oneOf [ bool int float str path ]);
      generate =
        name: value:
        write (
          "# ${comment}\n\n"
          + lib.concatStrings (
            lib.mapAttrsToList (
              key: v:
              let
                escape = lib.escape [ "\\" "=" ":" "#" "!" ];
              in
              "${escape key} = ${escape (lib.generators.mkValueStringDefault { } v)}\n"
            ) value
          )
        ) name;
    };

  # values that are written as code of the language
  lua = { asBindings ? false, multiline ? true, ... }: {
    type = tree "Lua value" true;
    generate =
      name: value:
      write (
        if asBindings then
          lib.generators.toLua { inherit asBindings multiline; } value
        else
          "return ${lib.generators.toLua { inherit multiline; } value}\n"
      ) name;
  };
}
