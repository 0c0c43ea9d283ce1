# One folder with all units: those taken from packages, the generated ones, drop-ins, and the links that say which unit
# wants which. Links between units are relative, since systemd takes an absolute link for a unit of its own.
{
  lib,
  pkgs,
  utils,
}:
{
  name,
  # Attribute set of unit name → { text, unit, enable, overrideStrategy, wantedBy, requiredBy, upheldBy, aliases }.
  units,
  # The folder, inside systemd's package, of the upstream units, and the names to take; a name the package does not
  # have is passed over, as packages differ in which parts of systemd they carry.
  upstreamFolder ? null,
  upstreamUnits ? [ ],
  # All upstream names, also those left out: settings for one that is not there make no unit of their own.
  knownUnits ? upstreamUnits,
  # Packages that bring units, and the folder inside them.
  packages ? [ ],
  unitFolders ? [ ],
  # Link name → unit name, such as default.target → multi-user.target.
  links ? { },
}:
let
  inherit (lib) concatMapStrings concatStrings escapeShellArg mapAttrsToList optionalString;
  q = escapeShellArg;

  # End of a here-document: a word that no unit text holds on a line of its own.
  end = "END_OF_UNIT_TEXT";

  write =
    file: text: "cat > ${file} <<'${end}'\n${text}${optionalString (!lib.hasSuffix "\n" text) "\n"}${end}\n";

  # Whether a text says what the unit does, and not just changes one from a package.
  isWhole =
    unit:
    !(lib.elem unit.name knownUnits)
    || unit.unit != null
    || lib.any (key: lib.hasInfix "\n${key}" unit.text) [
      "Exec"
      "Listen"
      "On"
      "Path"
      "What="
      "Where="
    ];

  unitCommands =
    unit:
    let
      target = q unit.name;
      asFile =
        if unit.unit != null then
          "cp ${unit.unit}/${target} $out/${target}\n"
        else
          write "$out/${target}" unit.text;
      asDropin =
        "mkdir -p $out/${target}.d\n"
        + (
          if unit.unit != null then
            "cp ${unit.unit}/${target} $out/${target}.d/overrides.conf\n"
          else
            write "$out/${target}.d/overrides.conf" unit.text
        );
    in
    if !unit.enable then
      "rm -rf $out/${target} $out/${target}.d; ln -s /dev/null $out/${target}\n"
    else if unit.text == null && unit.unit == null then
      ""
    else if unit.overrideStrategy == "asDropin" then
      asDropin
    else
      "if [ -e $out/${target} ] || [ -L $out/${target} ]; then\n${asDropin}"
      + optionalString (isWhole unit) "else\n${asFile}"
      + "fi\n";

  linkCommands =
    unit:
    let
      into =
        kind: other:
        "want ${kind} ${q other} ${q unit.name}\n";
    in
    optionalString unit.enable (
      concatMapStrings (alias: "ln -sfn ${q unit.name} $out/${q alias}\n") unit.aliases
      + concatMapStrings (into "wants") unit.wantedBy
      + concatMapStrings (into "requires") unit.requiredBy
      + concatMapStrings (into "upholds") unit.upheldBy
    );

  all = lib.attrValues units;
in
pkgs.runCommand name
  {
    preferLocalBuild = true;
    allowSubstitutes = false;
    inherit upstreamUnits;
    unitCommands = concatStrings (map unitCommands all);
    linkCommands = concatStrings (map linkCommands all);
    passAsFile = [
      "unitCommands"
      "linkCommands"
    ];
  }
  ''
    mkdir -p $out
    shopt -s nullglob

    ${optionalString (upstreamFolder != null) ''
      for unit in $upstreamUnits; do
        source=${upstreamFolder}/$unit
        if [ -L "$source" ]; then
          # An alias: keep it a link, to the neighbour of that name.
          ln -s "$(basename "$(readlink "$source")")" "$out/$unit"
        elif [ -e "$source" ]; then
          ln -s "$source" "$out/$unit"
        fi
      done
      for unit in "$out"/*; do
        # An alias whose unit was not taken would be a dangling link.
        if [ -L "$unit" ] && [ ! -e "$unit" ]; then rm "$unit"; fi
      done
      for folder in ${upstreamFolder}/*.wants ${upstreamFolder}/*.requires; do
        for unit in "$folder"/*; do
          base=$(basename "$unit")
          template=''${base%@*}@.''${base##*.}
          if [ -e "$out/$base" ] || [ -e "$out/$template" ]; then
            mkdir -p "$out/$(basename "$folder")"
            ln -s "../$base" "$out/$(basename "$folder")/"
          fi
        done
      done
    ''}
    ${concatMapStrings (
      package:
      concatMapStrings (folder: ''
        for unit in ${package}/${folder}/*; do
          base=$(basename "$unit")
          if [ -d "$unit" ]; then
            mkdir -p "$out/$base"
            for part in "$unit"/*; do
              if [ "''${base##*.}" = d ]; then
                ln -sfn "$part" "$out/$base/"
              else
                ln -sfn "../$(basename "$part")" "$out/$base/"
              fi
            done
          elif [ -L "$unit" ] && [ "$(dirname "$(readlink "$unit")")" = . ]; then
            ln -sfn "$(readlink "$unit")" "$out/$base"
          else
            ln -sfn "$unit" "$out/$base"
          fi
        done
      '') unitFolders
    ) packages}
    . "$unitCommandsPath"
    ${concatStrings (
      mapAttrsToList (link: unit: "ln -sfn ${q unit} $out/${q link}\n") links
    )}
    # An instance is wanted by the name of its template.
    want() {
      template=''${3%%@*}@.''${3##*.}
      if [ -e "$out/$3" ] || [ -L "$out/$3" ] || [ -e "$out/$template" ]; then
        mkdir -p "$out/$2.$1"
        ln -sfn "../$3" "$out/$2.$1/"
      fi
    }
    . "$linkCommandsPath"
  ''
