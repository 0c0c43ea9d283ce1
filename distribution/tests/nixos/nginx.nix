# nginx.conf, from the options of hosts and locations.
t:
let
  conf =
    module:
    let
      e = t.evaluate [
        t.base
        { services.nginx.enable = true; }
        module
      ];
      inherit (e) config pkgs;
    in
    import ../../nixos/modules/services/web-servers/nginx/render.nix {
      inherit (t) lib;
      inherit pkgs config;
      utils = import ../../nixos/lib/utils.nix {
        inherit (t) lib;
        inherit pkgs;
      };
      cfg = config.services.nginx;
    } { };
  host = module: conf { services.nginx.virtualHosts."example.org" = module; };
  tls = {
    sslCertificate = "/cert.pem";
    sslCertificateKey = "/key.pem";
  };
  count = wanted: text: builtins.length (builtins.filter (l: t.lib.trim l == wanted) (t.lib.splitString "\n" text));
  bad = module: builtins.length (t.failures {
    services.nginx.enable = true;
    services.nginx.virtualHosts."example.org" = module;
  });
in
{
  nameAndRoot = {
    expr = map (t.line (host {
      root = "/srv";
      serverAliases = [ "www.example.org" ];
    })) [
      "server_name example.org www.example.org;"
      "root /srv;"
      "listen 0.0.0.0:80 ;"
      "listen [::0]:80 ;"
    ];
    expected = [
      true
      true
      true
      true
    ];
  };
  tlsBesides = {
    expr = map (t.line (host (tls // { addSSL = true; }))) [
      "listen 0.0.0.0:80 ;"
      "listen 0.0.0.0:443 ssl http2 ;"
      "ssl_certificate /cert.pem;"
      "ssl_certificate_key /key.pem;"
    ];
    expected = [
      true
      true
      true
      true
    ];
  };
  tlsAlone = {
    expr = t.line (host (tls // { onlySSL = true; })) "listen 0.0.0.0:80 ;";
    expected = false;
  };
  tlsForced = {
    expr = [
      (t.line (host (tls // { forceSSL = true; })) "return 301 https://$host$request_uri;")
      (count "server_name example.org;" (host (tls // { forceSSL = true; })))
    ];
    expected = [
      true
      2
    ];
  };
  proxy = {
    expr = map (t.line (host {
      locations."/api" = {
        proxyPass = "http://127.0.0.1:3000";
        proxyWebsockets = true;
      };
    })) [
      "location /api {"
      "proxy_pass http://127.0.0.1:3000;"
      "proxy_set_header Upgrade $http_upgrade;"
    ];
    expected = [
      true
      true
      true
    ];
  };
  locationsFollowTheirPriority = {
    expr = builtins.match ".*location /late .*" (
      builtins.head (
        t.lib.splitString "location /early " (
          builtins.replaceStrings [ "\n" ] [ " " ] (host {
            locations."/late".priority = 2000;
            locations."/early".priority = 500;
          })
        )
      )
    );
    expected = null;
  };
  listen = {
    expr = t.line (host {
      listen = [
        {
          addr = "127.0.0.1";
          port = 8080;
        }
      ];
    }) "listen 127.0.0.1:8080 ;";
    expected = true;
  };
  defaultServer = {
    expr = t.line (host { default = true; }) "listen 0.0.0.0:80 default_server ;";
    expected = true;
  };
  redirect = {
    expr = t.line (host { globalRedirect = "new.example.org"; }) "return 301 $scheme://new.example.org$request_uri;";
    expected = true;
  };
  upstreams = {
    expr = map (t.line (conf {
      services.nginx.upstreams.back.servers = {
        "127.0.0.1:1" = { };
        "127.0.0.1:2" = {
          backup = true;
          weight = 2;
        };
      };
    })) [
      "upstream back {"
      "server 127.0.0.1:1;"
      "server 127.0.0.1:2 backup weight=2;"
    ];
    expected = [
      true
      true
      true
    ];
  };
  statusPage = {
    expr = t.line (conf { services.nginx.statusPage = true; }) "location /nginx_status {";
    expected = true;
  };
  bodySize = {
    expr = t.line (conf { services.nginx.clientMaxBodySize = "1g"; }) "client_max_body_size 1g;";
    expected = true;
  };
  oneTLSMode = {
    expr = bad (tls // { addSSL = true; forceSSL = true; });
    expected = 1;
  };
  noACME = {
    expr = bad { enableACME = true; };
    expected = 1;
  };
  rootOrAlias = {
    expr = bad {
      locations."/" = {
        root = "/a";
        alias = "/b";
      };
    };
    expected = 1;
  };
  runsAsItself = {
    expr =
      let
        c = t.machine { services.nginx.enable = true; };
      in
      [
        c.users.users.nginx.uid
        c.users.groups.nginx.gid
        c.systemd.services.nginx.serviceConfig.User
        c.systemd.services.nginx.stopIfChanged
      ];
    expected = [
      60
      60
      "nginx"
      false
    ];
  };
}
