# The options of services.nginx.virtualHosts.<name>.
{ lib, config, name }:
let
  inherit (lib) mkOption types;
  bool =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
in
{
  options = {
    serverName = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The name of the host. By default that of the attribute.";
    };
    serverAliases = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "www.example.org"
        "example.org"
      ];
      description = "Further names of the host.";
    };
    listen = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            addr = mkOption {
              type = types.str;
              description = "The address, or `unix:` and the path of a socket.";
            };
            port = mkOption {
              type = types.nullOr types.port;
              default = null;
              description = "The port. By default 443 with TLS, else 80.";
            };
            ssl = bool "Whether connections use TLS.";
            proxyProtocol = bool "Whether connections begin with the PROXY protocol.";
            extraParameters = mkOption {
              type = types.listOf types.str;
              default = [ ];
              example = [
                "backlog=1024"
                "deferred"
              ];
              description = "Further parameters of the `listen` directive.";
            };
          };
        }
      );
      default = [ ];
      example = [
        {
          addr = "195.154.1.1";
          port = 443;
          ssl = true;
        }
      ];
      description = "Addresses and ports to listen on, in place of what follows from the other options.";
    };
    listenAddresses = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "127.0.0.1"
        "[::1]"
      ];
      description = "Addresses to listen on.";
    };
    enableACME = bool "Whether a certificate is fetched by ACME. Not available yet.";
    useACMEHost = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The host whose ACME certificate is used. Not available yet.";
    };
    acmeRoot = mkOption {
      type = types.nullOr types.str;
      default = "/var/lib/acme/acme-challenge";
      description = "The folder of ACME's challenges.";
    };
    acmeFallbackHost = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The host that answers challenges that are not found.";
    };
    addSSL = bool "Whether the host listens with TLS too.";
    onlySSL = bool "Whether the host listens with TLS alone.";
    forceSSL = bool "Whether requests without TLS are redirected to TLS.";
    rejectSSL = bool "Whether TLS connections are refused.";
    redirectCode = mkOption {
      type = types.ints.between 300 399;
      default = 301;
      example = 308;
      description = "The code of redirections.";
    };
    kTLS = bool "Whether the kernel encrypts.";
    sslCertificate = mkOption {
      type = types.path;
      example = "/var/host.cert";
      description = "The file of the certificate.";
    };
    sslCertificateKey = mkOption {
      type = types.path;
      example = "/var/host.key";
      description = "The file of its key.";
    };
    sslTrustedCertificate = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "The file of the certificates that are trusted for OCSP.";
    };
    http2 = mkOption {
      type = types.bool;
      default = true;
      description = "Whether HTTP 2 is spoken, with TLS.";
    };
    http3 = mkOption {
      type = types.bool;
      default = true;
      description = "Whether HTTP 3 is spoken, with `quic`.";
    };
    http3_hq = bool "Whether HTTP/0.9 over QUIC is spoken.";
    quic = bool "Whether the host listens with QUIC. Not available with this nginx.";
    reuseport = bool "Whether each worker has a socket of its own.";
    root = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/data/webserver/docs";
      description = "The folder of the files.";
    };
    default = bool "Whether this host answers requests for names that no host has.";
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for the end of the server block.";
    };
    globalRedirect = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "newserver.example.org";
      description = "The host to which all requests are redirected.";
    };
    basicAuth = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Names and passwords for basic authentication. They end up in the store; use `basicAuthFile`.";
    };
    basicAuthFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A file, in htpasswd's format, with names and hashes of passwords.";
    };
    locations = mkOption {
      type = types.attrsOf (types.submodule (import ./location-options.nix { inherit lib config; }));
      default = { };
      example = {
        "/".proxyPass = "http://localhost:3000";
      };
      description = "What answers for which paths.";
    };
  };
}
