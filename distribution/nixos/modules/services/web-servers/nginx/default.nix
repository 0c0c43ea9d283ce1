# services.nginx: the web server. render.nix writes its configuration; nginx itself checks it when the system is built.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.nginx;
  render = import ./render.nix {
    inherit
      lib
      pkgs
      utils
      cfg
      config
      ;
  };

  text = render { };

  # What the check does differently: ports that anybody may listen on, and paths that exist where a build runs.
  checkText = render {
    forCheck = true;
    shiftPort = port: if port < 1024 then port + 20000 else port;
  };

  # A file that is only on the machine, a name that only the machine can look up: these the check cannot judge.
  configFile =
    if cfg.validateConfigFile then
      pkgs.runCommand "nginx.conf"
        {
          inherit text checkText;
          passAsFile = [
            "text"
            "checkText"
          ];
          preferLocalBuild = true;
          allowSubstitutes = false;
        }
        ''
          cp "$textPath" $out
          mkdir -p logs
          if ! ${cfg.package}/bin/nginx -t -e stderr -p "$PWD" -c "$checkTextPath" > messages 2>&1; then
            if grep -q -e 'host not found in' -e 'No such file or directory' -e 'Address family not supported' -e 'Cannot assign requested address' messages \
              && ! grep -q -e 'unknown directive' -e 'unexpected' -e 'invalid number of arguments' -e 'is duplicate' messages; then
              # what it misses after reading all of it are folders that its service makes
              if ! grep -q 'syntax is ok' messages; then
                echo "nginx.conf could only be checked in part:" >&2
                cat messages >&2
              fi
            else
              echo "services.nginx: nginx refuses this configuration (line numbers are those of $out):" >&2
              cat messages >&2
              cat -n "$checkTextPath" >&2
              exit 1
            fi
          fi
        ''
    else
      utils.textFile "nginx.conf" text;

  configPath = if cfg.enableReload then "/etc/nginx/nginx.conf" else "${configFile}";

  bool =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
  lines =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };
in
{
  options.services.nginx = {
    enable = lib.mkEnableOption "Nginx Web Server";
    package = lib.mkPackageOption pkgs "nginx" { };
    validateConfigFile = mkOption {
      type = types.bool;
      default = true;
      description = "Whether nginx checks its configuration when the system is built.";
    };
    additionalModules = mkOption {
      type = types.listOf (types.attrsOf types.anything);
      default = [ ];
      description = "Modules to build into nginx. The package is ready-made here; load modules with {option}`services.nginx.prependConfig`.";
    };
    user = mkOption {
      type = types.str;
      default = "nginx";
      description = "The user that nginx runs as.";
    };
    group = mkOption {
      type = types.str;
      default = "nginx";
      description = "The group that nginx runs as.";
    };
    enableReload = bool "Whether a changed configuration is read again by the running nginx, which is not restarted for it.";
    enableQuicBPF = bool "Whether QUIC packets are directed by BPF. Accepted.";
    statusPage = bool "Whether `/nginx_status`, on the machine itself, shows what nginx does.";
    recommendedTlsSettings = bool "Whether recommended settings for TLS are made.";
    recommendedOptimisation = bool "Whether recommended settings for speed are made.";
    recommendedGzipSettings = bool "Whether answers are compressed, with recommended settings.";
    recommendedProxySettings = bool "Whether recommended settings are made where nginx passes requests on.";
    recommendedUwsgiSettings = bool "Whether recommended settings for uWSGI are made. Accepted.";
    recommendedBrotliSettings = bool "Whether answers are compressed with Brotli. Accepted; this nginx has no such module.";
    experimentalZstdSettings = bool "Whether answers are compressed with Zstandard. Accepted; this nginx has no such module.";
    proxyTimeout = mkOption {
      type = types.str;
      default = "60s";
      example = "20s";
      description = "How long to wait for servers that requests are passed on to.";
    };
    uwsgiTimeout = mkOption {
      type = types.str;
      default = "60s";
      description = "How long to wait for uWSGI servers. Accepted.";
    };
    proxyResolveWhileRunning = bool "Whether names in `proxyPass` are looked up while nginx runs.";
    uwsgiResolveWhileRunning = bool "Whether names in `uwsgiPass` are looked up while nginx runs. Accepted.";
    defaultListen = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            addr = mkOption {
              type = types.str;
              description = "The address.";
            };
            port = mkOption {
              type = types.nullOr types.port;
              default = null;
              description = "The port.";
            };
            ssl = mkOption {
              type = types.nullOr types.bool;
              default = null;
              description = "Whether connections use TLS. Null means both, as a host's options have it.";
            };
            proxyProtocol = bool "Whether connections begin with the PROXY protocol.";
            extraParameters = mkOption {
              type = types.listOf types.str;
              default = [ ];
              description = "Further parameters of the `listen` directive.";
            };
          };
        }
      );
      default = [ ];
      description = "Where hosts listen that do not say it themselves.";
    };
    defaultListenAddresses = mkOption {
      type = types.listOf types.str;
      default = [ "0.0.0.0" ] ++ lib.optional config.networking.enableIPv6 "[::0]";
      defaultText = lib.literalExpression ''[ "0.0.0.0" ] ++ lib.optional config.networking.enableIPv6 "[::0]"'';
      example = [ "10.0.0.12" ];
      description = "The addresses that hosts listen on which do not say it themselves.";
    };
    defaultHTTPListenPort = mkOption {
      type = types.port;
      default = 80;
      example = 8080;
      description = "The port without TLS.";
    };
    defaultSSLListenPort = mkOption {
      type = types.port;
      default = 443;
      example = 8443;
      description = "The port with TLS.";
    };
    defaultMimeTypes = mkOption {
      type = types.path;
      default = "${cfg.package}/etc/nginx/mime.types";
      defaultText = lib.literalExpression ''"''${config.services.nginx.package}/etc/nginx/mime.types"'';
      description = "The file of media types.";
    };
    logError = mkOption {
      type = types.str;
      default = "stderr";
      description = "Where errors are logged, and from which level on.";
    };
    preStart = lines "Shell text before nginx starts.";
    config = mkOption {
      type = types.str;
      default = "";
      description = "The whole configuration, in place of the other options.";
    };
    prependConfig = lines "Lines for the beginning of the configuration.";
    appendConfig = lines "Lines for the end of the configuration.";
    commonHttpConfig = mkOption {
      type = types.lines;
      default = "";
      example = "resolver 127.0.0.1 valid=5s;";
      description = "Lines for the `http` block, before its hosts.";
    };
    httpConfig = lines "The `http` block, in place of the options for it.";
    streamConfig = mkOption {
      type = types.lines;
      default = "";
      example = "server { listen 127.0.0.1:53 udp; proxy_pass 192.168.0.1:53; }";
      description = "The `stream` block.";
    };
    eventsConfig = lines "The `events` block.";
    appendHttpConfig = lines "Lines for the end of the `http` block.";
    serverTokens = bool "Whether answers tell the version of nginx.";
    clientMaxBodySize = mkOption {
      type = types.str;
      default = "10m";
      description = "The largest body of a request.";
    };
    sslCiphers = mkOption {
      type = types.nullOr (types.either types.str (types.listOf types.str));
      apply = value: if builtins.isList value then lib.concatStringsSep ":" value else value;
      default = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
      description = "The ciphers of TLS 1.2.";
    };
    sslProtocols = mkOption {
      type = types.str;
      default = "TLSv1.2 TLSv1.3";
      description = "The versions of TLS.";
    };
    sslDhparam = mkOption {
      type = types.nullOr (types.either types.path types.bool);
      default = false;
      example = "/path/to/dhparams.pem";
      description = "The file of Diffie-Hellman parameters.";
    };
    typesHashMaxSize = mkOption {
      type = types.ints.positive;
      default = 2688;
      description = "The size of the hash table of media types.";
    };
    mapHashBucketSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "The bucket size of the hash tables of maps.";
    };
    mapHashMaxSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "The size of the hash tables of maps.";
    };
    serverNamesHashBucketSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "The bucket size of the hash table of host names.";
    };
    serverNamesHashMaxSize = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "The size of the hash table of host names.";
    };
    proxyCachePath = mkOption {
      default = { };
      description = "Caches for answers of other servers, by name.";
      type = types.attrsOf (
        types.submodule {
          options = {
            enable = lib.mkEnableOption "this proxy cache path entry";
            keysZoneName = mkOption {
              type = types.str;
              default = "cache";
              description = "The name of the zone.";
            };
            keysZoneSize = mkOption {
              type = types.str;
              default = "10m";
              description = "The memory for keys.";
            };
            levels = mkOption {
              type = types.str;
              default = "1:2";
              description = "The levels of folders.";
            };
            useTempPath = bool "Whether files are first written elsewhere.";
            inactive = mkOption {
              type = types.str;
              default = "10m";
              description = "How long unused answers are kept.";
            };
            maxSize = mkOption {
              type = types.str;
              default = "1g";
              description = "The size of the cache.";
            };
          };
        }
      );
    };
    resolver = mkOption {
      default = { };
      description = "The name servers that nginx asks while it runs.";
      type = types.submodule {
        options = {
          addresses = mkOption {
            type = types.listOf types.str;
            default = [ ];
            example = [ "127.0.0.1" ];
            description = "Their addresses.";
          };
          valid = mkOption {
            type = types.str;
            default = "";
            example = "30s";
            description = "How long answers are valid.";
          };
          ipv4 = mkOption {
            type = types.bool;
            default = true;
            description = "Whether IPv4 addresses are looked up.";
          };
          ipv6 = mkOption {
            type = types.bool;
            default = config.networking.enableIPv6;
            defaultText = lib.literalExpression "config.networking.enableIPv6";
            description = "Whether IPv6 addresses are looked up.";
          };
        };
      };
    };
    upstreams = mkOption {
      default = { };
      example = {
        backend.servers."127.0.0.1:8000" = { };
      };
      description = "Groups of servers that requests are passed on to, by name.";
      type = types.attrsOf (
        types.submodule {
          options = {
            servers = mkOption {
              type = types.attrsOf (
                types.submodule {
                  freeformType = types.attrsOf (
                    types.oneOf [
                      types.bool
                      types.int
                      types.str
                    ]
                  );
                  options.backup = bool "Whether the server is only asked when the others fail.";
                }
              );
              default = { };
              description = "The servers, by address, with their parameters.";
            };
            extraConfig = lines "Lines for the end of the upstream block.";
          };
        }
      );
    };
    virtualHosts = mkOption {
      type = types.attrsOf (
        types.submodule ({ name, ... }: import ./vhost-options.nix { inherit lib config name; })
      );
      default = {
        localhost = { };
      };
      example = {
        "example.org" = {
          root = "/var/www/example";
          locations."/api".proxyPass = "http://127.0.0.1:3000";
        };
      };
      description = "The hosts, by name.";
    };
  };

  config = lib.mkIf cfg.enable {
    warnings = lib.optional (cfg.additionalModules != [ ]) "services.nginx.additionalModules has no effect: the package is ready-made. Load modules with services.nginx.prependConfig.";

    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: host:
        [
          {
            assertion = lib.count (x: x) [
              host.addSSL
              host.onlySSL
              host.forceSSL
              host.rejectSSL
            ] <= 1;
            message = ''
              Options services.nginx.service.virtualHosts.<name>.addSSL,
              services.nginx.virtualHosts.<name>.onlySSL,
              services.nginx.virtualHosts.<name>.forceSSL and
              services.nginx.virtualHosts.<name>.rejectSSL are mutually exclusive.
            '';
          }
          {
            assertion = !host.enableACME && host.useACMEHost == null;
            message = "services.nginx.virtualHosts.\"${name}\" wants a certificate by ACME, which is not available yet: set sslCertificate and sslCertificateKey.";
          }
          {
            assertion = host.globalRedirect == null || !(host.locations ? "/");
            message = "services.nginx.virtualHosts.\"${name}\" has both globalRedirect and a location \"/\"; only one of them can answer.";
          }
          {
            assertion = !host.quic;
            message = "services.nginx.virtualHosts.\"${name}\".quic is set, but this nginx does not speak QUIC.";
          }
        ]
        ++ lib.mapAttrsToList (path: location: {
          assertion = !(location.root != null && location.alias != null);
          message = "Only one of nginx root or alias can be specified on a location: services.nginx.virtualHosts.\"${name}\".locations.\"${path}\".";
        }) host.locations
      ) cfg.virtualHosts
    );

    systemd.services.nginx = {
      description = "Nginx Web Server";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      stopIfChanged = false;
      preStart = ''
        ${cfg.preStart}
        ${cfg.package}/bin/nginx -c ${lib.escapeShellArg configPath} -e stderr -t
      '';
      startLimitIntervalSec = 60;
      serviceConfig = {
        ExecStart = "${cfg.package}/bin/nginx -c ${configPath} -e stderr";
        ExecReload = [
          "${cfg.package}/bin/nginx -c ${configPath} -e stderr -t"
          "${pkgs.coreutils}/bin/kill -HUP $MAINPID"
        ];
        Restart = "always";
        RestartSec = "10s";
        User = cfg.user;
        Group = cfg.group;
        RuntimeDirectory = "nginx";
        RuntimeDirectoryMode = "0750";
        StateDirectory = "nginx";
        StateDirectoryMode = "0750";
        CacheDirectory = "nginx";
        CacheDirectoryMode = "0750";
        LogsDirectory = "nginx";
        LogsDirectoryMode = "0750";
        ProcSubset = "pid";
        ProtectProc = "invisible";
        UMask = "0027";
        # Ports below 1024 are all that it needs rights for.
        AmbientCapabilities = [
          "CAP_NET_BIND_SERVICE"
          "CAP_SYS_RESOURCE"
        ];
        CapabilityBoundingSet = [
          "CAP_NET_BIND_SERVICE"
          "CAP_SYS_RESOURCE"
        ];
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = lib.mkDefault true;
        PrivateTmp = true;
        PrivateDevices = true;
        ProtectHostname = true;
        ProtectClock = true;
        ProtectKernelTunables = true;
        ProtectKernelModules = true;
        ProtectKernelLogs = true;
        ProtectControlGroups = true;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
        RestrictNamespaces = true;
        LockPersonality = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        RemoveIPC = true;
        PrivateMounts = true;
        SystemCallArchitectures = "native";
      };
    };

    environment.etc."nginx/nginx.conf" = lib.mkIf cfg.enableReload { source = configFile; };

    # Separate from nginx itself, so that a reload waits until /etc is in place.
    systemd.services.nginx-config-reload = lib.mkIf cfg.enableReload {
      description = "Read nginx's changed configuration";
      wantedBy = [ "multi-user.target" ];
      after = [ "nginx.service" ];
      restartTriggers = [ configFile ];
      stopIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecCondition = "${config.systemd.package}/bin/systemctl -q is-active nginx.service";
        ExecStart = "${config.systemd.package}/bin/systemctl reload nginx.service";
      };
    };

    users.users = lib.optionalAttrs (cfg.user == "nginx") {
      nginx = {
        group = cfg.group;
        isSystemUser = true;
        uid = config.ids.uids.nginx;
      };
    };
    users.groups = lib.optionalAttrs (cfg.group == "nginx") {
      nginx.gid = config.ids.gids.nginx;
    };
  };
}
