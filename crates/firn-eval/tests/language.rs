//! The language by examples: each text with the value, or the final error, that C++ Nix 2.34.8 gives.

mod common;

type Expected = Result<&'static str, &'static str>;

#[rustfmt::skip]
const CASES: &[(&str, Expected)] = &[
    (r#"1 + 2 * 3 - 4 / 2"#, Ok(r#"5"#)),
    (r#"7 / -2"#, Ok(r#"-3"#)),
    (r#"1 + 2.5"#, Ok(r#"3.5"#)),
    (r#"9223372036854775807 + 1"#, Err(r#"integer overflow in adding 9223372036854775807 + 1"#)),
    (r#"-9223372036854775807 - 2"#, Err(r#"integer overflow in subtracting -9223372036854775807 - 2"#)),
    (r#"-"a""#, Err(r#"expected an integer but found a string: "a""#)),
    (r#"1 / 0"#, Err(r#"division by zero"#)),
    (r#""a" + "b""#, Ok(r#""ab""#)),
    (r#""x${toString [ 1 2.5 true null [ ] [ "y" ] ]}z""#, Ok(r#""x1 2.500000 1  yz""#)),
    (r#"toString 1.0"#, Ok(r#""1.000000""#)),
    (r#"1.0e10"#, Ok(r#"1e+10"#)),
    (r#"1e-7"#, Err(r#"undefined variable 'e-7'"#)),
    (r#"[ 1 2 ] ++ [ 3 ]"#, Ok(r#"[ 1 2 3 ]"#)),
    (r#"{ a = 1; b.c = 2; } // { b = 3; }"#, Ok(r#"{ a = 1; b = 3; }"#)),
    (r#"{ a.b.c = 1; } ? a.b.c"#, Ok(r#"true"#)),
    (r#"{ a = 1; }.b or 5"#, Ok(r#"5"#)),
    (r#"{ a = { }; }.a.b.c or "deep""#, Ok(r#""deep""#)),
    (r#"let a = 1; b = a + 1; in [ a b ]"#, Ok(r#"[ 1 2 ]"#)),
    (r#"rec { a = b; b = 2; }"#, Ok(r#"{ a = 2; b = 2; }"#)),
    (r#"let x = 1; in rec { inherit x; y = x; }"#, Ok(r#"{ x = 1; y = 1; }"#)),
    (r#"let s = { a = 1; b = 2; }; inherit (s) a b; in a + b"#, Ok(r#"3"#)),
    (r#"with { a = 1; }; with { a = 2; }; a"#, Ok(r#"2"#)),
    (r#"let a = 0; in with { a = 1; }; a"#, Ok(r#"0"#)),
    (r#"(x: y: z: [ x y z ]) 1 2 3"#, Ok(r#"[ 1 2 3 ]"#)),
    (r#"let f = x: y: x - y; g = f 10; in [ (g 1) (g 2) ]"#, Ok(r#"[ 9 8 ]"#)),
    (r#"({ a, b ? a + 1, ... }@all: [ a b (all.c or 0) ]) { a = 1; c = 3; }"#, Ok(r#"[ 1 2 3 ]"#)),
    (r#"({ a ? b, b ? 2 }: a) { }"#, Ok(r#"2"#)),
    (r#"({ a }: a) { }"#, Err(r#"function 'anonymous lambda' called without required argument 'a'"#)),
    (r#"({ a }: a) { a = 1; b = 2; }"#, Err(r#"function 'anonymous lambda' called with unexpected argument 'b'"#)),
    (r#"builtins.functionArgs ({ a, b ? 1 }: a)"#, Ok(r#"{ a = false; b = true; }"#)),
    (r#"builtins.functionArgs (x: x)"#, Ok(r#"{ }"#)),
    (r#"let s = { __functor = self: x: x + self.n; n = 5; }; in s 2"#, Ok(r#"7"#)),
    (r#""${{ __toString = self: "str ${self.x}"; x = "y"; }}""#, Ok(r#""str y""#)),
    (r#""${{ outPath = "/foo"; }}""#, Ok(r#""/foo""#)),
    (r#"builtins.attrNames { b = 1; a = 2; "B" = 3; "_" = 4; "10" = 5; "9" = 6; }"#, Ok(r#"[ "10" "9" "B" "_" "a" "b" ]"#)),
    (r#"builtins.attrValues { b = 1; a = 2; }"#, Ok(r#"[ 2 1 ]"#)),
    (r#"builtins.mapAttrs (n: v: n + toString v) { x = 1; y = 2; }"#, Ok(r#"{ x = "x1"; y = "y2"; }"#)),
    (r#"builtins.removeAttrs { a = 1; b = 2; c = 3; } [ "b" "z" ]"#, Ok(r#"{ a = 1; c = 3; }"#)),
    (r#"builtins.intersectAttrs { a = 0; b = 0; } { b = 1; c = 2; }"#, Ok(r#"{ b = 1; }"#)),
    (r#"builtins.listToAttrs [ { name = "a"; value = 1; } { name = "a"; value = 2; } ]"#, Ok(r#"{ a = 1; }"#)),
    (r#"builtins.zipAttrsWith (n: vs: vs) [ { a = 1; } { a = 2; b = 3; } ]"#, Ok(r#"{ a = [ 1 2 ]; b = [ 3 ]; }"#)),
    (r#"builtins.groupBy (x: if x > 2 then "big" else "small") [ 1 2 3 4 ]"#, Ok(r#"{ big = [ 3 4 ]; small = [ 1 2 ]; }"#)),
    (r#"builtins.partition (x: x > 2) [ 1 2 3 4 ]"#, Ok(r#"{ right = [ 3 4 ]; wrong = [ 1 2 ]; }"#)),
    (r#"builtins.sort (a: b: a < b) [ 3 1 2 ]"#, Ok(r#"[ 1 2 3 ]"#)),
    (r#"builtins.sort (a: b: builtins.head a < builtins.head b) [ [ 2 "a" ] [ 1 "b" ] [ 2 "c" ] [ 1 "d" ] ]"#, Ok(r#"[ [ 1 "b" ] [ 1 "d" ] [ 2 "a" ] [ 2 "c" ] ]"#)),
    (r#"builtins.sort builtins.lessThan [ "b" "a" "B" ]"#, Ok(r#"[ "B" "a" "b" ]"#)),
    (r#"builtins.foldl' (a: b: a * 10 + b) 0 [ 1 2 3 ]"#, Ok(r#"123"#)),
    (r#"builtins.genList (x: x * x) 5"#, Ok(r#"[ 0 1 4 9 16 ]"#)),
    (r#"builtins.concatMap (x: [ x x ]) [ 1 2 ]"#, Ok(r#"[ 1 1 2 2 ]"#)),
    (r#"builtins.concatLists [ [ 1 ] [ ] [ 2 3 ] ]"#, Ok(r#"[ 1 2 3 ]"#)),
    (r#"builtins.elem 2 [ 1 2 ]"#, Ok(r#"true"#)),
    (r#"builtins.elemAt [ 1 2 3 ] 3"#, Err(r#"'builtins.elemAt' called with index 3 on a list of size 3"#)),
    (r#"builtins.head [ ]"#, Err(r#"'builtins.head' called on an empty list"#)),
    (r#"builtins.filter (x: x != 2) [ 1 2 3 ]"#, Ok(r#"[ 1 3 ]"#)),
    (r#"builtins.all (x: x) [ ]"#, Ok(r#"true"#)),
    (r#"builtins.any (x: x == 1) [ 1 (throw "not needed") ]"#, Ok(r#"true"#)),
    (r#"map (f: f 1) [ (x: x) (x: x + 1) ]"#, Ok(r#"[ 1 2 ]"#)),
    (r#"builtins.genericClosure { startSet = [ { key = 1; } ]; operator = x: if x.key < 4 then [ { key = x.key + 1; } { key = 2; } ] else [ ]; }"#, Ok(r#"[ { key = 1; } { key = 2; } { key = 3; } { key = 4; } ]"#)),
    (r#"builtins.genericClosure { startSet = [ { key = "a"; } { key = "b"; } { key = "a"; v = 1; } ]; operator = x: [ ]; }"#, Ok(r#"[ { key = "a"; } { key = "b"; } ]"#)),
    (r#"builtins.tryEval (throw "x")"#, Ok(r#"{ success = false; value = false; }"#)),
    (r#"builtins.tryEval (assert false; 1)"#, Ok(r#"{ success = false; value = false; }"#)),
    (r#"(builtins.tryEval { a = throw "lazy"; }).success"#, Ok(r#"true"#)),
    (r#"builtins.tryEval (abort "no")"#, Err(r#"evaluation aborted with the following error message: 'no'"#)),
    (r#"builtins.seq (throw "forced") 1"#, Err(r#"forced"#)),
    (r#"builtins.seq { a = throw "not forced"; } 1"#, Ok(r#"1"#)),
    (r#"builtins.deepSeq { a = throw "deep"; } 1"#, Err(r#"deep"#)),
    (r#"[ (1 < 2) (1.5 < 2) ("a" < "b") ([ 1 2 ] < [ 1 3 ]) ([ 1 ] < [ ]) (/a < /b) ]"#, Ok(r#"[ true true true true false true ]"#)),
    (r#"[ 1 ] < [ "a" ]"#, Err(r#"cannot compare an integer with a string; values are 1 and "a""#)),
    (r#"{ } < { }"#, Err(r#"cannot compare a set with a set; values of that type are incomparable (values are { } and { })"#)),
    (r#"null < null"#, Err(r#"cannot compare null with null; values of that type are incomparable (values are null and null)"#)),
    (r#"[ (1 == 1.0) ("a" == "a") ([ 1 { a = 2; } ] == [ 1 { a = 2; } ]) ({ a = 1; } == { b = 1; }) (null == false) ]"#, Ok(r#"[ true true true false false ]"#)),
    (r#"let f = x: x; in [ (f == f) ([ f ] == [ f ]) ({ g = f; } == { g = f; }) ]"#, Ok(r#"[ false true true ]"#)),
    (r#"builtins.substring 1 2 "hello""#, Ok(r#""el""#)),
    (r#"builtins.substring 3 (-1) "hello""#, Ok(r#""lo""#)),
    (r#"builtins.substring (-1) 2 "hello""#, Err(r#"negative start position in 'substring'"#)),
    (r#"builtins.substring 10 2 "hello""#, Ok(r#""""#)),
    (r#"builtins.replaceStrings [ "a" "" "oo" ] [ "A" "-" "0" ] "foo bar""#, Ok(r#""-f-o-o- -bA-r-""#)),
    (r#"builtins.replaceStrings [ "x" ] [ (throw "unused") ] "abc""#, Ok(r#""abc""#)),
    (r#"builtins.concatStringsSep ", " [ "a" "b" ]"#, Ok(r#""a, b""#)),
    (r#"builtins.stringLength "äb""#, Ok(r#"3"#)),
    (r#"builtins.match "a(b)?c" "ac""#, Ok(r#"[ null ]"#)),
    (r#"builtins.match "([a-z]+)-([0-9.]+)" "nginx-1.26.2""#, Ok(r#"[ "nginx" "1.26.2" ]"#)),
    (r#"builtins.match "x" "xy""#, Ok(r#"null"#)),
    (r#"builtins.split "(-)" "a-b-c""#, Ok(r#"[ "a" [ "-" ] "b" [ "-" ] "c" ]"#)),
    (r#"builtins.split "[0-9]+" "a1b22c""#, Ok(r#"[ "a" [ ] "b" [ ] "c" ]"#)),
    (r#"builtins.splitVersion "1.2pre3-4""#, Ok(r#"[ "1" "2" "pre" "3" "4" ]"#)),
    (r#"builtins.compareVersions "2.3pre1" "2.3""#, Ok(r#"-1"#)),
    (r#"builtins.parseDrvName "nix-2.34.8""#, Ok(r#"{ name = "nix"; version = "2.34.8"; }"#)),
    (r#"builtins.hashString "sha256" "hello""#, Ok(r#""2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824""#)),
    (r#"builtins.hashString "md5" """#, Ok(r#""d41d8cd98f00b204e9800998ecf8427e""#)),
    (r#"builtins.convertHash { hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="; toHashFormat = "base16"; }"#, Ok(r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#)),
    (r#"builtins.toJSON { a = [ 1 2.5 "x\n" null true ]; b = { outPath = "p"; }; }"#, Ok(r#""{\"a\":[1,2.5,\"x\\n\",null,true],\"b\":\"p\"}""#)),
    (r#"builtins.fromJSON "{\"a\": [1, 2.5, \"x\", null, true]}""#, Ok(r#"{ a = [ 1 2.5 "x" null true ]; }"#)),
    (r#"builtins.toXML { a = [ 1 "<x>" ]; f = { x, y ? 1 }: x; }"#, Ok(r#""<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <attrs>\n    <attr name=\"a\">\n      <list>\n        <int value=\"1\" />\n        <string value=\"&lt;x&gt;\" />\n      </list>\n    </attr>\n    <attr name=\"f\">\n      <function>\n        <attrspat>\n          <attr name=\"x\" />\n          <attr name=\"y\" />\n        </attrspat>\n      </function>\n    </attr>\n  </attrs>\n</expr>\n""#)),
    (r#"builtins.typeOf (builtins.add 1)"#, Ok(r#""lambda""#)),
    (r#"map builtins.typeOf [ 1 1.0 "" /a null true { } [ ] (x: x) ]"#, Ok(r#"[ "int" "float" "string" "path" "null" "bool" "set" "list" "lambda" ]"#)),
    (r#"builtins.isFunction builtins.isFunction"#, Ok(r#"true"#)),
    (r#"builtins.ceil 1.2 + builtins.floor (-1.2)"#, Ok(r#"0"#)),
    (r#"builtins.bitAnd 12 10 + builtins.bitOr 12 10 + builtins.bitXor 12 10"#, Ok(r#"28"#)),
    (r#"baseNameOf "/a/b/""#, Ok(r#""b""#)),
    (r#"baseNameOf /a/b"#, Ok(r#""b""#)),
    (r#"dirOf "/a/b""#, Ok(r#""/a""#)),
    (r#"dirOf /a/b"#, Ok(r#"/a"#)),
    (r#"dirOf "a""#, Ok(r#"".""#)),
    (r#"/a + "/b/../c""#, Ok(r#"/a/c"#)),
    (r#"/a + /b"#, Ok(r#"/a/b"#)),
    (r#""${"$"}{x} \${y} ''""#, Ok(r#""\${x} \${y} ''""#)),
    (r#"''
  indented
    ${"text"}
  ''"#, Ok(r#""indented\n  text\n""#)),
    (r#"rec { __overrides = { a = 2; }; a = 1; b = a; }"#, Ok(r#"{ __overrides = { a = 2; }; a = 2; b = 2; }"#)),
    (r#"let { body = a; a = 5; }"#, Ok(r#"5"#)),
    (r#"{ ${null} = 1; ${"b"} = 2; }"#, Ok(r#"{ b = 2; }"#)),
    (r#"{ a = 1; ${"a"} = 2; }"#, Err(r#"attribute 'a' already defined at «string»:1:3"#)),
    (r#"builtins.catAttrs "a" [ { a = 1; } { } { a = 2; } ]"#, Ok(r#"[ 1 2 ]"#)),
    (r#"builtins.hasContext (toString /a)"#, Ok(r#"false"#)),
    (r#"builtins.getContext (builtins.toFile "x" "y")"#, Ok(r#"{ "/nix/store/lfngsssysp6h1v4ccqg23c52s9sjl779-x" = { path = true; }; }"#)),
    (r#"builtins.toFile "x" "y""#, Ok(r#""/nix/store/lfngsssysp6h1v4ccqg23c52s9sjl779-x""#)),
    (r#"builtins.placeholder "out""#, Ok(r#""/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9""#)),
    (r#"builtins.unsafeGetAttrPos "a" { a = 1; }"#, Ok(r#"null"#)),
    (r#"(derivation { name = "d"; system = "s"; builder = "b"; }).outPath"#, Ok(r#""/nix/store/82l07bidcfxgl7gmwsa4k2knxhf892s4-d""#)),
    (r#"(derivation { name = "d"; system = "s"; builder = "b"; args = [ "x" 1 ]; outputs = [ "out" "dev" ]; n = null; t = true; l = [ "a" "b" ]; }).dev.outPath"#, Ok(r#""/nix/store/pq8p6ikniw8if5aifrlq5sbgvi7mcbs3-d-dev""#)),
    (r#"(derivation { name = "d"; system = "s"; builder = "b"; outputHash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="; }).drvPath"#, Ok(r#""/nix/store/c8y60rjmsf6b2z7qwg6ph5rs3pj1sdil-d.drv""#)),
    (r#"(derivation { name = "d"; system = "s"; builder = "b"; __structuredAttrs = true; a.b = [ 1 2 ]; outputs = [ "out" "lib" ]; }).drvPath"#, Ok(r#""/nix/store/a4var9yf69xgwa1z1wr1585csn9hjk79-d.drv""#)),
    (r#"(derivation { name = "d"; system = "s"; builder = "b"; __ignoreNulls = true; a = null; }).drvPath"#, Ok(r#""/nix/store/9m3vsva6r393zgjc1g7ncynv7cvdx6sj-d.drv""#)),
    (r#"let d = derivation { name = "d"; system = "s"; builder = "b"; }; in (derivation { name = "e"; system = "s"; builder = "${d}/bin"; src = builtins.toFile "x" "y"; }).drvPath"#, Ok(r#""/nix/store/i4kffxh3sv3xbwc48azc5ya378nncg8h-e.drv""#)),
    (r#"let d = derivation { name = "d"; system = "s"; builder = "b"; outputs = [ "out" "dev" ]; }; in builtins.getContext "${d} ${d.dev} ${d.drvPath}""#, Ok(r#"{ "/nix/store/hx8vc8l2pwdjwp4wglkymq9988fy424a-d.drv" = { allOutputs = true; outputs = [ "dev" "out" ]; }; }"#)),
    (r#"let d = derivation { name = "d"; system = "s"; builder = "b"; }; in (derivation { name = "e"; system = "s"; builder = "b"; x = builtins.unsafeDiscardOutputDependency d.drvPath; }).drvPath"#, Ok(r#""/nix/store/q6j73dgxk6nfpzbmlw55haw537c0vkn4-e.drv""#)),
    (r#"derivation { name = "d b"; system = "s"; builder = "b"; }"#, Err(r#"invalid derivation name: name 'd b' contains illegal character ' '. Please pass a different 'name'."#)),
    (r#"(import <nix/fetchurl.nix> { url = "https://example.org/x.tar.gz"; sha256 = "0000000000000000000000000000000000000000000000000000"; }).drvPath"#, Ok(r#""/nix/store/fk8n6q3ff6skrjssnh5iqdlfsm5plz9i-x.tar.gz.drv""#)),
    (r#"let a = 1; in assert a == 2; a"#, Err(r#"an integer with value '1' is not equal to an integer with value '2'"#)),
    (r#"assert { a = 1; } == { a = 2; }; 1"#, Err(r#"an integer with value '1' is not equal to an integer with value '2'"#)),
    (r#"foo"#, Err(r#"undefined variable 'foo'"#)),
    (r#"1 2"#, Err(r#"attempt to call something which is not a function but an integer: 1"#)),
    (r#"{ }.a"#, Err(r#"attribute 'a' missing"#)),
    (r#""a" 1"#, Err(r#"attempt to call something which is not a function but a string: "a""#)),
    (r#"null.a"#, Err(r#"expected a set but found null: null"#)),
    (r#"with 1; x"#, Err(r#"expected a set but found an integer: 1"#)),
    (r#"[ 1 ] ++ 2"#, Err(r#"expected a list but found an integer: 2"#)),
    (r#"{ } // 1"#, Err(r#"expected a set but found an integer: 1"#)),
    (r#"!1"#, Err(r#"expected a Boolean but found an integer: 1"#)),
    (r#"1 && true"#, Err(r#"expected a Boolean but found an integer: 1"#)),
    (r#"builtins.addErrorContext "ctx" (throw "inner")"#, Err(r#"inner"#)),
    (r#"let x = x; in x"#, Err(r#"infinite recursion encountered"#)),
    (r#"let x = { a = x.b; b = x.a; }; in x.a"#, Err(r#"infinite recursion encountered"#)),
    (r#"builtins.length 1"#, Err(r#"expected a list but found an integer: 1"#)),
    (r#"throw "message""#, Err(r#"message"#)),
    (r#"abort "message""#, Err(r#"evaluation aborted with the following error message: 'message'"#)),
    (r#"builtins.langVersion"#, Ok(r#"6"#)),
    (r#"builtins.nixVersion"#, Ok(r#""2.34.8""#)),
    (r#"builtins.storeDir"#, Ok(r#""/nix/store""#)),
    (r#"__curPos"#, Ok(r#"null"#)),
    (r#"[ (let x = [ x ]; in x) ]"#, Ok(r#"[ [ [ «repeated» ] ] ]"#)),
    (r#"builtins.genericClosure { startSet = [ { key = 1; } { key = "a"; } ]; operator = x: [ ]; }"#, Err(r#"cannot compare a string with an integer; values are "a" and 1"#)),
    (r#"builtins.fetchurl "https://example.org/a~b""#, Err(r#"invalid store path name when fetching URL 'https://example.org/a~b': name 'a~b' contains illegal character '~'. Please pass an attribute set with 'url' and 'name' attributes to 'fetchurl',  so that it can create a valid store path."#)),
    (r#"builtins.fetchurl { url = "https://example.org/a~b"; }"#, Err(r#"invalid store path name when fetching URL 'https://example.org/a~b': name 'a~b' contains illegal character '~'. Please add a valid 'name' attribute to the argument for 'fetchurl', so that it can create a valid store path."#)),
    (r#"builtins.fetchurl { url = "https://example.org/a"; name = "~"; }"#, Err(r#"invalid store path name when fetching URL 'https://example.org/a': name '~' contains illegal character '~'. Please change the value for the 'name' attribute passed to 'fetchurl', so that it can create a valid store path."#)),
    (r#"builtins.fetchTree { }"#, Err(r#"argument 'type' is missing in call to 'fetchTree'"#)),
    (r#"builtins.fetchTree { type = "github"; owner = -1; repo = "r"; }"#, Err(r#"negative value given for 'fetchTree' argument 'owner': -1"#)),
    (r#"builtins.fetchTree { type = "git"; url = "/x"; name = "n"; }"#, Err(r#"argument 'name' isn’t supported in call to 'fetchTree'"#)),
    (r#"builtins.fetchTree { type = "tarball"; url = "file:./x.tar"; }"#, Err(r#"tarball 'file:./x.tar' must use an absolute path. The 'file' scheme does not support relative paths."#)),
    (r#"builtins.fetchGit { url = "/x"; wrong = 1; }"#, Err(r#"input attribute 'wrong' not supported by scheme 'git'"#)),
    (r#"builtins.fetchGit { type = "git"; url = "/x"; }"#, Err(r#"unexpected argument 'type'"#)),
    (r#"builtins.parseFlakeRef "github:owner/repo/branch?dir=sub""#, Ok(r#"{ dir = "sub"; owner = "owner"; ref = "branch"; repo = "repo"; type = "github"; }"#)),
    (r#"builtins.parseFlakeRef "./x""#, Err(r#"flake reference './x' is not an absolute path"#)),
    (r#"builtins.parseFlakeRef "https://example.org/y.zip#part""#, Err(r#"unexpected fragment 'part' in flake reference 'https://example.org/y.zip#part'"#)),
    (r#"builtins.flakeRefToString { type = "git"; url = "git@host:x/y"; ref = "a"; }"#, Ok(r#""git+ssh://git@host/x/y?ref=a""#)),
    (r#"builtins.flakeRefToString { type = "indirect"; id = "1x"; }"#, Err(r#"'1x' is not a valid flake ID"#)),
    (r#"builtins.fromTOML "a = \"x\\u0000\"""#, Err(r#"while parsing TOML: error: input string 'x␀' cannot be represented as Nix string because it contains null bytes"#)),
    (r#"builtins.exec [ "true" ]"#, Err(r#"attribute 'exec' missing"#)),
];

#[test]
fn values_and_errors_are_those_of_cpp_nix() {
    let mut wrong = Vec::new();
    for (text, expected) in CASES {
        let got = common::eval(text);
        let same = match (&got, expected) {
            (Ok(a), Ok(b)) => a == b,
            (Err(a), Err(b)) => a == b,
            _ => false,
        };
        if !same {
            wrong.push(format!("{text}\n  expected {expected:?}\n  got      {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[test]
fn failed_thunks_are_not_evaluated_again() {
    use firn_eval::io::{AddPath, Contents, DryIo, EvalIo, Fetch, Filter};
    use firn_eval::{Evaluator, Result, Settings};
    use firn_model::{Derivation, StoreDir, StorePath};
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    /// Keeps messages.
    struct Listening(DryIo, Mutex<Vec<String>>);

    impl EvalIo for Listening {
        fn store_dir(&self) -> &StoreDir {
            self.0.store_dir()
        }
        fn add_path(&self, what: &AddPath<'_>, filter: Option<Filter<'_>>) -> Result<StorePath> {
            self.0.add_path(what, filter)
        }
        fn add_text(
            &self,
            name: &str,
            text: &[u8],
            references: &BTreeSet<StorePath>,
            dry: bool,
        ) -> Result<StorePath> {
            self.0.add_text(name, text, references, dry)
        }
        fn write_derivation(
            &self,
            derivation: &Derivation,
            path: &StorePath,
            contents: Contents,
        ) -> Result<()> {
            self.0.write_derivation(derivation, path, contents)
        }
        fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
            self.0.read_derivation(path)
        }
        fn is_valid(&self, path: &StorePath) -> bool {
            self.0.is_valid(path)
        }
        fn ensure(&self, path: &StorePath) -> Result<()> {
            self.0.ensure(path)
        }
        fn references(&self, path: &StorePath) -> BTreeSet<StorePath> {
            self.0.references(path)
        }
        fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
            self.0.closure(path)
        }
        fn realise(
            &self,
            outputs: &[(firn_eval::context::DerivedPath, Box<str>)],
        ) -> Result<Vec<StorePath>> {
            self.0.realise(outputs)
        }
        fn fetch(&self, what: &Fetch<'_>) -> Result<StorePath> {
            self.0.fetch(what)
        }
        fn message(&self, text: &[u8]) {
            self.1.lock().expect("messages").push(String::from_utf8_lossy(text).into_owned());
        }
        fn flush(&self) -> Result<()> {
            self.0.flush()
        }
        fn silence(&self) {}
    }

    let io = Arc::new(Listening(DryIo::default(), Mutex::default()));
    let text = r#"
        let
          inner = builtins.trace "inner" (throw "broken");
          outer = builtins.trace "outer" (inner + 1);
          tried = x: (builtins.tryEval x).success;
        in [ (tried outer) (tried outer) (tried inner) ]"#;
    let shown = Evaluator::new(Arc::<Listening>::clone(&io), Settings::default()).run(|vm| {
        let origin = firn_syntax::Origin::String;
        let v = vm.eval_text(origin, text.as_bytes(), std::path::Path::new("/"));
        v.and_then(|v| vm.force_deep(v)).and_then(|v| firn_eval::print::ambiguous(vm, v))
    });
    assert_eq!(shown.expect("a list"), b"[ false false false ]");
    assert_eq!(*io.1.lock().expect("messages"), ["trace: outer", "trace: inner"]);
}
