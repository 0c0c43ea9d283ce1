# The next generation of the web server: another page, a small service behind nginx, and two versions of Node.js side by
# side, one of which runs it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  page = pkgs.writeTextDir "index.html" ''
    <!doctype html>
    <meta charset="utf-8">
    <title>${config.networking.hostName}</title>
    <h1>Hello again from ${config.networking.hostName}</h1>
    <p>This is the second generation. <a href="/time">What time is it?</a></p>
  '';

  program = pkgs.writeText "time-server.js" ''
    const http = require("http");
    http
      .createServer((request, response) => {
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify({ time: new Date().toISOString(), node: process.version }) + "\n");
      })
      .listen(process.env.PORT, "127.0.0.1");
  '';

  # One name for each version, since both packages bring a program called node.
  versions = pkgs.runCommand "node-versions" { } ''
    mkdir -p $out/bin
    ln -s ${pkgs.nodejs_18}/bin/node $out/bin/node-18
    ln -s ${pkgs.nodejs_14}/bin/node $out/bin/node-14
  '';
in
{
  imports = [ ./configuration.nix ];

  services.nginx.virtualHosts.default = {
    root = lib.mkForce "${page}";
    locations."/time".proxyPass = "http://127.0.0.1:3000";
  };

  systemd.services.time-server = {
    description = "Tell the time";
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" ];
    environment.PORT = "3000";
    serviceConfig = {
      ExecStart = "${pkgs.nodejs_18}/bin/node ${program}";
      DynamicUser = true;
      Restart = "on-failure";
    };
  };

  environment.systemPackages = [ versions ];
}
