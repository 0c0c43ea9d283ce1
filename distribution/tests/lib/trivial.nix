# Functions, numbers, fixed points, versions, test runners.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testId1 = {
    expr = lib.id 1;
    expected = 1;
  };
  testConst1 = {
    expr = lib.const 1 2;
    expected = 1;
  };
  testPipe1 = {
    expr = lib.pipe 2 [ (x: x + 1) (x: x * 10) ];
    expected = 30;
  };
  testPipe2 = {
    expr = lib.pipe 2 [ ];
    expected = 2;
  };
  testConcat1 = {
    expr = lib.concat [ 1 ] [ 2 ];
    expected = [ 1 2 ];
  };
  testOr1 = {
    expr = lib.or true false;
    expected = true;
  };
  testAnd1 = {
    expr = lib.and true false;
    expected = false;
  };
  testXor1 = {
    expr = lib.xor true true;
    expected = false;
  };
  testBitAnd1 = {
    expr = lib.bitAnd 12 10;
    expected = 8;
  };
  testBitNot1 = {
    expr = lib.bitNot 12;
    expected = -13;
  };
  testBoolToString1 = {
    expr = lib.boolToString true;
    expected = "true";
  };
  testBoolToYesNo1 = {
    expr = lib.boolToYesNo false;
    expected = "no";
  };
  testMergeAttrs1 = {
    expr = lib.mergeAttrs { a = 1; } { a = 2; b = 3; };
    expected = { a = 2; b = 3; };
  };
  testFlip1 = {
    expr = lib.flip (a: b: a - b) 1 5;
    expected = 4;
  };
  testMapNullable1 = {
    expr = lib.mapNullable (x: x + 1) null;
    expected = null;
  };
  testMapNullable2 = {
    expr = lib.mapNullable (x: x + 1) 3;
    expected = 4;
  };
  testDefaultTo1 = {
    expr = lib.defaultTo 4 null;
    expected = 4;
  };
  testDefaultTo2 = {
    expr = lib.defaultTo 4 5;
    expected = 5;
  };
  testMod1 = {
    expr = lib.mod 11 10;
    expected = 1;
  };
  testMod2 = {
    expr = lib.mod (-11) 10;
    expected = -1;
  };
  testMin1 = {
    expr = lib.min 1 2;
    expected = 1;
  };
  testMax1 = {
    expr = lib.max 1 2;
    expected = 2;
  };
  testCompare1 = {
    expr = lib.compare 1 2;
    expected = -1;
  };
  testCompare2 = {
    expr = lib.compare "b" "a";
    expected = 1;
  };
  testCompare3 = {
    expr = lib.compare 1 1;
    expected = 0;
  };
  testSplitByAndCompare1 = {
    expr = lib.splitByAndCompare (lib.hasPrefix "foo") lib.compare lib.compare "foobar" "foa";
    expected = -1;
  };
  testSplitByAndCompare2 = {
    expr = lib.splitByAndCompare (lib.hasPrefix "foo") lib.compare lib.compare "bar" "foo";
    expected = 1;
  };
  testFunctionArgs1 = {
    expr = lib.functionArgs ({ a, b ? 1 }: a);
    expected = { a = false; b = true; };
  };
  testFunctionArgs2 = {
    expr = lib.functionArgs (lib.setFunctionArgs (x: x) { a = true; });
    expected = { a = true; };
  };
  testIsFunction1 = {
    expr = lib.isFunction (x: x);
    expected = true;
  };
  testIsFunction2 = {
    expr = lib.isFunction { __functor = self: x: x; };
    expected = true;
  };
  testIsFunction3 = {
    expr = lib.isFunction { a = 1; };
    expected = false;
  };
  testToFunction1 = {
    expr = lib.toFunction 3 4;
    expected = 3;
  };
  testToFunction2 = {
    expr = lib.toFunction (x: x + 1) 4;
    expected = 5;
  };
  testFunctionArgs3 = {
    expr = lib.functionArgs (lib.mirrorFunctionArgs ({ a, b ? 1 }: a) (x: x));
    expected = { a = false; b = true; };
  };
  testToHexString1 = {
    expr = lib.toHexString 250;
    expected = "FA";
  };
  testToHexString2 = {
    expr = lib.toHexString 0;
    expected = "0";
  };
  testToBaseDigits1 = {
    expr = lib.toBaseDigits 16 250;
    expected = [ 15 10 ];
  };
  testToBaseDigits2 = {
    expr = lib.toBaseDigits 2 10;
    expected = [ 1 0 1 0 ];
  };
  testFromHexString1 = {
    expr = lib.fromHexString "FF";
    expected = 255;
  };
  testFromHexString2 = {
    expr = lib.fromHexString "0x7fffffffffffffff";
    expected = 9223372036854775807;
  };
  testThrowIf1 = {
    expr = lib.throwIf false "no" 5;
    expected = 5;
  };
  testThrowIfNot1 = {
    expr = lib.throwIfNot true "no" 5;
    expected = 5;
  };
  testWarnIf1 = {
    expr = lib.warnIf false "no" 5;
    expected = 5;
  };
  testFix1 = {
    expr = lib.fix (self: { a = 1; b = self.a + 1; });
    expected = { a = 1; b = 2; };
  };
  testFixPrime1 = {
    expr = (lib.fix' (self: { a = 1; b = self.a + 1; })).b;
    expected = 2;
  };
  testConverge1 = {
    expr = lib.converge (x: x / 2) 16;
    expected = 0;
  };
  testFix2 = {
    expr = lib.fix (lib.extends (final: prev: { b = prev.a + 1; c = final.b + 1; }) (self: { a = 1; }));
    expected = { a = 1; b = 2; c = 3; };
  };
  testComposeExtensions1 = {
    expr = lib.composeExtensions (f: p: { a = 1; }) (f: p: { b = p.a + 1; }) { } { };
    expected = { a = 1; b = 2; };
  };
  testComposeManyExtensions1 = {
    expr = lib.composeManyExtensions [ (f: p: { a = p.x; }) (f: p: { b = p.a + 1; a = 7; }) (f: p: { c = p.a; }) ] { } { x = 3; };
    expected = { a = 7; b = 4; c = 7; };
  };
  testComposeManyExtensions2 = {
    expr = lib.composeManyExtensions [ ] { } { x = 3; };
    expected = { };
  };
  testMakeExtensible1 = {
    expr = (lib.makeExtensible (self: { a = 1; b = self.a; })).b;
    expected = 1;
  };
  testMakeExtensible2 = {
    expr = ((lib.makeExtensible (self: { a = 1; b = self.a; })).extend (f: p: { a = p.a + 4; })).b;
    expected = 5;
  };
  testMakeExtensibleWithCustomName1 = {
    expr = ((lib.makeExtensibleWithCustomName "more" (self: { a = 1; })).more (f: p: { b = p.a; })).b;
    expected = 1;
  };
  testToExtension1 = {
    expr = lib.toExtension { a = 1; } 1 2;
    expected = { a = 1; };
  };
  testToExtension2 = {
    expr = lib.toExtension (prev: { a = prev; }) 1 2;
    expected = { a = 2; };
  };
  testToExtension3 = {
    expr = lib.toExtension (final: prev: { a = final; b = prev; }) 1 2;
    expected = { a = 1; b = 2; };
  };
  testVersionsMajor1 = {
    expr = lib.versions.major "1.2.3";
    expected = "1";
  };
  testVersionsMinor1 = {
    expr = lib.versions.minor "1.2.3";
    expected = "2";
  };
  testVersionsPatch1 = {
    expr = lib.versions.patch "1.2.3";
    expected = "3";
  };
  testVersionsMajorMinor1 = {
    expr = lib.versions.majorMinor "1.2.3";
    expected = "1.2";
  };
  testVersionsMajorMinor2 = {
    expr = lib.versions.majorMinor "1";
    expected = "1";
  };
  testVersionsSplitVersion1 = {
    expr = lib.versions.splitVersion "1.2.3pre";
    expected = [ "1" "2" "3" "pre" ];
  };
  testVersionsPad1 = {
    expr = lib.versions.pad 3 "1.2";
    expected = "1.2.0";
  };
  testVersionsPad2 = {
    expr = lib.versions.pad 3 "1.3-rc1";
    expected = "1.3.0-rc1";
  };
  testVersionsPad3 = {
    expr = lib.versions.pad 3 "1.2.3.4";
    expected = "1.2.3";
  };
  testVersionsPad4 = {
    expr = lib.versions.pad 2 "1.2.3-rc1-x";
    expected = "1.2-rc1-x";
  };
  testRunTests1 = {
    expr = lib.runTests { testA = { expr = 1; expected = 1; }; testB = { expr = 1; expected = 2; }; other = { expr = 1; expected = 2; }; };
    expected = [ { expected = 2; name = "testB"; result = 1; } ];
  };
  testRunTests2 = {
    expr = lib.runTests { tests = [ "testA" ]; testA = { expr = 1; expected = 3; }; testB = { expr = 1; expected = 2; }; };
    expected = [ { expected = 3; name = "testA"; result = 1; } ];
  };
  testTestAllTrue1 = {
    expr = lib.testAllTrue [ true false ];
    expected = { expected = [ true true ]; expr = [ true false ]; };
  };
  testAssertMsg1 = {
    expr = lib.assertMsg true "x";
    expected = true;
  };
  testAssertOneOf1 = {
    expr = lib.assertOneOf "x" "a" [ "a" "b" ];
    expected = true;
  };
  testCheckListOfEnum1 = {
    expr = lib.checkListOfEnum "m" [ 1 2 ] [ 2 ] 9;
    expected = 9;
  };
  testAssertMsg2 = {
    expr = (builtins.tryEval (lib.assertMsg false "x")).success;
    expected = false;
  };
  testThrowIf2 = {
    expr = (builtins.tryEval (lib.throwIf true "x" 1)).success;
    expected = false;
  };
  testInPureEvalMode1 = {
    expr = lib.inPureEvalMode;
    expected = false;
  };
  testImportJSON1 = {
    expr = lib.importJSON (builtins.toFile "x.json" "{\"a\":[1,2]}");
    expected = { a = [ 1 2 ]; };
  };
  testImportTOML1 = {
    expr = lib.importTOML (builtins.toFile "x.toml" "a = 1");
    expected = { a = 1; };
  };
  testTrivialFloor1 = {
    expr = lib.trivial.floor 1.5;
    expected = 1;
  };
  testTrivialCeil1 = {
    expr = lib.trivial.ceil 1.5;
    expected = 2;
  };
  testFakeHash1 = {
    expr = lib.fakeHash;
    expected = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  };
  testFakeSha2561 = {
    expr = lib.fakeSha256;
    expected = "0000000000000000000000000000000000000000000000000000000000000000";
  };
  testMiscMaybeAttr1 = {
    expr = lib.misc.maybeAttr "a" 1 { a = 2; };
    expected = 2;
  };
  testKernelOption1 = {
    expr = lib.kernel.option lib.kernel.yes;
    expected = { optional = true; tristate = "y"; };
  };
  testKernelFreeform1 = {
    expr = lib.kernel.freeform "8";
    expected = { freeform = "8"; optional = false; };
  };
  testKernelWhenHelpers1 = {
    expr = (lib.kernel.whenHelpers "6.1").whenBetween "6.0" "6.2" lib.kernel.no;
    expected = { _type = "if"; condition = true; content = { optional = false; tristate = "n"; }; };
  };
}
