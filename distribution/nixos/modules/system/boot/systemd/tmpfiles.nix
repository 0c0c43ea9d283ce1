# Files and folders that systemd-tmpfiles makes, cleans and removes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.systemd.tmpfiles;

  entry = types.submodule (
    { name, ... }:
    {
      options = {
        type = mkOption {
          type = types.str;
          default = name;
          example = "d";
          description = "What to do with the path, as a letter (with flags) of {manpage}`tmpfiles.d(5)`.";
        };
        mode = mkOption {
          type = types.str;
          default = "-";
          example = "0755";
          description = "The access mode.";
        };
        user = mkOption {
          type = types.str;
          default = "-";
          description = "The owner.";
        };
        group = mkOption {
          type = types.str;
          default = "-";
          description = "The group.";
        };
        age = mkOption {
          type = types.str;
          default = "-";
          example = "10d";
          description = "The age at which files in it are cleaned away.";
        };
        argument = mkOption {
          type = types.str;
          default = "";
          description = "The argument, whose meaning depends on the type.";
        };
      };
    }
  );

  line =
    path: entry:
    "'${entry.type}' '${path}' '${entry.mode}' '${entry.user}' '${entry.group}' '${entry.age}' ${entry.argument}\n";

  file =
    paths:
    lib.concatStrings (
      lib.concatLists (
        lib.mapAttrsToList (path: types: lib.mapAttrsToList (_: line path) types) paths
      )
    );

  generated =
    lib.mapAttrs (name: file) cfg.settings
    // lib.optionalAttrs (cfg.rules != [ ]) {
      "00-system" = lib.concatMapStrings (rule: rule + "\n") cfg.rules;
    };
in
{
  options.systemd.tmpfiles = {
    rules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "d /tmp 1777 root root 10d" ];
      description = "Rules, as lines of {manpage}`tmpfiles.d(5)`.";
    };
    settings = mkOption {
      type = types.attrsOf (types.attrsOf (types.attrsOf entry));
      default = { };
      example = {
        "10-mypackage"."/var/lib/my-service/state".d = {
          mode = "0755";
          user = "root";
          group = "root";
        };
      };
      description = "Rules by file name, path and type.";
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages that bring rules in `lib/tmpfiles.d`.";
    };
  };

  config = {
    systemd.tmpfiles.settings."00-base" = {
      "/tmp".q = lib.mkDefault {
        mode = "1777";
        user = "root";
        group = "root";
        age = "10d";
      };
      "/var/tmp".q = {
        mode = "1777";
        user = "root";
        group = "root";
        age = "30d";
      };
      "/tmp/.X11-unix"."D!" = {
        mode = "1777";
        user = "root";
        group = "root";
        age = "10d";
      };
      "/run/lock".d = {
        mode = "0755";
        user = "root";
        group = "root";
      };
      "/run/user".d = {
        mode = "0755";
        user = "root";
        group = "root";
      };
      "/run/utmp".F = {
        mode = "0664";
        user = "root";
        group = "utmp";
      };
      "/run/nologin"."r!" = { };
      "/var/empty".d = {
        mode = "0555";
        user = "root";
        group = "root";
      };
      "/var/lib".d = {
        mode = "0755";
        user = "root";
        group = "root";
      };
      "/var/cache".d = {
        mode = "0755";
        user = "root";
        group = "root";
      };
      "/var/log".d = {
        mode = "0755";
        user = "root";
        group = "root";
      };
      "/var/log/wtmp".f = {
        mode = "0664";
        user = "root";
        group = "utmp";
      };
      "/var/log/btmp".f = {
        mode = "0660";
        user = "root";
        group = "utmp";
      };
      "/var/log/lastlog".f = {
        mode = "0664";
        user = "root";
        group = "utmp";
      };
      "/var/lock".L = {
        argument = "/run/lock";
      };
      "/var/run".L = {
        argument = "/run";
      };
      "/run/log/journal".z = {
        mode = "2755";
        user = "root";
        group = "systemd-journal";
      };
      "/var/log/journal".z = {
        mode = "2755";
        user = "root";
        group = "systemd-journal";
      };
      "/var/lib/systemd".d = {
        mode = "0755";
        user = "root";
        group = "root";
      };
      "/var/lib/systemd/coredump".d = {
        mode = "0755";
        user = "root";
        group = "root";
        age = "3d";
      };
    };

    # One folder: a generated file hides a package's file of the same name.
    environment.etc."tmpfiles.d".source =
      pkgs.runCommand "tmpfiles.d"
        {
          preferLocalBuild = true;
          allowSubstitutes = false;
          inherit (cfg) packages;
          files = lib.concatStrings (
            lib.mapAttrsToList (name: text: ''
              rm -f $out/${lib.escapeShellArg name}.conf
              cat > $out/${lib.escapeShellArg name}.conf <<'END_OF_RULES'
              ${text}END_OF_RULES
            '') generated
          );
          passAsFile = [ "files" ];
        }
        ''
          mkdir -p $out
          for package in $packages; do
            for rule in "$package"/lib/tmpfiles.d/*.conf; do
              if [ -e "$rule" ]; then ln -sf "$rule" $out/; fi
            done
          done
          . "$filesPath"
        '';
  };
}
