# The options of services.nginx.virtualHosts.<name>.locations.<path>.
{ lib, config }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    basicAuth = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        user = "password";
      };
      description = "Names and passwords for basic authentication. They end up in the store; use `basicAuthFile`.";
    };
    basicAuthFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A file, in htpasswd's format, with names and hashes of passwords.";
    };
    proxyPass = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "http://www.example.org/";
      description = "The server that answers.";
    };
    proxyWebsockets = mkOption {
      type = types.bool;
      default = false;
      description = "Whether WebSocket connections are passed on too.";
    };
    uwsgiPass = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "unix:/run/example/example.sock";
      description = "The uWSGI server that answers.";
    };
    index = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "index.php index.html";
      description = "Files that stand for a folder.";
    };
    tryFiles = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "$uri =404";
      description = "Files to try, in order.";
    };
    root = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/your/root/directory";
      description = "The folder of the files.";
    };
    alias = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/your/alias/directory";
      description = "The folder that the location itself stands for.";
    };
    return = mkOption {
      type = types.nullOr (
        types.oneOf [
          types.str
          types.int
        ]
      );
      default = null;
      example = "301 http://example.com$request_uri";
      description = "The answer.";
    };
    fastcgiParams = mkOption {
      type = types.attrsOf (types.either types.str types.path);
      default = { };
      description = "FastCGI parameters.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Lines for the end of the location.";
    };
    priority = mkOption {
      type = types.int;
      default = 1000;
      description = "The place of the location among the others; lower ones come first.";
    };
    recommendedProxySettings = mkOption {
      type = types.bool;
      default = config.services.nginx.recommendedProxySettings;
      defaultText = lib.literalExpression "config.services.nginx.recommendedProxySettings";
      description = "Whether the recommended headers are passed on.";
    };
    recommendedUwsgiSettings = mkOption {
      type = types.bool;
      default = config.services.nginx.recommendedUwsgiSettings;
      defaultText = lib.literalExpression "config.services.nginx.recommendedUwsgiSettings";
      description = "Whether the recommended uWSGI parameters are passed on.";
    };
  };
}
