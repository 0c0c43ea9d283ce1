# services.openssh: the SSH server, its host keys, and authorized keys of users.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.openssh;

  # Lines of sshd_config: a list is joined with blanks, or with commas where sshd wants it so.
  commaSettings = [
    "Ciphers"
    "KexAlgorithms"
    "Macs"
    "HostKeyAlgorithms"
    "PubkeyAcceptedAlgorithms"
    "CASignatureAlgorithms"
  ];
  valueText =
    name: value:
    if value == true then
      "yes"
    else if value == false then
      "no"
    else if builtins.isList value then
      lib.concatStringsSep (if lib.elem name commaSettings then "," else " ") (map toString value)
    else
      toString value;
  settingsText = lib.concatStrings (
    lib.mapAttrsToList (
      name: value: lib.optionalString (value != null) "${name} ${valueText name value}\n"
    ) cfg.settings
  );

  keyFileText = user: lib.concatMapStrings (key: key + "\n") (
    user.openssh.authorizedKeys.keys
    ++ map (file: lib.trim (builtins.readFile file)) user.openssh.authorizedKeys.keyFiles
  );
  usersWithKeys = lib.filter (
    user:
    user.enable
    && (user.openssh.authorizedKeys.keys != [ ] || user.openssh.authorizedKeys.keyFiles != [ ])
  ) (lib.attrValues config.users.users);

  listen = lib.concatMapStrings (
    each:
    let
      port = if each.port == null then "" else ":${toString each.port}";
      host = if lib.hasInfix ":" each.addr && !(lib.hasPrefix "[" each.addr) then "[${each.addr}]" else each.addr;
    in
    "ListenAddress ${host}${port}\n"
  ) cfg.listenAddresses;

  text =
    # The settings come first: where sshd reads one twice, the first counts.
    settingsText
    + lib.optionalString (cfg.settings.Banner or null == null && cfg.banner != null) "Banner ${utils.textFile "sshd-banner" cfg.banner}\n"
    + "AddressFamily ${if config.networking.enableIPv6 then "any" else "inet"}\n"
    + lib.concatMapStrings (port: "Port ${toString port}\n") cfg.ports
    + listen
    + lib.optionalString cfg.allowSFTP "Subsystem sftp ${cfg.sftpServerExecutable} ${lib.concatStringsSep " " cfg.sftpFlags}\n"
    + "AuthorizedKeysFile ${toString cfg.authorizedKeysFiles}\n"
    + lib.optionalString (cfg.authorizedKeysCommand != "none") (
      "AuthorizedKeysCommand ${cfg.authorizedKeysCommand}\nAuthorizedKeysCommandUser ${cfg.authorizedKeysCommandUser}\n"
    )
    + lib.concatMapStrings (key: "HostKey ${key.path}\n") cfg.hostKeys
    + cfg.extraConfig;

  # sshd itself judges the file. It wants a host key to do so, and a throw-away one will do.
  checked =
    pkgs.runCommand "sshd.conf-final"
      {
        nativeBuildInputs = [ cfg.package ];
        inherit text;
        passAsFile = [ "text" ];
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      ''
        cp "$textPath" $out
        chmod u+w $out
        ssh-keygen -q -t ed25519 -f throw-away -N ""
        if ! ${cfg.package}/bin/sshd -t -f $out -h "$PWD/throw-away" 2> messages; then
          if grep -qv -e 'Could not load host key' -e 'Unable to load host key' -e 'Privilege separation user' -e 'Missing privilege separation directory' messages; then
            echo "services.openssh: sshd refuses this configuration:" >&2
            cat messages >&2
            exit 1
          fi
        fi
      '';

  userOptions.options.openssh.authorizedKeys = {
    keys = mkOption {
      type = types.listOf types.singleLineStr;
      default = [ ];
      example = [ "ssh-ed25519 AAAAC3NzaCetcetera/etceteraJZMfk3QPfQ foo@bar" ];
      description = "Public keys with which the user can log in.";
    };
    keyFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Files, read when the system is built, with such keys.";
    };
  };
  userOptions.options.openssh.authorizedPrincipals = mkOption {
    type = types.listOf types.singleLineStr;
    default = [ ];
    description = "Names on certificates with which the user can log in.";
  };

  tuned = description: mkOption {
    type = types.nullOr (types.listOf types.str);
    default = null;
    inherit description;
  };
in
{
  imports = [
    (lib.mkAliasOptionModule [ "services" "sshd" "enable" ] [ "services" "openssh" "enable" ])
    (lib.mkRenamedOptionModule
      [ "services" "openssh" "permitRootLogin" ]
      [ "services" "openssh" "settings" "PermitRootLogin" ]
    )
    (lib.mkRenamedOptionModule
      [ "services" "openssh" "passwordAuthentication" ]
      [ "services" "openssh" "settings" "PasswordAuthentication" ]
    )
    (lib.mkRenamedOptionModule
      [ "services" "openssh" "kbdInteractiveAuthentication" ]
      [ "services" "openssh" "settings" "KbdInteractiveAuthentication" ]
    )
    (lib.mkRenamedOptionModule
      [ "services" "openssh" "forwardX11" ]
      [ "services" "openssh" "settings" "X11Forwarding" ]
    )
    (lib.mkRenamedOptionModule
      [ "services" "openssh" "logLevel" ]
      [ "services" "openssh" "settings" "LogLevel" ]
    )
  ];

  options.services.openssh = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the SSH server runs.";
    };
    package = lib.mkPackageOption pkgs "openssh" { };
    startWhenNeeded = mkOption {
      type = types.bool;
      default = false;
      description = "Whether systemd starts the server for each connection.";
    };
    allowSFTP = mkOption {
      type = types.bool;
      default = true;
      description = "Whether files can be transferred by SFTP.";
    };
    sftpServerExecutable = mkOption {
      type = types.str;
      default = "internal-sftp";
      description = "The SFTP server. The one inside sshd needs no program in a user's reach.";
    };
    sftpFlags = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "-f AUTHPRIV" ];
      description = "Arguments of the SFTP server.";
    };
    ports = mkOption {
      type = types.listOf types.port;
      default = [ 22 ];
      description = "The ports to listen on.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the firewall lets connections to these ports in.";
    };
    listenAddresses = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            addr = mkOption {
              type = types.nullOr types.str;
              default = null;
              description = "The host name or address.";
            };
            port = mkOption {
              type = types.nullOr types.port;
              default = null;
              description = "The port; null means all of {option}`services.openssh.ports`.";
            };
          };
        }
      );
      default = [ ];
      example = [
        {
          addr = "192.168.3.1";
          port = 22;
        }
      ];
      description = "The addresses to listen on; all of them if empty.";
    };
    hostKeys = mkOption {
      type = types.listOf types.attrs;
      default = [
        {
          type = "rsa";
          bits = 4096;
          path = "/etc/ssh/ssh_host_rsa_key";
        }
        {
          type = "ed25519";
          path = "/etc/ssh/ssh_host_ed25519_key";
        }
      ];
      description = "The host keys. Those that are not there are made when the server first starts.";
    };
    generateHostKeys = mkOption {
      type = types.bool;
      default = true;
      description = "Whether missing host keys are made.";
    };
    banner = mkOption {
      type = types.nullOr types.lines;
      default = null;
      description = "A text to show before authentication.";
    };
    authorizedKeysFiles = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Files in which keys of a user are looked up; `%h` is the home folder, `%u` the name.";
    };
    authorizedKeysInHomedir = mkOption {
      type = types.bool;
      default = true;
      description = "Whether `~/.ssh/authorized_keys` is one of them.";
    };
    authorizedKeysCommand = mkOption {
      type = types.str;
      default = "none";
      description = "A program that prints keys of a user.";
    };
    authorizedKeysCommandUser = mkOption {
      type = types.str;
      default = "nobody";
      description = "The user that runs it.";
    };
    moduliFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A file of groups for the key exchange, in place of the one in the package.";
    };
    enableRecommendedAlgorithms = mkOption {
      type = types.bool;
      default = true;
      description = "Whether algorithms are restricted to those now recommended. Accepted; the package's own choice applies.";
    };
    knownHosts = mkOption {
      type = types.attrsOf types.attrs;
      default = { };
      visible = false;
      description = "See {option}`programs.ssh.knownHosts`.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for the end of `sshd_config`, such as `Match` blocks.";
    };
    settings = mkOption {
      default = { };
      example = {
        UseDns = true;
        PasswordAuthentication = false;
      };
      description = "Settings of {manpage}`sshd_config(5)`.";
      type = types.submodule {
        freeformType = types.attrsOf (
          types.nullOr (
            types.oneOf [
              types.str
              types.bool
              types.int
              types.path
              (types.listOf types.str)
            ]
          )
        );
        options = {
          PermitRootLogin = mkOption {
            type = types.nullOr (
              types.enum [
                "yes"
                "without-password"
                "prohibit-password"
                "forced-commands-only"
                "no"
              ]
            );
            default = "prohibit-password";
            description = "Whether, and how, root can log in.";
          };
          PasswordAuthentication = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether users can log in with their password.";
          };
          KbdInteractiveAuthentication = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether users can log in by answering PAM's questions.";
          };
          LogLevel = mkOption {
            type = types.nullOr (
              types.enum [
                "QUIET"
                "FATAL"
                "ERROR"
                "INFO"
                "VERBOSE"
                "DEBUG"
                "DEBUG1"
                "DEBUG2"
                "DEBUG3"
              ]
            );
            default = "INFO";
            description = "How much is logged.";
          };
          UsePAM = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether PAM authenticates and opens sessions.";
          };
          UseDns = mkOption {
            type = types.nullOr types.bool;
            default = false;
            description = "Whether the name of a client's address is looked up.";
          };
          X11Forwarding = mkOption {
            type = types.nullOr types.bool;
            default = false;
            description = "Whether X connections can be forwarded.";
          };
          PrintMotd = mkOption {
            type = types.nullOr types.bool;
            default = false;
            description = "Whether sshd itself prints `/etc/motd`.";
          };
          StrictModes = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether files and folders of a user that others can write to are refused.";
          };
          GatewayPorts = mkOption {
            type = types.nullOr types.str;
            default = "no";
            description = "Whether other machines can use forwarded ports.";
          };
          AllowUsers = tuned "The only users who can log in.";
          DenyUsers = tuned "Users who cannot log in.";
          AllowGroups = tuned "The only groups whose users can log in.";
          DenyGroups = tuned "Groups whose users cannot log in.";
          Ciphers = tuned "The ciphers. Null leaves the choice to the package.";
          KexAlgorithms = tuned "The key exchanges. Null leaves the choice to the package.";
          Macs = tuned "The message authentication codes. Null leaves the choice to the package.";
          AcceptEnv = tuned "Environment variables that clients may set.";
          Banner = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "A file to show before authentication.";
          };
          AuthorizedPrincipalsFile = mkOption {
            type = types.nullOr types.str;
            default = "none";
            description = "The file with the names on certificates that are accepted for a user.";
          };
        };
      };
    };
  };

  options.users.users = mkOption {
    type = types.attrsOf (types.submodule userOptions);
  };

  config = lib.mkMerge [
    {
      environment.etc = lib.listToAttrs (
        map (
          user:
          lib.nameValuePair "ssh/authorized_keys.d/${user.name}" {
            mode = "0444";
            text = keyFileText user;
          }
        ) usersWithKeys
      );
    }
    (lib.mkIf cfg.enable {
      users.users.sshd = {
        isSystemUser = true;
        group = "sshd";
        description = "SSH privilege separation user";
      };
      users.groups.sshd = { };

      services.openssh.authorizedKeysFiles =
        lib.optional cfg.authorizedKeysInHomedir "%h/.ssh/authorized_keys"
        ++ [ "/etc/ssh/authorized_keys.d/%u" ];
      services.openssh.settings.AuthorizedPrincipalsFile = lib.mkIf (lib.any (
        user: user.openssh.authorizedPrincipals != [ ]
      ) (lib.attrValues config.users.users)) "/etc/ssh/authorized_principals.d/%u";

      environment.etc = {
        "ssh/sshd_config".source = checked;
      }
      // lib.optionalAttrs (cfg.moduliFile != null) { "ssh/moduli".source = cfg.moduliFile; }
      // lib.mapAttrs' (
        _: user:
        lib.nameValuePair "ssh/authorized_principals.d/${user.name}" {
          mode = "0444";
          text = lib.concatMapStrings (name: name + "\n") user.openssh.authorizedPrincipals;
        }
      ) (lib.filterAttrs (_: user: user.openssh.authorizedPrincipals != [ ]) config.users.users);

      networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall cfg.ports;

      systemd.services =
        let
          common = {
            path = [
              cfg.package
              pkgs.gawk
            ];
            environment.LD_LIBRARY_PATH = lib.mkIf (
              config.system.nssModules.list != [ ]
            ) config.system.nssModules.path;
            # The package may want this folder for its unprivileged part.
            serviceConfig.RuntimeDirectory = "sshd";
            serviceConfig.RuntimeDirectoryPreserve = true;
            serviceConfig.RuntimeDirectoryMode = "0755";
          };
        in
        {
          sshd-keygen = lib.mkIf cfg.generateHostKeys {
            description = "SSH Host Keys Generation";
            path = [ cfg.package ];
            unitConfig.ConditionFileNotEmpty = map (key: "|!${key.path}") cfg.hostKeys;
            serviceConfig = {
              Type = "oneshot";
            };
            script = lib.concatMapStrings (key: ''
              key=${lib.escapeShellArg key.path}
              if ! [ -s "$key" ]; then
                if ! [ -h "$key" ]; then rm -f "$key"; fi
                mkdir -p -m 0755 "$(dirname "$key")"
                ssh-keygen -q -t ${lib.escapeShellArg key.type} ${
                  lib.optionalString (key ? bits) "-b ${toString key.bits}"
                } ${lib.optionalString (key ? rounds) "-a ${toString key.rounds}"} ${
                  lib.optionalString (key ? comment) "-C ${lib.escapeShellArg key.comment}"
                } -f "$key" -N ""
              fi
            '') cfg.hostKeys;
          };
        }
        // (
          if cfg.startWhenNeeded then
            {
              "sshd@" = lib.mkMerge [
                common
                {
                  description = "SSH per-connection Daemon";
                  after = [
                    "network.target"
                    "sshd-keygen.service"
                  ];
                  wants = [ "sshd-keygen.service" ];
                  stopIfChanged = false;
                  serviceConfig = {
                    ExecStart = "-${cfg.package}/bin/sshd -i -D -f /etc/ssh/sshd_config";
                    KillMode = "process";
                    StandardInput = "socket";
                    StandardError = "journal";
                  };
                }
              ];
            }
          else
            {
              sshd = lib.mkMerge [
                common
                {
                  description = "SSH Daemon";
                  wantedBy = [ "multi-user.target" ];
                  after = [
                    "network.target"
                    "sshd-keygen.service"
                  ];
                  wants = [ "sshd-keygen.service" ];
                  # Connections outlive the server, so there is no need to stop it for the time of a switch.
                  stopIfChanged = false;
                  restartTriggers = [ config.environment.etc."ssh/sshd_config".source ];
                  serviceConfig = {
                    Type = "simple";
                    Restart = "always";
                    ExecStart = "${cfg.package}/bin/sshd -D -f /etc/ssh/sshd_config";
                    ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
                    KillMode = "process";
                  };
                }
              ];
            }
        );

      systemd.sockets.sshd = lib.mkIf cfg.startWhenNeeded {
        description = "SSH Socket";
        wantedBy = [ "sockets.target" ];
        socketConfig.ListenStream =
          if cfg.listenAddresses != [ ] then
            lib.concatMap (
              each:
              if each.port != null then
                [ "${each.addr}:${toString each.port}" ]
              else
                map (port: "${each.addr}:${toString port}") cfg.ports
            ) cfg.listenAddresses
          else
            map toString cfg.ports;
        socketConfig.Accept = true;
        socketConfig.TriggerLimitIntervalSec = 0;
      };

      security.pam.services.sshd = {
        startSession = true;
        showMotd = true;
        unixAuth = cfg.settings.PasswordAuthentication == true;
      };

      assertions = [
        {
          assertion = lib.all (each: each.addr != null) cfg.listenAddresses;
          message = "addr must be specified in each listenAddresses entry";
        }
        {
          assertion = lib.all (key: key ? path && key ? type) cfg.hostKeys;
          message = "services.openssh.hostKeys: each key needs a `path` and a `type`.";
        }
      ];
    })
  ];
}
