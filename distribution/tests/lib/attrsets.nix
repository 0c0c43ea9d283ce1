# Functions on attribute sets.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testAttrByPath1 = {
    expr = lib.attrByPath [ "a" "b" ] 6 { a.b = 3; };
    expected = 3;
  };
  testAttrByPath2 = {
    expr = lib.attrByPath [ "z" "z" ] 6 { a.b = 3; };
    expected = 6;
  };
  testAttrByPath3 = {
    expr = lib.attrByPath [ ] 6 { a = 1; };
    expected = { a = 1; };
  };
  testAttrByPath4 = {
    expr = lib.attrByPath [ "a" "b" ] 6 { a = 3; };
    expected = 6;
  };
  testHasAttrByPath1 = {
    expr = lib.hasAttrByPath [ "a" "b" ] { a.b = 3; };
    expected = true;
  };
  testHasAttrByPath2 = {
    expr = lib.hasAttrByPath [ "a" "c" ] { a.b = 3; };
    expected = false;
  };
  testHasAttrByPath3 = {
    expr = lib.hasAttrByPath [ ] { };
    expected = true;
  };
  testAttrsetsLongestValidPathPrefix1 = {
    expr = lib.attrsets.longestValidPathPrefix [ "a" "b" "c" ] { a.b = 3; };
    expected = [ "a" "b" ];
  };
  testAttrsetsLongestValidPathPrefix2 = {
    expr = lib.attrsets.longestValidPathPrefix [ "x" ] { a.b = 3; };
    expected = [ ];
  };
  testSetAttrByPath1 = {
    expr = lib.setAttrByPath [ "a" "b" ] 3;
    expected = { a = { b = 3; }; };
  };
  testSetAttrByPath2 = {
    expr = lib.setAttrByPath [ ] 3;
    expected = 3;
  };
  testGetAttrFromPath1 = {
    expr = lib.getAttrFromPath [ "a" "b" ] { a.b = 3; };
    expected = 3;
  };
  testConcatMapAttrs1 = {
    expr = lib.concatMapAttrs (n: v: { ${n} = v; ${n + v} = v; }) { x = "a"; y = "b"; };
    expected = { x = "a"; xa = "a"; y = "b"; yb = "b"; };
  };
  testUpdateManyAttrsByPath1 = {
    expr = lib.updateManyAttrsByPath [ { path = [ "a" "b" ]; update = old: { d = old.c; }; } { path = [ "a" "b" "c" ]; update = old: old + 1; } { path = [ "x" "y" ]; update = old: "xy"; } ] { a.b.c = 0; };
    expected = { a = { b = { d = 1; }; }; x = { y = "xy"; }; };
  };
  testUpdateManyAttrsByPath2 = {
    expr = lib.updateManyAttrsByPath [ ] 5;
    expected = 5;
  };
  testUpdateManyAttrsByPath3 = {
    expr = lib.updateManyAttrsByPath [ { path = [ ]; update = old: old + 1; } { path = [ ]; update = old: old * 2; } ] 5;
    expected = 12;
  };
  testAttrVals1 = {
    expr = lib.attrVals [ "a" "b" ] { a = 1; b = 2; c = 3; };
    expected = [ 1 2 ];
  };
  testGetAttrs1 = {
    expr = lib.getAttrs [ "a" "b" ] { a = 1; b = 2; c = 3; };
    expected = { a = 1; b = 2; };
  };
  testFilterAttrs1 = {
    expr = lib.filterAttrs (n: v: n == "foo" || v == 3) { foo = 1; bar = 2; baz = 3; };
    expected = { baz = 3; foo = 1; };
  };
  testFilterAttrsRecursive1 = {
    expr = lib.filterAttrsRecursive (n: v: v != null) { foo = { bar = null; }; x = null; y = { z = 1; }; };
    expected = { foo = { }; y = { z = 1; }; };
  };
  testAttrsetsFoldlAttrs1 = {
    expr = lib.attrsets.foldlAttrs (acc: n: v: { sum = acc.sum + v; names = acc.names + n; }) { sum = 0; names = ""; } { b = 1; a = 3; };
    expected = { names = "ab"; sum = 4; };
  };
  testFoldAttrs1 = {
    expr = lib.foldAttrs (i: acc: [ i ] ++ acc) [ ] [ { a = 2; } { a = 3; } { b = 6; } ];
    expected = { a = [ 2 3 ]; b = [ 6 ]; };
  };
  testCollect1 = {
    expr = lib.collect lib.isList { a = { b = [ "b" ]; }; c = [ 1 ]; d = 3; };
    expected = [ [ "b" ] [ 1 ] ];
  };
  testCollect2 = {
    expr = lib.collect (x: x ? outPath) { a = { outPath = "a/"; }; b = { outPath = "b/"; x.outPath = "c"; }; };
    expected = [ { outPath = "a/"; } { outPath = "b/"; x = { outPath = "c"; }; } ];
  };
  testCartesianProduct1 = {
    expr = lib.cartesianProduct { a = [ 1 2 ]; b = [ 10 20 ]; };
    expected = [ { a = 1; b = 10; } { a = 1; b = 20; } { a = 2; b = 10; } { a = 2; b = 20; } ];
  };
  testCartesianProduct2 = {
    expr = lib.cartesianProduct { };
    expected = [ { } ];
  };
  testCartesianProduct3 = {
    expr = lib.cartesianProduct { a = [ ]; b = [ 1 ]; };
    expected = [ ];
  };
  testMapCartesianProduct1 = {
    expr = lib.mapCartesianProduct ({ a, b }: "${a}-${b}") { a = [ "1" "2" ]; b = [ "3" "4" ]; };
    expected = [ "1-3" "1-4" "2-3" "2-4" ];
  };
  testNameValuePair1 = {
    expr = lib.nameValuePair "some" 6;
    expected = { name = "some"; value = 6; };
  };
  testMapAttrsPrime1 = {
    expr = lib.mapAttrs' (n: v: lib.nameValuePair ("foo_" + n) ("bar-" + v)) { x = "a"; y = "b"; };
    expected = { foo_x = "bar-a"; foo_y = "bar-b"; };
  };
  testMapAttrsToList1 = {
    expr = lib.mapAttrsToList (n: v: n + v) { x = "a"; y = "b"; };
    expected = [ "xa" "yb" ];
  };
  testAttrsToList1 = {
    expr = lib.attrsToList { foo = 1; bar = "asdf"; };
    expected = [ { name = "bar"; value = "asdf"; } { name = "foo"; value = 1; } ];
  };
  testMapAttrsRecursive1 = {
    expr = lib.mapAttrsRecursive (path: value: lib.concatStringsSep "-" (path ++ [ value ])) { n = { a = "A"; m = { b = "B"; }; }; d = "D"; };
    expected = { d = "d-D"; n = { a = "n-a-A"; m = { b = "n-m-b-B"; }; }; };
  };
  testMapAttrsRecursiveCond1 = {
    expr = lib.mapAttrsRecursiveCond (as: !(as ? "type" && as.type == "x")) (path: value: if builtins.isAttrs value then value.type else value) { a.type = "x"; b.c = 1; };
    expected = { a = "x"; b = { c = 1; }; };
  };
  testMapAttrsToListRecursive1 = {
    expr = lib.mapAttrsToListRecursive (p: v: "${lib.concatStringsSep "." p}=${v}") { a.b = "1"; c = "2"; };
    expected = [ "a.b=1" "c=2" ];
  };
  testMapAttrsToListRecursiveCond1 = {
    expr = lib.mapAttrsToListRecursiveCond (p: as: !(lib.isDerivation as)) (p: v: p) { a = { type = "derivation"; }; c.d = "2"; };
    expected = [ [ "a" ] [ "c" "d" ] ];
  };
  testGenAttrs1 = {
    expr = lib.genAttrs [ "foo" "bar" ] (name: "x_" + name);
    expected = { bar = "x_bar"; foo = "x_foo"; };
  };
  testGenAttrsPrime1 = {
    expr = lib.genAttrs' [ "foo" "bar" ] (s: lib.nameValuePair ("x_" + s) ("y_" + s));
    expected = { x_bar = "y_bar"; x_foo = "y_foo"; };
  };
  testIsDerivation1 = {
    expr = lib.isDerivation { type = "derivation"; };
    expected = true;
  };
  testIsDerivation2 = {
    expr = lib.isDerivation 1;
    expected = false;
  };
  testIsDerivation3 = {
    expr = lib.isDerivation { };
    expected = false;
  };
  testOptionalAttrs1 = {
    expr = lib.optionalAttrs true { my = "set"; };
    expected = { my = "set"; };
  };
  testOptionalAttrs2 = {
    expr = lib.optionalAttrs false { my = "set"; };
    expected = { };
  };
  testZipAttrsWithNames1 = {
    expr = lib.zipAttrsWithNames [ "a" ] (name: vs: vs) [ { a = "x"; } { a = "y"; b = "z"; } ];
    expected = { a = [ "x" "y" ]; };
  };
  testZipAttrsWith1 = {
    expr = lib.zipAttrsWith (name: vs: vs) [ { a = "x"; } { a = "y"; b = "z"; } ];
    expected = { a = [ "x" "y" ]; b = [ "z" ]; };
  };
  testZipAttrs1 = {
    expr = lib.zipAttrs [ { a = "x"; } { a = "y"; b = "z"; } ];
    expected = { a = [ "x" "y" ]; b = [ "z" ]; };
  };
  testAttrsetsMergeAttrsList1 = {
    expr = lib.attrsets.mergeAttrsList [ { a = 0; b = 1; } { c = 2; } { b = 3; } ];
    expected = { a = 0; b = 3; c = 2; };
  };
  testAttrsetsMergeAttrsList2 = {
    expr = lib.attrsets.mergeAttrsList [ ];
    expected = { };
  };
  testRecursiveUpdateUntil1 = {
    expr = lib.recursiveUpdateUntil (path: l: r: path == [ "foo" ]) { foo.bar = 1; foo.baz = 2; bar = 3; } { foo.bar = 1; foo.quz = 2; baz = 4; };
    expected = { bar = 3; baz = 4; foo = { bar = 1; quz = 2; }; };
  };
  testRecursiveUpdate1 = {
    expr = lib.recursiveUpdate { boot.loader.grub.enable = true; boot.loader.grub.device = "/dev/hda"; } { boot.loader.grub.device = ""; };
    expected = { boot = { loader = { grub = { device = ""; enable = true; }; }; }; };
  };
  testRecursiveUpdate2 = {
    expr = lib.recursiveUpdate { a.b = 1; } { a = 2; };
    expected = { a = 2; };
  };
  testRecursiveUpdate3 = {
    expr = lib.recursiveUpdate { a = 1; } { a.b = 2; };
    expected = { a = { b = 2; }; };
  };
  testMatchAttrs1 = {
    expr = lib.matchAttrs { cpu = { }; } { cpu = { bits = 64; }; };
    expected = true;
  };
  testMatchAttrs2 = {
    expr = lib.matchAttrs { cpu.bits = 64; } { cpu = { bits = 64; x = 1; }; };
    expected = true;
  };
  testMatchAttrs3 = {
    expr = lib.matchAttrs { cpu.bits = 32; } { cpu = { bits = 64; x = 1; }; };
    expected = false;
  };
  testMatchAttrs4 = {
    expr = lib.matchAttrs { x = 1; } { };
    expected = false;
  };
  testOverrideExisting1 = {
    expr = lib.overrideExisting { a = 1; b = 2; } { b = 3; c = 4; };
    expected = { a = 1; b = 3; };
  };
  testShowAttrPath1 = {
    expr = lib.showAttrPath [ "foo" "10" "bar" ];
    expected = "foo.\"10\".bar";
  };
  testShowAttrPath2 = {
    expr = lib.showAttrPath [ ];
    expected = "<root attribute path>";
  };
  testGetOutput1 = {
    expr = lib.getOutput "dev" { dev = "d"; out = "o"; };
    expected = "d";
  };
  testGetOutput2 = {
    expr = lib.getOutput "dev" { out = "o"; };
    expected = "o";
  };
  testGetOutput3 = {
    expr = lib.getOutput "dev" { dev = "d"; out = "o"; outputSpecified = true; v = 1; };
    expected = { dev = "d"; out = "o"; outputSpecified = true; v = 1; };
  };
  testGetFirstOutput1 = {
    expr = lib.getFirstOutput [ "include" "dev" ] { dev = "d"; out = "o"; };
    expected = "d";
  };
  testGetFirstOutput2 = {
    expr = lib.getFirstOutput [ "include" ] { out = "o"; };
    expected = { out = "o"; };
  };
  testGetBin1 = {
    expr = lib.getBin { bin = "b"; out = "o"; };
    expected = "b";
  };
  testGetLib1 = {
    expr = lib.getLib { out = "o"; };
    expected = "o";
  };
  testGetDev1 = {
    expr = lib.getDev { out = "o"; };
    expected = "o";
  };
  testGetMan1 = {
    expr = lib.getMan { man = "m"; out = "o"; };
    expected = "m";
  };
  testGetStatic1 = {
    expr = lib.getStatic { lib = "l"; out = "o"; };
    expected = "l";
  };
  testGetInclude1 = {
    expr = lib.getInclude { dev = "l"; out = "o"; };
    expected = "l";
  };
  testChooseDevOutputs1 = {
    expr = lib.chooseDevOutputs [ { dev = "l"; } { out = "o"; } ];
    expected = [ "l" "o" ];
  };
  testRecurseIntoAttrs1 = {
    expr = lib.recurseIntoAttrs { a = 1; };
    expected = { a = 1; recurseForDerivations = true; };
  };
  testDontRecurseIntoAttrs1 = {
    expr = lib.dontRecurseIntoAttrs { a = 1; };
    expected = { a = 1; recurseForDerivations = false; };
  };
  testCatAttrs1 = {
    expr = lib.catAttrs "a" [ { a = 1; } { b = 0; } { a = 2; } ];
    expected = [ 1 2 ];
  };
}
