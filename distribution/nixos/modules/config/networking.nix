# networking.*: names of the machine and of others, name servers, proxies. Interfaces are tasks/network-interfaces.nix.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking;

  ownNames =
    lib.optional (cfg.hostName != "" && cfg.domain != null) "${cfg.hostName}.${cfg.domain}"
    ++ lib.optional (cfg.hostName != "") cfg.hostName;

  hostLines =
    hosts:
    lib.concatStrings (
      lib.mapAttrsToList (
        address: names:
        lib.optionalString (names != [ ]) "${address} ${lib.concatStringsSep " " (lib.unique names)}\n"
      ) hosts
    );

  # Loopback addresses come first, so that the machine's own name resolves to them.
  isLoopback = address: lib.hasPrefix "127." address || address == "::1";
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$";
      default = config.system.nixos.distroId;
      defaultText = lib.literalExpression "config.system.nixos.distroId";
      description = "The name of the machine. The empty text leaves it to DHCP or to whoever starts the machine.";
    };
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "home.arpa";
      description = "The domain of the machine.";
    };
    fqdn = mkOption {
      type = types.str;
      readOnly = true;
      default =
        if cfg.hostName != "" && cfg.domain != null then
          "${cfg.hostName}.${cfg.domain}"
        else
          throw ''
            The FQDN is required but cannot be determined from `networking.hostName`
            and `networking.domain`. Please ensure these options are set properly or
            set `networking.fqdn` directly.
          '';
      defaultText = lib.literalExpression ''"''${config.networking.hostName}.''${config.networking.domain}"'';
      description = "The full name of the machine.";
    };
    fqdnOrHostName = mkOption {
      type = types.str;
      readOnly = true;
      default = if cfg.domain == null then cfg.hostName else cfg.fqdn;
      defaultText = lib.literalMD "the full name, or the host name where there is no domain";
      description = "The full name of the machine, or its host name where there is no domain.";
    };
    hostId = mkOption {
      type = types.nullOr (types.strMatching "[0-9a-fA-F]{8}");
      default = null;
      example = "4e98920d";
      description = "A number for the machine, as eight hexadecimal digits; ZFS needs it.";
    };
    hosts = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        "127.0.0.1" = [ "foo.bar.baz" ];
        "192.168.0.2" = [ "fileserver.local" ];
      };
      description = "Names of addresses.";
    };
    hostFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Files that are joined to `/etc/hosts`.";
    };
    extraHosts = mkOption {
      type = types.lines;
      default = "";
      example = "192.168.0.1 lanlocalhost";
      description = "Lines for `/etc/hosts`.";
    };
    nameservers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "130.161.158.4" ];
      description = "Name servers.";
    };
    search = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "example.com" ];
      description = "Domains in which short names are looked up.";
    };
    timeServers = mkOption {
      type = types.listOf types.str;
      default = [
        "0.nixos.pool.ntp.org"
        "1.nixos.pool.ntp.org"
        "2.nixos.pool.ntp.org"
        "3.nixos.pool.ntp.org"
      ];
      description = "Servers that tell the time.";
    };
    enableIPv6 = mkOption {
      type = types.bool;
      default = true;
      description = "Whether IPv6 is used.";
    };
    proxy = {
      default = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "http://127.0.0.1:3128";
        description = "The proxy for HTTP, HTTPS, FTP and rsync.";
      };
      noProxy = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "127.0.0.1,localhost,.localdomain";
        description = "What is reached without a proxy.";
      };
      envVars = mkOption {
        type = types.attrs;
        internal = true;
        default = { };
        description = "The environment variables that say so.";
      };
    };
    resolvconf = {
      enable = mkOption {
        type = types.bool;
        default = !config.services.resolved.enable && cfg.nameservers != [ ];
        defaultText = lib.literalMD "whether name servers are set and resolved is not used";
        description = "Whether `/etc/resolv.conf` is made from {option}`networking.nameservers`.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Lines for `/etc/resolv.conf`.";
      };
      extraOptions = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [
          "ndots:1"
          "rotate"
        ];
        description = "Options for the resolver.";
      };
      dnsExtensionMechanism = mkOption {
        type = types.bool;
        default = true;
        description = "Whether the resolver uses EDNS.";
      };
      useLocalResolver = mkOption {
        type = types.bool;
        default = false;
        description = "Whether a name server on this machine is asked first.";
      };
    };
  };

  options.system.nssDatabases =
    lib.genAttrs
      [
        "passwd"
        "group"
        "shadow"
        "sudoers"
        "hosts"
        "services"
      ]
      (
        database:
        mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Where entries of the `${database}` database are looked up, in order.";
        }
      );

  options.system.nssModules = mkOption {
    type = types.listOf types.path;
    internal = true;
    default = [ ];
    apply = list: {
      inherit list;
      path = lib.makeLibraryPath list;
    };
    description = "Packages with further name service modules.";
  };

  config = {
    networking.hosts = {
      "127.0.0.1" = lib.mkOrder 500 [ "localhost" ];
      "127.0.0.2" = ownNames;
    }
    // lib.optionalAttrs cfg.enableIPv6 {
      "::1" = lib.mkOrder 500 [ "localhost" ];
    };

    networking.proxy.envVars =
      lib.optionalAttrs (cfg.proxy.default != null) (
        lib.genAttrs [
          "http_proxy"
          "https_proxy"
          "rsync_proxy"
          "ftp_proxy"
          "all_proxy"
        ] (_: cfg.proxy.default)
      )
      // lib.optionalAttrs (cfg.proxy.noProxy != null) { no_proxy = cfg.proxy.noProxy; };
    environment.sessionVariables = cfg.proxy.envVars;

    system.nssDatabases = {
      passwd = lib.mkBefore [ "files" ];
      group = lib.mkBefore [ "files" ];
      shadow = lib.mkBefore [ "files" ];
      sudoers = lib.mkBefore [ "files" ];
      services = lib.mkBefore [ "files" ];
      hosts = lib.mkMerge [
        (lib.mkOrder 998 [ "files" ])
        (lib.mkOrder 1499 [ "dns" ])
      ];
    };

    environment.etc = {
      hosts.text =
        hostLines (lib.filterAttrs (address: _: isLoopback address) cfg.hosts)
        + hostLines (lib.filterAttrs (address: _: !isLoopback address) cfg.hosts)
        + lib.concatMapStrings builtins.readFile cfg.hostFiles
        + cfg.extraHosts;
      hostname = lib.mkIf (cfg.hostName != "") { text = cfg.hostName + "\n"; };
      "host.conf".text = "multi on\n";
      "nsswitch.conf".text =
        let
          line = name: sources: "${name}: ${lib.concatStringsSep " " sources}\n";
          db = config.system.nssDatabases;
        in
        line "passwd" db.passwd
        + line "group" db.group
        + line "shadow" db.shadow
        + line "sudoers" db.sudoers
        + "\n"
        + line "hosts" db.hosts
        + line "networks" [ "files" ]
        + "\n"
        + line "ethers" [ "files" ]
        + line "services" db.services
        + line "protocols" [ "files" ]
        + line "rpc" [ "files" ];
    }
    // lib.optionalAttrs (pkgs ? iana-etc) {
      services.source = "${pkgs.iana-etc}/etc/services";
      protocols.source = "${pkgs.iana-etc}/etc/protocols";
    }
    // lib.optionalAttrs cfg.resolvconf.enable {
      "resolv.conf".text =
        lib.optionalString cfg.resolvconf.useLocalResolver "nameserver 127.0.0.1\n"
        + lib.concatMapStrings (server: "nameserver ${server}\n") cfg.nameservers
        + lib.optionalString (cfg.search != [ ] || cfg.domain != null)
          "search ${lib.concatStringsSep " " (cfg.search ++ lib.optional (cfg.domain != null) cfg.domain)}\n"
        + (
          let
            options = lib.optional cfg.resolvconf.dnsExtensionMechanism "edns0" ++ cfg.resolvconf.extraOptions;
          in
          lib.optionalString (options != [ ]) "options ${lib.concatStringsSep " " options}\n"
        )
        + cfg.resolvconf.extraConfig;
    }
    // lib.optionalAttrs (cfg.hostId != null) {
      # Four bytes, in the machine's byte order.
      hostid.source = pkgs.runCommand "gen-hostid" { } ''
        id=${cfg.hostId}
        printf "\\x''${id:6:2}\\x''${id:4:2}\\x''${id:2:2}\\x''${id:0:2}" > $out
      '';
    };

    boot.kernel.sysctl = {
      "net.ipv4.conf.all.forwarding" = lib.mkDefault false;
    }
    // (
      if cfg.enableIPv6 then
        {
          "net.ipv6.conf.all.forwarding" = lib.mkDefault false;
        }
      else
        {
          "net.ipv6.conf.all.disable_ipv6" = lib.mkDefault true;
          "net.ipv6.conf.default.disable_ipv6" = lib.mkDefault true;
        }
    );

    assertions = [
      {
        assertion = cfg.hostId != null || !(config.boot.supportedFilesystems.zfs or false);
        message = "ZFS requires networking.hostId to be set";
      }
      {
        assertion = lib.all (names: lib.all (name: lib.trim name != "") names) (lib.attrValues cfg.hosts);
        message = "networking.hosts holds an empty name.";
      }
    ];
  };
}
