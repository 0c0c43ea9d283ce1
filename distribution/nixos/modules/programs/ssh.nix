# programs.ssh: the SSH client's configuration for the whole system.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.programs.ssh;

  knownHost =
    { name, config, ... }:
    {
      options = {
        certAuthority = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the key is that of an authority which signs host keys.";
        };
        hostNames = mkOption {
          type = types.listOf types.str;
          default = [ name ] ++ config.extraHostNames;
          defaultText = lib.literalExpression "[ name ] ++ config.extraHostNames";
          description = "Names and addresses of the host.";
        };
        extraHostNames = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Names besides that of the attribute.";
        };
        publicKey = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The public key.";
        };
        publicKeyFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          description = "A file with the public key.";
        };
      };
    };
in
{
  options.programs.ssh = {
    package = lib.mkPackageOption pkgs "openssh" { };
    startAgent = mkOption {
      type = types.bool;
      default = false;
      description = "Whether an agent that keeps keys runs for each user.";
    };
    agentTimeout = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "1h";
      description = "How long the agent keeps keys.";
    };
    enableAskPassword = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a window asks for passwords. Accepted.";
    };
    forwardX11 = mkOption {
      type = types.nullOr types.bool;
      default = false;
      description = "Whether X connections are forwarded.";
    };
    setXAuthLocation = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the client knows where xauth is. Accepted.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for `ssh_config`.";
    };
    knownHosts = mkOption {
      type = types.attrsOf (types.submodule knownHost);
      default = { };
      description = "Keys of hosts.";
    };
    knownHostsFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Files with keys of hosts.";
    };
    ciphers = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      description = "The ciphers.";
    };
    kexAlgorithms = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      description = "The key exchanges.";
    };
    macs = mkOption {
      type = types.nullOr (types.listOf types.str);
      default = null;
      description = "The message authentication codes.";
    };
    hostKeyAlgorithms = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "The types of host keys.";
    };
    pubkeyAcceptedKeyTypes = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "The types of user keys.";
    };
  };

  config = {
    environment.systemPackages = [ cfg.package ];
    environment.etc = {
      "ssh/ssh_config".text =
        cfg.extraConfig
        + "\nHost *\n"
        + "GlobalKnownHostsFile ${
          lib.concatStringsSep " " ([ "/etc/ssh/ssh_known_hosts" ] ++ map toString cfg.knownHostsFiles)
        }\n"
        + lib.optionalString (!config.networking.enableIPv6) "AddressFamily inet\n"
        + lib.optionalString (cfg.forwardX11 != null) "ForwardX11 ${if cfg.forwardX11 then "yes" else "no"}\n"
        + lib.optionalString (cfg.hostKeyAlgorithms != [ ]) "HostKeyAlgorithms ${lib.concatStringsSep "," cfg.hostKeyAlgorithms}\n"
        + lib.optionalString (cfg.pubkeyAcceptedKeyTypes != [ ]) "PubkeyAcceptedKeyTypes ${lib.concatStringsSep "," cfg.pubkeyAcceptedKeyTypes}\n"
        + lib.optionalString (cfg.kexAlgorithms != null) "KexAlgorithms ${lib.concatStringsSep "," cfg.kexAlgorithms}\n"
        + lib.optionalString (cfg.ciphers != null) "Ciphers ${lib.concatStringsSep "," cfg.ciphers}\n"
        + lib.optionalString (cfg.macs != null) "MACs ${lib.concatStringsSep "," cfg.macs}\n";
      "ssh/ssh_known_hosts".text = lib.concatStrings (
        lib.mapAttrsToList (
          _: host:
          "${lib.optionalString host.certAuthority "@cert-authority "}${lib.concatStringsSep "," host.hostNames} ${
            if host.publicKey != null then host.publicKey else lib.trim (builtins.readFile host.publicKeyFile)
          }\n"
        ) cfg.knownHosts
      );
    };

    systemd.user.services.ssh-agent = lib.mkIf cfg.startAgent {
      description = "SSH Agent";
      wantedBy = [ "default.target" ];
      unitConfig.ConditionUser = "!@system";
      serviceConfig = {
        ExecStartPre = "${pkgs.coreutils}/bin/rm -f %t/ssh-agent";
        ExecStart =
          "${cfg.package}/bin/ssh-agent -D "
          + lib.optionalString (cfg.agentTimeout != null) "-t ${cfg.agentTimeout} "
          + "-a %t/ssh-agent";
      };
    };
    environment.extraInit = lib.optionalString cfg.startAgent ''
      if [ -z "$SSH_AUTH_SOCK" ] && [ -n "$XDG_RUNTIME_DIR" ]; then
        export SSH_AUTH_SOCK="$XDG_RUNTIME_DIR/ssh-agent"
      fi
    '';

    assertions = lib.mapAttrsToList (name: host: {
      assertion = (host.publicKey == null) != (host.publicKeyFile == null);
      message = "programs.ssh.knownHosts.${name} must contain either a publicKey or publicKeyFile";
    }) cfg.knownHosts;
  };
}
