# programs.git: git and its configuration for the whole system.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.programs.git;

  quote =
    value:
    if builtins.isBool value then
      lib.boolToString value
    else if builtins.isInt value then
      toString value
    else
      ''"${builtins.replaceStrings [ "\\" "\"" "\n" ] [ "\\\\" "\\\"" "\\n" ] (toString value)}"'';
  lines =
    settings:
    lib.concatStrings (
      lib.mapAttrsToList (
        key: value: lib.concatMapStrings (each: "\t${key} = ${quote each}\n") (lib.toList value)
      ) settings
    );
  isSection = value: builtins.isAttrs value && !(value ? outPath);
  section =
    name: settings:
    let
      direct = lib.filterAttrs (_: value: !isSection value) settings;
      inner = lib.filterAttrs (_: isSection) settings;
    in
    lib.optionalString (direct != { }) "[${name}]\n${lines direct}"
    + lib.concatStrings (
      lib.mapAttrsToList (sub: values: "[${name} ${quote sub}]\n${lines values}") inner
    );
  text = settings: lib.concatStrings (lib.mapAttrsToList section settings);
in
{
  options.programs.git = {
    enable = lib.mkEnableOption "git, a distributed version control system";
    package = lib.mkPackageOption pkgs "git" { };
    config = mkOption {
      type =
        let
          layer = types.attrsOf (types.attrsOf types.anything);
        in
        types.coercedTo (types.either layer (types.listOf layer)) lib.toList (types.listOf layer);
      default = [ ];
      example = {
        init.defaultBranch = "main";
        url."https://github.com/".insteadOf = [ "gh:" ];
      };
      description = "Settings of `/etc/gitconfig`.";
    };
    prompt.enable = lib.mkEnableOption "automatically sourcing git-prompt.sh";
    lfs = {
      enable = lib.mkEnableOption "git-lfs (Large File Storage)";
      package = mkOption {
        type = types.package;
        default = pkgs.git-lfs;
        defaultText = lib.literalExpression "pkgs.git-lfs";
        description = "The package.";
      };
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ] ++ lib.optional cfg.lfs.enable cfg.lfs.package;
    environment.etc.gitconfig = lib.mkIf (cfg.config != [ ]) {
      text = lib.concatMapStrings text cfg.config;
    };
  };
}
