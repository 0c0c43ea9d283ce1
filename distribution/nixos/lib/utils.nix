# What several modules need: names of systemd units for paths, file systems needed early, packages that may be absent.
# Modules receive it as the argument `utils`.
{ lib, pkgs }:
let
  inherit (lib) concatStrings stringToCharacters;

  safeCharacters = stringToCharacters "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.";

  # systemd-escape: every byte outside the safe ones becomes \xNN, and a slash becomes a dash.
  escapeByte =
    character:
    if character == "/" then
      "-"
    else if builtins.elem character safeCharacters then
      character
    else
      "\\x${hexadecimal.${character} or (throw "the character ${character} cannot be written in the name of a unit; use a path of plain ASCII characters")}";

  # The printable ASCII characters outside the safe ones.
  hexadecimal = {
    " " = "20";
    "!" = "21";
    "\"" = "22";
    "#" = "23";
    "$" = "24";
    "%" = "25";
    "&" = "26";
    "'" = "27";
    "(" = "28";
    ")" = "29";
    "*" = "2a";
    "+" = "2b";
    "," = "2c";
    "-" = "2d";
    ";" = "3b";
    "<" = "3c";
    "=" = "3d";
    ">" = "3e";
    "?" = "3f";
    "@" = "40";
    "[" = "5b";
    "\\" = "5c";
    "]" = "5d";
    "^" = "5e";
    "`" = "60";
    "{" = "7b";
    "|" = "7c";
    "}" = "7d";
    "~" = "7e";
  };

  trimSlashes =
    path:
    lib.concatStringsSep "/" (builtins.filter (part: part != "") (lib.splitString "/" (toString path)));
in
rec {
  # The unit name (without its suffix) that systemd gives to a path: /var/lib/a-b becomes var-lib-a\x2db.
  escapeSystemdPath =
    path:
    let
      trimmed = trimSlashes path;
      characters = map escapeByte (stringToCharacters trimmed);
    in
    if trimmed == "" then
      "-"
    else if lib.hasPrefix "." trimmed then
      "\\x2e" + concatStrings (lib.tail characters)
    else
      concatStrings characters;

  # One argument of ExecStart=, quoted so that systemd hands it over unchanged.
  escapeSystemdExecArg =
    argument:
    let
      text =
        if builtins.isPath argument then
          "${argument}"
        else if builtins.isString argument || lib.isDerivation argument then
          "${argument}"
        else if builtins.isInt argument || builtins.isFloat argument then
          toString argument
        else
          throw "escapeSystemdExecArg: a string, a path, a package or a number is needed, not a ${builtins.typeOf argument}";
    in
    builtins.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON text);

  escapeSystemdExecArgs = lib.concatMapStringsSep " " escapeSystemdExecArg;

  # Mount points without which the machine cannot start.
  pathsNeededForBoot = [
    "/"
    "/nix"
    "/nix/store"
    "/var"
    "/var/log"
    "/var/lib"
    "/var/lib/nixos"
    "/etc"
    "/usr"
  ];

  fsNeededForBoot = fs: fs.neededForBoot || builtins.elem fs.mountPoint pathsNeededForBoot;

  # The path of a login shell, given as a package with `shellPath` or as a path.
  toShellPath =
    shell:
    if lib.types.shellPackage.check shell then
      "/run/current-system/sw${shell.shellPath}"
    else if lib.types.package.check shell then
      throw "${shell} is not a shell package: it has no passthru.shellPath"
    else
      shell;

  # Those of the named packages that this package set has.
  available = names: map (name: pkgs.${name}) (builtins.filter (name: pkgs ? ${name}) names);

  # A text file in the store. Text that mentions no derivation needs no build.
  textFile =
    name: text:
    if builtins.hasContext text then pkgs.writeText name text else builtins.toFile name text;

  # A name that the store accepts, made from any text.
  storeName =
    text:
    let
      allowed = stringToCharacters "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=";
      clean = concatStrings (
        map (character: if builtins.elem character allowed then character else "-") (
          stringToCharacters text
        )
      );
    in
    if lib.hasPrefix "." clean then "_" + clean else clean;
}
