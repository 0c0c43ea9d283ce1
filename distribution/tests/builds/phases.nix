# stdenv's phases and hooks: outputs, patches, substitution, shebangs, structured attributes, wrappers.
{ pkgs, lib }:
let
  inherit (pkgs) stdenv;
in
{
  outputs = stdenv.mkDerivation {
    name = "several-outputs";
    outputs = [
      "out"
      "dev"
      "man"
    ];
    dontUnpack = true;
    nativeBuildInputs = [ pkgs.installShellFiles ];
    buildPhase = ''
      echo 'int f(void) { return 1; }' > f.c
      $CC -shared f.c -o libf.so
      printf '#!/usr/bin/env bash\necho hi\n' > s
      echo manual > s.1
    '';
    installPhase = ''
      install -D libf.so $out/lib/libf.so
      mkdir -p $out/include
      echo 'int f(void);' > $out/include/f.h
      install -Dm755 s $out/sbin/s
      installManPage s.1
    '';
    doInstallCheck = true;
    installCheckPhase = ''
      test -e $dev/include/f.h
      test ! -e $out/include
      test -e $man/share/man/man1/s.1.gz
      test -L $out/sbin
      [ "$($out/bin/s)" = hi ]
      head -n 1 $out/bin/s | grep -q '^#!/nix/store/'
      grep -q "$out" $dev/nix-support/propagated-build-inputs
    '';
  };

  patches = stdenv.mkDerivation {
    name = "patches";
    src = pkgs.writeTextDir "f" "hello\n";
    patches = [ (pkgs.writeText "p.patch" "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-hello\n+world\n") ];
    postPatch = ''
      [ "$(cat f)" = world ]
      substituteInPlace f --replace-fail world "& \\1 w"
      [ "$(cat f)" = '& \1 w' ]
      if (substituteInPlace f --replace-fail none x); then exit 1; fi
      substituteInPlace f --replace-warn none x
      export name2=value
      echo '@name2@ @other@' > g
      substitute g h --subst-var name2 --subst-var-by other thing
      [ "$(cat h)" = "value thing" ]
    '';
    installPhase = "cp f $out";
  };

  structured = stdenv.mkDerivation {
    name = "structured";
    __structuredAttrs = true;
    outputs = [
      "out"
      "dev"
    ];
    dontUnpack = true;
    list = [
      "a b"
      "c"
    ];
    env.FOO = "bar";
    buildPhase = ''
      [ "''${#list[@]}" = 2 ]
      [ "''${list[0]}" = "a b" ]
      [ "$FOO" = bar ]
      appendToVar list d
      [ "''${list[2]}" = d ]
    '';
    installPhase = "mkdir -p $out/include; touch $out/include/h $out/x";
  };

  hooks = stdenv.mkDerivation {
    name = "hooks";
    dontUnpack = true;
    preBuild = "order=1";
    buildPhase = ''
      runHook preBuild
      order+=2
      runHook postBuild
    '';
    postBuild = "order+=3";
    installPhase = ''
      [ "$order" = 123 ]
      touch $out
    '';
  };

  wrappers = pkgs.runCommand "wrappers" { nativeBuildInputs = [ pkgs.makeWrapper ]; } ''
    mkdir -p $out/bin
    cp ${pkgs.hello}/bin/hello $out/bin/hello
    wrapProgram $out/bin/hello --set LANG C --add-flags "-g 'hi there'"
    [ "$($out/bin/hello)" = "hi there" ]
    makeWrapper ${pkgs.bash}/bin/bash $out/bin/b --prefix FOO : /x --suffix FOO : /y --set-default BAR 1 --unset GONE --run 'echo run'
    [ "$(GONE=1 FOO=a:b $out/bin/b -c 'echo $FOO $BAR $GONE')" = "$(printf 'run\n/x:a:b:/y 1')" ]
  '';

  vars = pkgs.runCommand "vars" { } ''
    [ "$(cat ${pkgs.replaceVars (builtins.toFile "x" "a @a@ b @b@") { a = "1"; b = "2"; }})" = "a 1 b 2" ]
    touch $out
  '';
}
