# security.wrappers: programs that run with other rights than their caller's. The store holds no setuid files, so copies
# with these bits are made in a folder of their own when the system starts.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.security;

  mode = types.strMatching "[ugoa]*([-+=][rwxXst]*|[ugo])+(,[ugoa]*([-+=][rwxXst]*|[ugo])+)*|[0-7]{3,4}";

  wrapper =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the program is there.";
        };
        program = mkOption {
          type = types.nullOr types.str;
          default = name;
          description = "The name of the program.";
        };
        source = mkOption {
          type = types.path;
          description = "The program that is copied. It has to be one file that needs nothing beside itself.";
        };
        owner = mkOption {
          type = types.str;
          description = "The owner.";
        };
        group = mkOption {
          type = types.str;
          description = "The group.";
        };
        permissions = mkOption {
          type = mode;
          default = "u+rx,g+x,o+x";
          example = "a+rx";
          description = "Who may run it.";
        };
        capabilities = mkOption {
          type = types.commas;
          default = "";
          example = "cap_net_raw+ep";
          description = "The capabilities that it has.";
        };
        setuid = mkOption {
          type = types.bool;
          default = false;
          description = "Whether it runs as its owner.";
        };
        setgid = mkOption {
          type = types.bool;
          default = false;
          description = "Whether it runs as its group.";
        };
      };
    };

  enabled = lib.filter (each: each.enable) (lib.attrValues cfg.wrappers);

  # Programs of the same owner and rights are made together: at boot, each process that is started counts.
  kinds = lib.attrValues (
    lib.groupBy (
      each:
      "${each.owner}:${each.group}:${rights each}:${each.capabilities}"
    ) enabled
  );
  rights =
    each: "u${if each.setuid then "+" else "-"}s,g${if each.setgid then "+" else "-"}s,${each.permissions}";

  install =
    kind:
    let
      q = lib.escapeShellArg;
      one = lib.head kind;
    in
    "made=()\n"
    + lib.concatMapStrings (each: "copy ${q each.source} ${q each.program}\n") kind
    + ''
      if [ ''${#made[@]} -gt 0 ]; then
        chown ${q "${one.owner}:${one.group}"} "''${made[@]}"
        ${lib.optionalString (one.capabilities != "") ''
          for program in "''${made[@]}"; do setcap ${q one.capabilities} "$program"; done
        ''}
        chmod ${q (rights one)} "''${made[@]}"
      fi
    '';

  script = ''
    parent=${dirOf cfg.wrapperDir}
    mkdir -p "$parent"
    chmod 0755 "$parent"
    # The new folder takes the place of the old one at once.
    folder=$(mktemp -d "$parent/wrappers.XXXXXXXXXX")
    # Nobody can run a copy before it has its owner and its mode.
    umask 0777
    copy() {
      if [ -e "$1" ]; then
        cp --no-preserve=all "$1" "$folder/$2"
        made+=("$folder/$2")
      else
        echo "security.wrappers: there is no $1" >&2
      fi
    }
    ${lib.concatMapStrings install kinds}
    umask 0022
    chmod a+rx "$folder"
    old=$(readlink ${cfg.wrapperDir} || true)
    ln -sfn "$folder" "$parent/.bin.tmp"
    mv -fT "$parent/.bin.tmp" ${cfg.wrapperDir}
    if [ -n "$old" ] && [ "$old" != "$folder" ]; then rm -rf "$old"; fi
  '';
in
{
  options.security = {
    enableWrappers = mkOption {
      type = types.bool;
      default = true;
      description = "Whether there are such programs.";
    };
    wrappers = mkOption {
      type = types.attrsOf (types.submodule wrapper);
      default = { };
      example = lib.literalExpression ''{ doas = { setuid = true; owner = "root"; group = "root"; source = "''${pkgs.doas}/bin/doas"; }; }'';
      description = "Programs with rights of their own, by name.";
    };
    wrapperDir = mkOption {
      type = types.path;
      default = "/run/wrappers/bin";
      internal = true;
      description = "The folder of these programs.";
    };
    wrapperDirSize = mkOption {
      type = types.str;
      default = "50%";
      description = "The size limit of that folder's file system.";
    };
  };

  config = lib.mkIf cfg.enableWrappers {
    security.wrappers =
      let
        root = source: {
          setuid = true;
          owner = "root";
          group = "root";
          inherit source;
        };
      in
      {
        mount = root "${pkgs.util-linux}/bin/mount";
        umount = root "${pkgs.util-linux}/bin/umount";
      }
      // lib.optionalAttrs (pkgs ? fuse3) {
        fusermount3 = root "${pkgs.fuse3}/bin/fusermount3";
      };

    # /run itself is mounted so that setuid bits in it have no effect.
    systemd.mounts = [
      {
        where = dirOf cfg.wrapperDir;
        what = "tmpfs";
        type = "tmpfs";
        options = "nodev,mode=755,size=${cfg.wrapperDirSize}";
        before = [ "local-fs.target" ];
        wantedBy = [ "local-fs.target" ];
        unitConfig.DefaultDependencies = false;
      }
    ];
    systemd.services.suid-sgid-wrappers = {
      description = "Create SUID/SGID Wrappers";
      wantedBy = [ "sysinit.target" ];
      before = [
        "sysinit.target"
        "shutdown.target"
      ];
      conflicts = [ "shutdown.target" ];
      after = [ "systemd-tmpfiles-setup.service" ];
      path = lib.optional (lib.any (each: each.capabilities != "") enabled) pkgs.libcap;
      unitConfig.DefaultDependencies = false;
      unitConfig.RequiresMountsFor = [
        "/nix/store"
        (dirOf cfg.wrapperDir)
      ];
      restartTriggers = map (each: each.source) enabled;
      serviceConfig.Type = "oneshot";
      serviceConfig.RemainAfterExit = true;
      inherit script;
    };

    assertions = map (each: {
      assertion = each.setuid || each.setgid -> each.capabilities == "";
      message = "security.wrappers.${each.program}: setuid and setgid cannot be combined with capabilities.";
    }) enabled;
  };
}
