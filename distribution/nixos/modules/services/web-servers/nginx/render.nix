# The text of nginx.conf. `shiftPort` and `forCheck` give the variant that can be checked without privileges.
{
  lib,
  pkgs,
  utils,
  cfg,
  config,
}:
{
  shiftPort ? port: port,
  forCheck ? false,
}:
let
  inherit (lib) optionalString concatMapStrings;
  yes = optionalString;

  indent = prefix: text: concatMapStrings (line: yes (lib.trim line != "") "${prefix}${line}\n") (lib.splitString "\n" text);

  recommendedProxy = ''
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Server $hostname;
  '';
  # A location that sets a header of its own has none of the outer ones, so these are put into each.
  proxyHeaders = utils.textFile "nginx-recommended-proxy_set_header-headers.conf" recommendedProxy;

  htpasswd =
    name: users:
    pkgs.writeText "${utils.storeName name}.htpasswd" (
      lib.concatStringsSep "\n" (lib.mapAttrsToList (user: password: "${user}:{PLAIN}${password}") users)
    );
  authentication =
    name: each:
    let
      file =
        if each.basicAuthFile != null then
          toString each.basicAuthFile
        else if each.basicAuth != { } then
          "${htpasswd name each.basicAuth}"
        else
          null;
    in
    yes (file != null) ''
      auth_basic secured;
      auth_basic_user_file ${file};
    '';

  ordered =
    locations:
    lib.sort (a: b: a.priority < b.priority) (
      lib.mapAttrsToList (location: each: each // { inherit location; }) locations
    );

  locationText =
    each:
    "location ${each.location} {\n"
    + indent "  " (
      yes (each.proxyPass != null && !cfg.proxyResolveWhileRunning) "proxy_pass ${each.proxyPass};\n"
      + yes (each.proxyPass != null && cfg.proxyResolveWhileRunning) "set $nix_proxy_target \"${each.proxyPass}\";\nproxy_pass $nix_proxy_target;\n"
      + yes (each.uwsgiPass != null) "uwsgi_pass ${toString each.uwsgiPass};\n"
      + yes each.proxyWebsockets "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\n"
      + lib.concatStrings (
        lib.mapAttrsToList (name: value: "fastcgi_param ${name} \"${value}\";\n") each.fastcgiParams
      )
      + yes (each.index != null) "index ${toString each.index};\n"
      + yes (each.tryFiles != null) "try_files ${toString each.tryFiles};\n"
      + yes (each.root != null) "root ${toString each.root};\n"
      + yes (each.alias != null) "alias ${toString each.alias};\n"
      + yes (each.return != null) "return ${toString each.return};\n"
      + each.extraConfig
      + "\n"
      + yes (each.proxyPass != null && each.recommendedProxySettings) "include ${proxyHeaders};\n"
      + authentication each.location each
    )
    + "}\n";

  listenText =
    each:
    let
      port =
        if each.port != null then
          each.port
        else if each.ssl then
          cfg.defaultSSLListenPort
        else
          cfg.defaultHTTPListenPort;
      isSocket = lib.hasPrefix "unix:" each.addr;
      address =
        if isSocket then
          if forCheck then "unix:/tmp/check-${builtins.hashString "sha256" each.addr}" else each.addr
        else
          "${if forCheck then (if lib.hasPrefix "[" each.addr then "[::1]" else "127.0.0.1") else each.addr}:${toString (shiftPort port)}";
    in
    "listen ${address} "
    + yes each.ssl "ssl "
    + yes (each.ssl && each.http2) "http2 "
    + yes each.default "default_server "
    + yes each.reuseport "reuseport "
    + yes each.proxyProtocol "proxy_protocol "
    + lib.concatStringsSep " " each.extraParameters
    + ";\n";

  hostText =
    name: host:
    let
      serverName = if host.serverName != null then host.serverName else name;
      names = lib.concatStringsSep " " ([ serverName ] ++ host.serverAliases);
      hasTLS = host.addSSL || host.onlySSL || host.forceSSL;
      plainToo = !host.onlySSL;
      defaultAddresses = [ "0.0.0.0" ] ++ lib.optional config.networking.enableIPv6 "[::0]";
      addresses =
        if host.listenAddresses != [ ] then
          host.listenAddresses
        else if cfg.defaultListenAddresses != [ ] then
          cfg.defaultListenAddresses
        else
          defaultAddresses;
      base = {
        port = null;
        ssl = false;
        proxyProtocol = false;
        extraParameters = [ ];
      };
      explicit = map (each: base // each) (
        if host.listen != [ ] then
          host.listen
        else
          lib.concatMap (
            each:
            if each.ssl == null then
              lib.optional plainToo (each // { ssl = false; })
              ++ lib.optional hasTLS (each // { ssl = true; port = null; })
            else if each.ssl && !hasTLS then
              [ ]
            else
              [ each ]
          ) cfg.defaultListen
      );
      derived =
        lib.optionals plainToo (map (addr: base // { inherit addr; port = cfg.defaultHTTPListenPort; }) addresses)
        ++ lib.optionals (hasTLS || host.rejectSSL) (
          map (addr: base // { inherit addr; port = cfg.defaultSSLListenPort; ssl = true; }) addresses
        );
      all = map (
        each:
        each
        // {
          inherit (host) default reuseport http2;
        }
      ) (if explicit != [ ] then explicit else derived);
      plain = lib.filter (each: !each.ssl) all;
      secure = lib.filter (each: each.ssl) all;

      redirectServer = ''
        server {
        ${indent "  " (concatMapStrings listenText plain)}  server_name ${names};
          location / {
            return ${toString host.redirectCode} https://$host$request_uri;
          }
        }
      '';
    in
    yes (host.forceSSL && plain != [ ]) redirectServer
    + "server {\n"
    + indent "  " (
      concatMapStrings listenText (if host.forceSSL then secure else all)
      + "server_name ${names};\n"
      + yes (host.root != null) "root ${toString host.root};\n"
      + yes hasTLS (
        "ssl_certificate ${toString host.sslCertificate};\n"
        + "ssl_certificate_key ${toString host.sslCertificateKey};\n"
        + yes (host.sslTrustedCertificate != null) "ssl_trusted_certificate ${toString host.sslTrustedCertificate};\n"
      )
      + yes host.rejectSSL "ssl_reject_handshake on;\n"
      + yes (host.kTLS && hasTLS) "ssl_conf_command Options KTLS;\n"
      + authentication name host
    )
    + indent "  " (concatMapStrings locationText (ordered host.locations))
    + yes (host.globalRedirect != null) (
      indent "  " ''
        location / {
          return ${toString host.redirectCode} ${if hasTLS then "https" else "$scheme"}://${host.globalRedirect}$request_uri;
        }
      ''
    )
    + indent "  " host.extraConfig
    + "}\n";

  upstreamText =
    name: upstream:
    let
      server =
        address: parameters:
        let
          words = lib.concatStrings (
            lib.mapAttrsToList (
              key: value:
              if value == true then
                " ${key}"
              else if value == false || value == null then
                ""
              else
                " ${key}=${toString value}"
            ) parameters
          );
        in
        "server ${address}${words};\n";
    in
    "upstream ${name} {\n"
    + indent "  " (lib.concatStrings (lib.mapAttrsToList server upstream.servers) + upstream.extraConfig)
    + "}\n";

  cachePaths = lib.concatStrings (
    lib.mapAttrsToList (
      name: cache:
      yes cache.enable
        "proxy_cache_path ${if forCheck then "/tmp/check-cache" else "/var/cache/nginx"}/${name} keys_zone=${cache.keysZoneName}:${cache.keysZoneSize} levels=${cache.levels} use_temp_path=${
          if cache.useTempPath then "on" else "off"
        } inactive=${cache.inactive} max_size=${cache.maxSize};\n"
    ) cfg.proxyCachePath
  );

  http =
    "include ${cfg.defaultMimeTypes};\n"
    + "default_type application/octet-stream;\n"
    + "types_hash_max_size ${toString cfg.typesHashMaxSize};\n"
    + yes (cfg.mapHashBucketSize != null) "map_hash_bucket_size ${toString cfg.mapHashBucketSize};\n"
    + yes (cfg.mapHashMaxSize != null) "map_hash_max_size ${toString cfg.mapHashMaxSize};\n"
    + yes (cfg.serverNamesHashBucketSize != null) "server_names_hash_bucket_size ${toString cfg.serverNamesHashBucketSize};\n"
    + yes (cfg.serverNamesHashMaxSize != null) "server_names_hash_max_size ${toString cfg.serverNamesHashMaxSize};\n"
    + yes (cfg.resolver.addresses != [ ]) "resolver ${toString cfg.resolver.addresses} ${
      yes (cfg.resolver.valid != "") "valid=${cfg.resolver.valid}"
    } ${yes (!cfg.resolver.ipv4) "ipv4=off"} ${yes (!cfg.resolver.ipv6) "ipv6=off"};\n"
    + cfg.commonHttpConfig
    + "\n"
    + yes cfg.recommendedOptimisation ''
      sendfile on;
      tcp_nopush on;
      tcp_nodelay on;
      keepalive_timeout 65;
    ''
    + "ssl_protocols ${cfg.sslProtocols};\n"
    + yes (cfg.sslCiphers != null) "ssl_ciphers ${cfg.sslCiphers};\n"
    + yes (cfg.sslDhparam != false && cfg.sslDhparam != null) "ssl_dhparam ${toString cfg.sslDhparam};\n"
    + yes cfg.recommendedTlsSettings ''
      ssl_ecdh_curve X25519:prime256v1:secp384r1;
      ssl_session_timeout 1d;
      ssl_session_cache shared:SSL:10m;
      ssl_session_tickets off;
      ssl_prefer_server_ciphers off;
    ''
    + yes cfg.recommendedGzipSettings ''
      gzip on;
      gzip_static on;
      gzip_vary on;
      gzip_comp_level 5;
      gzip_min_length 256;
      gzip_proxied expired no-cache no-store private auth;
      gzip_types application/atom+xml application/geo+json application/javascript application/json application/ld+json application/manifest+json application/rdf+xml application/vnd.ms-fontobject application/wasm application/x-javascript application/xhtml+xml application/xml font/eot font/otf font/ttf image/bmp image/svg+xml text/cache-manifest text/calendar text/css text/javascript text/markdown text/plain text/vcard text/x-component text/xml;
    ''
    + yes cfg.recommendedProxySettings ''
      proxy_redirect off;
      proxy_connect_timeout ${cfg.proxyTimeout};
      proxy_send_timeout ${cfg.proxyTimeout};
      proxy_read_timeout ${cfg.proxyTimeout};
      proxy_http_version 1.1;
      # Connections to the server behind are kept; without Upgrade nothing is upgraded.
      proxy_set_header "Connection" "";
      include ${proxyHeaders};
    ''
    + "map $http_upgrade $connection_upgrade {\n  default upgrade;\n  '' close;\n}\n"
    + "client_max_body_size ${cfg.clientMaxBodySize};\n"
    + "server_tokens ${if cfg.serverTokens then "on" else "off"};\n"
    + cachePaths
    + lib.concatStrings (lib.mapAttrsToList upstreamText cfg.upstreams)
    + lib.concatStrings (lib.mapAttrsToList hostText cfg.virtualHosts)
    + yes cfg.statusPage ''
      server {
        listen ${if forCheck then "127.0.0.1" else "0.0.0.0"}:${toString (shiftPort cfg.defaultHTTPListenPort)};
        ${yes (config.networking.enableIPv6) "listen ${if forCheck then "[::1]" else "[::]"}:${toString (shiftPort cfg.defaultHTTPListenPort)};"}
        server_name localhost;
        location /nginx_status {
          stub_status on;
          access_log off;
          allow 127.0.0.1;
          ${yes config.networking.enableIPv6 "allow ::1;"}
          deny all;
        }
      }
    ''
    + cfg.appendHttpConfig;
in
if cfg.config != "" then
  "pid ${if forCheck then "/tmp/check.pid" else "/run/nginx/nginx.pid"};\nerror_log ${cfg.logError};\ndaemon off;\n" + cfg.config
else
  "pid ${if forCheck then "/tmp/check.pid" else "/run/nginx/nginx.pid"};\n"
  + "error_log ${cfg.logError};\n"
  + "daemon off;\n"
  + cfg.prependConfig
  + "\nevents {\n"
  + indent "  " cfg.eventsConfig
  + "}\n"
  + (
    if cfg.httpConfig == "" then
      "http {\n" + indent "  " http + "}\n"
    else
      "http {\n  include ${cfg.defaultMimeTypes};\n  default_type application/octet-stream;\n" + indent "  " cfg.httpConfig + "}\n"
  )
  + yes (cfg.streamConfig != "") ("stream {\n" + indent "  " cfg.streamConfig + "}\n")
  + cfg.appendConfig
  + "\n"
