# environment.etc: files below /etc, each a link to the store or a copy with its own owner and mode.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;

  entry =
    {
      name,
      config,
      options,
      ...
    }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the file exists.";
        };
        target = mkOption {
          type = types.str;
          description = "The path of the file, relative to `/etc`.";
        };
        text = mkOption {
          type = types.nullOr types.lines;
          default = null;
          description = "The text of the file.";
        };
        source = mkOption {
          type = types.path;
          description = "The file or folder that it is a link to, or a copy of.";
        };
        mode = mkOption {
          type = types.str;
          default = "symlink";
          example = "0600";
          description = "`symlink` for a link; an octal mode for a copy with that mode.";
        };
        uid = mkOption {
          type = types.int;
          default = 0;
          description = "The number of the owner of a copy.";
        };
        gid = mkOption {
          type = types.int;
          default = 0;
          description = "The number of the group of a copy.";
        };
        user = mkOption {
          type = types.str;
          default = "+${toString config.uid}";
          description = "The owner of a copy: a name, or a number after a plus sign. Decides over `uid`.";
        };
        group = mkOption {
          type = types.str;
          default = "+${toString config.gid}";
          description = "The group of a copy: a name, or a number after a plus sign. Decides over `gid`.";
        };
      };
      config = {
        target = lib.mkDefault name;
        source = lib.mkIf (config.text != null) (
          lib.mkDerivedConfig options.text (utils.textFile ("etc-" + utils.storeName (baseNameOf name)))
        );
      };
    };

  entries = lib.filter (entry: entry.enable) (lib.attrValues config.environment.etc);
  targets = map (entry: entry.target) entries;

  # A number that stands for root needs no looking up.
  account = name: if name == "+0" then "root" else name;

  # A path from the folder of an option's default can be a path value: it goes into the store.
  inStore = source: "${source}";

  specification = map (entry: {
    inherit (entry) target mode;
    source = inStore entry.source;
    user = account entry.user;
    group = account entry.group;
  }) (lib.sort (a: b: a.target < b.target) entries);
in
{
  options.environment.etc = mkOption {
    type = types.attrsOf (types.submodule entry);
    default = { };
    example = lib.literalExpression ''
      {
        "motd".text = "Welcome.";
        "app/secret.conf" = { source = ./secret.conf; mode = "0440"; };
      }
    '';
    description = "Files below `/etc`.";
  };

  options.system.etc.specification = mkOption {
    type = types.listOf types.attrs;
    internal = true;
    readOnly = true;
    description = "The files below /etc in the form that activation takes.";
  };

  config = {
    system.etc.specification = specification;

    # The tree as links, for people and tools to look at.
    system.build.etc =
      pkgs.runCommand "etc"
        {
          preferLocalBuild = true;
          allowSubstitutes = false;
          links = lib.concatMapStrings (
            entry:
            let
              target = lib.escapeShellArg entry.target;
            in
            "put ${target} ${lib.escapeShellArg entry.source}\n"
          ) specification;
          passAsFile = [ "links" ];
        }
        ''
          mkdir -p $out/etc
          put() {
            mkdir -p "$out/etc/$(dirname "$1")"
            if [ -e "$out/etc/$1" ] || [ -L "$out/etc/$1" ]; then
              echo "environment.etc: two files are both meant to be /etc/$1" >&2
              exit 1
            fi
            ln -s "$2" "$out/etc/$1"
          }
          . "$linksPath"
        '';

    assertions = [
      {
        assertion = lib.length (lib.unique targets) == lib.length targets;
        message = "environment.etc: several files have the same target: ${
          lib.concatStringsSep ", " (
            lib.unique (lib.filter (target: lib.count (other: other == target) targets > 1) targets)
          )
        }.";
      }
    ]
    ++ map (entry: {
      assertion =
        entry.mode == "symlink"
        || entry.mode == "direct-symlink"
        || builtins.match "[0-7]{3,4}" entry.mode != null;
      message = "environment.etc.\"${entry.target}\".mode is \"${entry.mode}\": it has to be \"symlink\", \"direct-symlink\" or an octal mode such as \"0440\".";
    }) entries;
  };
}
