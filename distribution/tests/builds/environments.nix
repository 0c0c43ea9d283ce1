# Folders of links: buildEnv's priorities and merging, symlinkJoin, linkFarm; closureInfo.
{ pkgs, lib }:
let
  file = path: text: pkgs.writeTextDir path text;
in
{
  environment = pkgs.buildEnv {
    name = "environment";
    paths = [
      (file "bin/x" "worse")
      (lib.hiPrio (file "bin/x" "better"))
      (file "lib/q/x" "1")
      (file "lib/q/y" "2")
      (file "other/z" "3")
      # equal contents are no collision
      (file "bin/same" "s")
      (pkgs.writeTextFile {
        name = "another";
        destination = "/bin/same";
        text = "s";
      })
    ];
    pathsToLink = [
      "/bin"
      "/lib"
    ];
    postBuild = ''
      [ "$(cat $out/bin/x)" = better ]
      [ "$(cat $out/lib/q/x $out/lib/q/y)" = 12 ]
      [ -d $out/lib/q ] && [ ! -L $out/lib/q ]
      [ ! -e $out/other ]
    '';
  };

  tools-environment = pkgs.buildEnv {
    name = "tools-environment";
    paths = [
      pkgs.bash
      pkgs.coreutils
      pkgs.git
      pkgs.nginx
    ];
    postBuild = "[ -x $out/bin/git ] && [ -x $out/bin/bash ] && [ -d $out/share ]";
  };

  join = pkgs.symlinkJoin {
    name = "join";
    paths = [
      (file "a/x" "first")
      (file "a/x" "second")
      (file "a/y" "other")
    ];
    postBuild = ''[ "$(cat $out/a/x $out/a/y)" = firstother ]'';
  };

  farm = pkgs.runCommand "farm-test" { farm = pkgs.linkFarm "farm" { "a/b" = pkgs.hello; }; } ''
    $farm/a/b/bin/hello
    touch $out
  '';

  closure = pkgs.runCommand "closure" { info = pkgs.closureInfo { rootPaths = [ pkgs.hello ]; }; } ''
    grep -q -- -hello- $info/store-paths
    grep -q -- -glibc- $info/store-paths
    [ "$(cat $info/total-nar-size)" -gt 1000000 ]
    touch $out
  '';

  application = pkgs.runCommand "application" {
    app = pkgs.writeShellApplication {
      name = "greet";
      runtimeInputs = [ pkgs.hello ];
      text = ''hello -g "$1"'';
    };
  } ''
    [ "$($app/bin/greet hi)" = hi ]
    if $app/bin/greet; then exit 1; fi
    touch $out
  '';

  shell = pkgs.mkShell {
    packages = [ pkgs.hello ];
    shellHook = "echo hook";
  };
}
