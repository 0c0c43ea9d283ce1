# networking.nftables: tables of packet filter rules, loaded as one transaction.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking.nftables;

  table =
    { name, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the table is loaded.";
        };
        name = mkOption {
          type = types.str;
          default = name;
          description = "The name of the table.";
        };
        content = mkOption {
          type = types.lines;
          description = "What is in the table, in nftables' language.";
        };
        family = mkOption {
          type = types.enum [
            "ip"
            "ip6"
            "inet"
            "arp"
            "bridge"
            "netdev"
          ];
          description = "The address family of the table.";
        };
      };
    };

  enabled = lib.filter (table: table.enable) (lib.attrValues cfg.tables);

  # A table is made (so that deleting it cannot fail), deleted and made anew, all in one transaction.
  replaceTable = table: ''
    table ${table.family} ${table.name}
    delete table ${table.family} ${table.name}
    table ${table.family} ${table.name} {
    ${table.content}
    }
  '';
  removeTable = table: ''
    table ${table.family} ${table.name}
    delete table ${table.family} ${table.name}
  '';

  text =
    "#!${pkgs.nftables}/bin/nft -f\n"
    + lib.optionalString cfg.flushRuleset "flush ruleset\n"
    + lib.concatMapStrings replaceTable enabled
    + cfg.ruleset
    + lib.optionalString (cfg.rulesetFile != null) ''
      include "${cfg.rulesetFile}"
    '';

  rules = pkgs.writeTextFile {
    name = "nftables-rules";
    executable = true;
    inherit text;
  };

  deletions = pkgs.writeText "nftables-deletions" (
    (if cfg.flushRuleset then "flush ruleset\n" else lib.concatMapStrings removeTable enabled) + cfg.extraDeletions
  );

  # Tables of an earlier configuration go away too: what was loaded is remembered.
  load = pkgs.writeScript "nftables-load" ''
    #!${pkgs.runtimeShell} -e
    old=/var/lib/nftables/deletions.nft
    {
      if [ -e "$old" ]; then cat "$old"; fi
      cat ${rules}
    } | ${pkgs.nftables}/bin/nft -f -
    ${pkgs.coreutils}/bin/install -D -m 0600 ${deletions} "$old"
  '';
  unload = pkgs.writeScript "nftables-unload" ''
    #!${pkgs.runtimeShell} -e
    ${pkgs.nftables}/bin/nft -f ${deletions}
    ${pkgs.coreutils}/bin/rm -f /var/lib/nftables/deletions.nft
  '';
in
{
  options.networking.nftables = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the rules are loaded.";
    };
    checkRuleset = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the rules are checked when the system is built. Accepted; they are checked when they are loaded.";
    };
    checkRulesetRedirects = mkOption {
      type = types.attrsOf types.path;
      default = { };
      description = "Paths that the check replaces by others. Accepted.";
    };
    preCheckRuleset = mkOption {
      type = types.lines;
      default = "";
      description = "Shell text before the check. Accepted.";
    };
    flattenRulesetFile = mkOption {
      type = types.bool;
      default = false;
      description = "Whether included files become part of the rules. Accepted.";
    };
    flushRuleset = lib.mkEnableOption "flushing the entire ruleset on each reload";
    extraDeletions = mkOption {
      type = types.lines;
      default = "";
      example = "table inet some-table;\ndelete table inet some-table;";
      description = "Rules that delete what {option}`networking.nftables.ruleset` makes.";
    };
    ruleset = mkOption {
      type = types.lines;
      default = "";
      description = "Rules, in nftables' language, besides those of the tables.";
    };
    rulesetFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A file with further rules.";
    };
    tables = mkOption {
      type = types.attrsOf (types.submodule table);
      default = { };
      example = lib.literalExpression ''{ filter = { family = "inet"; content = "chain input { … }"; }; }'';
      description = "Tables, by name. Each is replaced as a whole when it changes, and removed when it is gone.";
    };
  };

  config = lib.mkIf cfg.enable {
    boot.blacklistedKernelModules = [ "ip_tables" ];
    environment.systemPackages = [ pkgs.nftables ];
    boot.kernelModules = [ "nf_tables" ];

    systemd.services.nftables = {
      description = "nftables firewall";
      after = [ "sysinit.target" ];
      before = [
        "network-pre.target"
        "shutdown.target"
      ];
      conflicts = [ "shutdown.target" ];
      wants = [ "network-pre.target" ];
      wantedBy = [ "multi-user.target" ];
      # New rules take the place of the old ones at once, without a moment of none.
      reloadIfChanged = true;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = load;
        ExecReload = load;
        ExecStop = unload;
        StateDirectory = "nftables";
      };
      unitConfig.DefaultDependencies = false;
    };
  };
}
