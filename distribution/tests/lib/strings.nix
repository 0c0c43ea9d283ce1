# Functions on strings.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testConcatStrings1 = {
    expr = lib.concatStrings [ "foo" "bar" ];
    expected = "foobar";
  };
  testConcatMapStrings1 = {
    expr = lib.concatMapStrings (x: "a" + x) [ "foo" "bar" ];
    expected = "afooabar";
  };
  testConcatImapStrings1 = {
    expr = lib.concatImapStrings (pos: x: "${toString pos}-${x}") [ "foo" "bar" ];
    expected = "1-foo2-bar";
  };
  testStringsIntersperse1 = {
    expr = lib.strings.intersperse "/" [ "usr" "local" "bin" ];
    expected = [ "usr" "/" "local" "/" "bin" ];
  };
  testStringsIntersperse2 = {
    expr = lib.strings.intersperse "/" [ "usr" ];
    expected = [ "usr" ];
  };
  testConcatMapStringsSep1 = {
    expr = lib.concatMapStringsSep "-" lib.toUpper [ "foo" "bar" "baz" ];
    expected = "FOO-BAR-BAZ";
  };
  testConcatImapStringsSep1 = {
    expr = lib.concatImapStringsSep "-" (pos: x: toString (x / pos)) [ 6 6 6 ];
    expected = "6-3-2";
  };
  testConcatMapAttrsStringSep1 = {
    expr = lib.concatMapAttrsStringSep "\n" (name: value: "${name}: foo-${value}") { a = "0.1"; b = "0.2"; };
    expected = "a: foo-0.1\nb: foo-0.2";
  };
  testConcatLines1 = {
    expr = lib.concatLines [ "foo" "bar" ];
    expected = "foo\nbar\n";
  };
  testConcatLines2 = {
    expr = lib.concatLines [ ];
    expected = "";
  };
  testStringsReplicate1 = {
    expr = lib.strings.replicate 3 "v";
    expected = "vvv";
  };
  testStringsReplicate2 = {
    expr = lib.strings.replicate 0 "v";
    expected = "";
  };
  testStringsTrim1 = {
    expr = lib.strings.trim "   hello, world!   ";
    expected = "hello, world!";
  };
  testStringsTrim2 = {
    expr = lib.strings.trim "\t\n x \r\n";
    expected = "x";
  };
  testStringsTrim3 = {
    expr = lib.strings.trim "";
    expected = "";
  };
  testStringsTrim4 = {
    expr = lib.strings.trim "  \n ";
    expected = "";
  };
  testStringsTrim5 = {
    expr = lib.strings.trim "a\nb ";
    expected = "a\nb";
  };
  testStringsTrimWith1 = {
    expr = lib.strings.trimWith { start = true; } "  a  ";
    expected = "a  ";
  };
  testStringsTrimWith2 = {
    expr = lib.strings.trimWith { end = true; } "  a  ";
    expected = "  a";
  };
  testStringsTrimWith3 = {
    expr = lib.strings.trimWith { } "  a  ";
    expected = "  a  ";
  };
  testMakeSearchPath1 = {
    expr = lib.makeSearchPath "bin" [ "/root" "/usr" "/usr/local" ];
    expected = "/root/bin:/usr/bin:/usr/local/bin";
  };
  testMakeSearchPath2 = {
    expr = lib.makeSearchPath "bin" [ "/root" null ];
    expected = "/root/bin";
  };
  testMakeSearchPath3 = {
    expr = lib.makeSearchPath "bin" [ ];
    expected = "";
  };
  testMakeSearchPathOutput1 = {
    expr = lib.makeSearchPathOutput "dev" "bin" [ { dev = "/d"; } { out = "/o"; } ];
    expected = "/d/bin:/o/bin";
  };
  testMakeLibraryPath1 = {
    expr = lib.makeLibraryPath [ "/usr" "/usr/local" ];
    expected = "/usr/lib:/usr/local/lib";
  };
  testMakeIncludePath1 = {
    expr = lib.makeIncludePath [ "/usr" ];
    expected = "/usr/include";
  };
  testMakeBinPath1 = {
    expr = lib.makeBinPath [ "/root" "/usr" ];
    expected = "/root/bin:/usr/bin";
  };
  testStringsNormalizePath1 = {
    expr = lib.strings.normalizePath "/a//b///c/";
    expected = "/a/b/c/";
  };
  testStringsNormalizePath2 = {
    expr = lib.strings.normalizePath "a";
    expected = "a";
  };
  testOptionalString1 = {
    expr = lib.optionalString true "x";
    expected = "x";
  };
  testOptionalString2 = {
    expr = lib.optionalString false "x";
    expected = "";
  };
  testHasPrefix1 = {
    expr = lib.hasPrefix "foo" "foobar";
    expected = true;
  };
  testHasPrefix2 = {
    expr = lib.hasPrefix "foo" "barfoo";
    expected = false;
  };
  testHasPrefix3 = {
    expr = lib.hasPrefix "" "x";
    expected = true;
  };
  testHasPrefix4 = {
    expr = lib.hasPrefix "foobarbaz" "foo";
    expected = false;
  };
  testHasSuffix1 = {
    expr = lib.hasSuffix "foo" "barfoo";
    expected = true;
  };
  testHasSuffix2 = {
    expr = lib.hasSuffix "foo" "foobar";
    expected = false;
  };
  testHasSuffix3 = {
    expr = lib.hasSuffix "longer" "er";
    expected = false;
  };
  testHasInfix1 = {
    expr = lib.hasInfix "bc" "abcd";
    expected = true;
  };
  testHasInfix2 = {
    expr = lib.hasInfix "ab.d" "abcd";
    expected = false;
  };
  testHasInfix3 = {
    expr = lib.hasInfix "" "abcd";
    expected = true;
  };
  testStringToCharacters1 = {
    expr = lib.stringToCharacters "";
    expected = [ ];
  };
  testStringToCharacters2 = {
    expr = lib.stringToCharacters "abc";
    expected = [ "a" "b" "c" ];
  };
  testStringAsChars1 = {
    expr = lib.stringAsChars (x: if x == "a" then "i" else x) "nax";
    expected = "nix";
  };
  testStringsCharToInt1 = {
    expr = lib.strings.charToInt "A";
    expected = 65;
  };
  testStringsCharToInt2 = {
    expr = lib.strings.charToInt "\n";
    expected = 10;
  };
  testEscape1 = {
    expr = lib.escape [ "(" ")" ] "(foo)";
    expected = "\\(foo\\)";
  };
  testStringsEscapeC1 = {
    expr = lib.strings.escapeC [ " " ] "foo bar";
    expected = "foo\\x20bar";
  };
  testStringsEscapeC2 = {
    expr = lib.strings.escapeC [ "\n" ] "foo\n";
    expected = "foo\\x0a";
  };
  testEscapeURL1 = {
    expr = lib.escapeURL "foo/bar baz";
    expected = "foo%2Fbar%20baz";
  };
  testEscapeURL2 = {
    expr = lib.escapeURL "https://example.com/?a=b&c=%~_-.\n";
    expected = "https%3A%2F%2Fexample.com%2F%3Fa%3Db%26c%3D%25~_-.%0A";
  };
  testEscapeShellArg1 = {
    expr = lib.escapeShellArg "esc'ape\nme";
    expected = "'esc'\\''ape\nme'";
  };
  testEscapeShellArg2 = {
    expr = lib.escapeShellArg "plain-word_1.2:/@%+=,";
    expected = "'plain-word_1.2:/@%+=,'";
  };
  testEscapeShellArg3 = {
    expr = lib.escapeShellArg "a=b";
    expected = "'a=b'";
  };
  testEscapeShellArg4 = {
    expr = lib.escapeShellArg "";
    expected = "''";
  };
  testEscapeShellArg5 = {
    expr = lib.escapeShellArg 5;
    expected = "5";
  };
  testEscapeShellArgs1 = {
    expr = lib.escapeShellArgs [ "one" "two three" "four'five" ];
    expected = "one 'two three' 'four'\\''five'";
  };
  testStringsIsValidPosixName1 = {
    expr = lib.strings.isValidPosixName "foo_bar000";
    expected = true;
  };
  testStringsIsValidPosixName2 = {
    expr = lib.strings.isValidPosixName "0-bad.jpg";
    expected = false;
  };
  testToShellVar1 = {
    expr = lib.toShellVar "x" "a b";
    expected = "x='a b'";
  };
  testToShellVar2 = {
    expr = lib.toShellVar "x" [ "a b" "c" ];
    expected = "declare -a x=('a b' c)";
  };
  testToShellVar3 = {
    expr = lib.toShellVar "x" { k = "v w"; "l m" = "n"; };
    expected = "declare -A x=([k]='v w' ['l m']=n)";
  };
  testToShellVar4 = {
    expr = lib.toShellVar "x" { outPath = "/x"; };
    expected = "x=/x";
  };
  testToShellVars1 = {
    expr = lib.toShellVars { foo = 1; bar = "x y"; };
    expected = "bar='x y'\nfoo=1";
  };
  testStringsEscapeNixString1 = {
    expr = lib.strings.escapeNixString "hello\${}\n";
    expected = "\"hello\\\${}\\n\"";
  };
  testStringsEscapeNixString2 = {
    expr = lib.strings.escapeNixString "a\"b$\\";
    expected = "\"a\\\"b\\$\\\\\"";
  };
  testEscapeRegex1 = {
    expr = lib.escapeRegex "[^a-z]*";
    expected = "\\[\\^a-z]\\*";
  };
  testStringsEscapeNixIdentifier1 = {
    expr = lib.strings.escapeNixIdentifier "hello";
    expected = "hello";
  };
  testStringsEscapeNixIdentifier2 = {
    expr = lib.strings.escapeNixIdentifier "0abc";
    expected = "\"0abc\"";
  };
  testStringsEscapeNixIdentifier3 = {
    expr = lib.strings.escapeNixIdentifier "foo.bar";
    expected = "\"foo.bar\"";
  };
  testStringsEscapeNixIdentifier4 = {
    expr = map lib.strings.escapeNixIdentifier [ "if" "then" "else" "assert" "with" "let" "in" "rec" "inherit" "or" "a-b" "a'b" "-x" "" "null" ];
    expected = [ "\"if\"" "\"then\"" "\"else\"" "\"assert\"" "\"with\"" "\"let\"" "\"in\"" "\"rec\"" "\"inherit\"" "\"or\"" "a-b" "a'b" "\"-x\"" "\"\"" "null" ];
  };
  testEscapeXML1 = {
    expr = lib.escapeXML "\"test\" 'test' < & >";
    expected = "&quot;test&quot; &apos;test&apos; &lt; &amp; &gt;";
  };
  testToLower1 = {
    expr = lib.toLower "HOME";
    expected = "home";
  };
  testToUpper1 = {
    expr = lib.toUpper "home";
    expected = "HOME";
  };
  testStringsToSentenceCase1 = {
    expr = lib.strings.toSentenceCase "home sWEET";
    expected = "Home sweet";
  };
  testStringsToSentenceCase2 = {
    expr = lib.strings.toSentenceCase "";
    expected = "";
  };
  testStringsToCamelCase1 = {
    expr = lib.strings.toCamelCase "hello-world_foo bar";
    expected = "helloWorldFooBar";
  };
  testStringsToCamelCase2 = {
    expr = lib.strings.toCamelCase "Hello-World";
    expected = "helloWorld";
  };
  testStringsToCamelCase3 = {
    expr = lib.strings.toCamelCase "hello";
    expected = "hello";
  };
  testStringsToCamelCase4 = {
    expr = lib.strings.toCamelCase "";
    expected = "";
  };
  testStringsToCamelCase5 = {
    expr = lib.strings.toCamelCase "fooBar-baz";
    expected = "fooBarBaz";
  };
  testSplitString1 = {
    expr = lib.splitString "." "foo.bar.baz";
    expected = [ "foo" "bar" "baz" ];
  };
  testSplitString2 = {
    expr = lib.splitString "/" "/usr/local/bin";
    expected = [ "" "usr" "local" "bin" ];
  };
  testSplitString3 = {
    expr = lib.splitString "ab" "xabyabz";
    expected = [ "x" "y" "z" ];
  };
  testSplitString4 = {
    expr = lib.splitString "." "";
    expected = [ "" ];
  };
  testStringsSplitStringBy1 = {
    expr = lib.strings.splitStringBy (prev: curr: builtins.elem curr [ "." "-" ]) false "foo.bar-baz";
    expected = [ "foo" "bar" "baz" ];
  };
  testStringsSplitStringBy2 = {
    expr = lib.strings.splitStringBy (prev: curr: builtins.match "[a-z]" prev != null && builtins.match "[A-Z]" curr != null) true "fooBarBaz";
    expected = [ "foo" "Bar" "Baz" ];
  };
  testStringsSplitStringBy3 = {
    expr = lib.strings.splitStringBy (prev: curr: curr == ".") true "foo.bar.";
    expected = [ "foo" ".bar" "." ];
  };
  testStringsSplitStringBy4 = {
    expr = lib.strings.splitStringBy (prev: curr: curr == ".") false "";
    expected = [ "" ];
  };
  testRemovePrefix1 = {
    expr = lib.removePrefix "foo." "foo.bar.baz";
    expected = "bar.baz";
  };
  testRemovePrefix2 = {
    expr = lib.removePrefix "xxx" "foo.bar.baz";
    expected = "foo.bar.baz";
  };
  testRemoveSuffix1 = {
    expr = lib.removeSuffix "front" "homefront";
    expected = "home";
  };
  testRemoveSuffix2 = {
    expr = lib.removeSuffix "xxx" "homefront";
    expected = "homefront";
  };
  testRemoveSuffix3 = {
    expr = lib.removeSuffix "" "a";
    expected = "a";
  };
  testVersionOlder1 = {
    expr = lib.versionOlder "1.1" "1.2";
    expected = true;
  };
  testVersionOlder2 = {
    expr = lib.versionOlder "1.1" "1.1";
    expected = false;
  };
  testVersionOlder3 = {
    expr = lib.versionOlder "2.10" "2.9";
    expected = false;
  };
  testVersionAtLeast1 = {
    expr = lib.versionAtLeast "1.1" "1.0";
    expected = true;
  };
  testVersionAtLeast2 = {
    expr = lib.versionAtLeast "1.1" "1.1";
    expected = true;
  };
  testGetName1 = {
    expr = lib.getName "youtube-dl-2016.01.01";
    expected = "youtube-dl";
  };
  testGetName2 = {
    expr = lib.getName { name = "ab-1"; };
    expected = "ab";
  };
  testGetName3 = {
    expr = lib.getName { pname = "p"; version = "2"; };
    expected = "p";
  };
  testGetVersion1 = {
    expr = lib.getVersion "youtube-dl-2016.01.01";
    expected = "2016.01.01";
  };
  testGetVersion2 = {
    expr = lib.getVersion { name = "x-1.2"; };
    expected = "1.2";
  };
  testGetVersion3 = {
    expr = lib.getVersion { pname = "p"; version = "2"; };
    expected = "2";
  };
  testNameFromURL1 = {
    expr = lib.nameFromURL "https://nixos.org/releases/nix/nix-1.7/nix-1.7-x86_64-linux.tar.bz2" "-";
    expected = "nix";
  };
  testNameFromURL2 = {
    expr = lib.nameFromURL "https://nixos.org/releases/nix/nix-1.7/nix-1.7-x86_64-linux.tar.bz2" "_";
    expected = "nix-1.7-x86";
  };
  testStringsCmakeOptionType1 = {
    expr = lib.strings.cmakeOptionType "string" "ENGINE" "sdl2";
    expected = "-DENGINE:STRING=sdl2";
  };
  testStringsCmakeBool1 = {
    expr = lib.strings.cmakeBool "ENABLE_STATIC_LIBS" false;
    expected = "-DENABLE_STATIC_LIBS:BOOL=FALSE";
  };
  testStringsCmakeFeature1 = {
    expr = lib.strings.cmakeFeature "MODULES" "badblock";
    expected = "-DMODULES:STRING=badblock";
  };
  testStringsMesonOption1 = {
    expr = lib.strings.mesonOption "engine" "opengl";
    expected = "-Dengine=opengl";
  };
  testStringsMesonBool1 = {
    expr = lib.strings.mesonBool "hardened" true;
    expected = "-Dhardened=true";
  };
  testStringsMesonEnable1 = {
    expr = lib.strings.mesonEnable "opengl" false;
    expected = "-Dopengl=disabled";
  };
  testEnableFeature1 = {
    expr = lib.enableFeature true "foo";
    expected = "--enable-foo";
  };
  testEnableFeatureAs1 = {
    expr = lib.enableFeatureAs true "foo" "bar";
    expected = "--enable-foo=bar";
  };
  testEnableFeatureAs2 = {
    expr = lib.enableFeatureAs false "foo" (throw "unused");
    expected = "--disable-foo";
  };
  testWithFeature1 = {
    expr = lib.withFeature true "foo";
    expected = "--with-foo";
  };
  testWithFeatureAs1 = {
    expr = lib.withFeatureAs true "with" "bar";
    expected = "--with-with=bar";
  };
  testFixedWidthString1 = {
    expr = lib.fixedWidthString 5 "0" (toString 15);
    expected = "00015";
  };
  testFixedWidthString2 = {
    expr = lib.fixedWidthString 3 " " "abc";
    expected = "abc";
  };
  testFixedWidthNumber1 = {
    expr = lib.fixedWidthNumber 5 15;
    expected = "00015";
  };
  testStringsFloatToString1 = {
    expr = lib.strings.floatToString 0.000001;
    expected = "0.000001";
  };
  testStringsIsConvertibleWithToString1 = {
    expr = lib.strings.isConvertibleWithToString [ 1 "a" null ];
    expected = true;
  };
  testStringsIsConvertibleWithToString2 = {
    expr = lib.strings.isConvertibleWithToString { };
    expected = false;
  };
  testStringsIsConvertibleWithToString3 = {
    expr = lib.strings.isConvertibleWithToString (x: x);
    expected = false;
  };
  testStringsIsStringLike1 = {
    expr = lib.strings.isStringLike { outPath = "x"; };
    expected = true;
  };
  testStringsIsStringLike2 = {
    expr = lib.strings.isStringLike 1;
    expected = false;
  };
  testIsStorePath1 = {
    expr = lib.isStorePath "/nix/store/d945ibfx9x185xf04b890y4f9g3cbb63-python-2.7.11/bin/python";
    expected = false;
  };
  testIsStorePath2 = {
    expr = lib.isStorePath "/nix/store/d945ibfx9x185xf04b890y4f9g3cbb63-python-2.7.11";
    expected = true;
  };
  testIsStorePath3 = {
    expr = lib.isStorePath "/nix/store/d945ibfx9x185xf04b890y4f9g3cbb63-python-2.7.11/";
    expected = false;
  };
  testIsStorePath4 = {
    expr = lib.isStorePath "/nix/store";
    expected = false;
  };
  testIsStorePath5 = {
    expr = lib.isStorePath 42;
    expected = false;
  };
  testIsStorePath6 = {
    expr = lib.isStorePath { };
    expected = false;
  };
  testToInt1 = {
    expr = lib.toInt "1337";
    expected = 1337;
  };
  testToInt2 = {
    expr = lib.toInt "-4";
    expected = -4;
  };
  testToInt3 = {
    expr = lib.toInt " 123 ";
    expected = 123;
  };
  testToInt4 = {
    expr = lib.toInt "0";
    expected = 0;
  };
  testToInt5 = {
    expr = (builtins.tryEval (lib.toInt "00024")).success;
    expected = false;
  };
  testToInt6 = {
    expr = (builtins.tryEval (lib.toInt "3.14")).success;
    expected = false;
  };
  testToIntBase101 = {
    expr = lib.toIntBase10 "1337";
    expected = 1337;
  };
  testToIntBase102 = {
    expr = lib.toIntBase10 "00024";
    expected = 24;
  };
  testToIntBase103 = {
    expr = lib.toIntBase10 "0000";
    expected = 0;
  };
  testToIntBase104 = {
    expr = lib.toIntBase10 " -7 ";
    expected = -7;
  };
  testStringsFileContents1 = {
    expr = lib.strings.fileContents (builtins.toFile "f" "a\nb\n");
    expected = "a\nb";
  };
  testStringsSanitizeDerivationName1 = {
    expr = lib.strings.sanitizeDerivationName "../hello.bar # foo";
    expected = "-hello.bar-foo";
  };
  testStringsSanitizeDerivationName2 = {
    expr = lib.strings.sanitizeDerivationName "";
    expected = "unknown";
  };
  testStringsSanitizeDerivationName3 = {
    expr = lib.strings.sanitizeDerivationName "foo";
    expected = "foo";
  };
  testStringsSanitizeDerivationName4 = {
    expr = lib.strings.sanitizeDerivationName ".hidden";
    expected = "hidden";
  };
  testStringsSanitizeDerivationName5 = {
    expr = lib.strings.sanitizeDerivationName "a b  c";
    expected = "a-b-c";
  };
  testStringsSanitizeDerivationName6 = {
    expr = builtins.stringLength (lib.strings.sanitizeDerivationName (lib.strings.replicate 300 "a"));
    expected = 207;
  };
  testStringsLevenshtein1 = {
    expr = lib.strings.levenshtein "foo" "foo";
    expected = 0;
  };
  testStringsLevenshtein2 = {
    expr = lib.strings.levenshtein "book" "hook";
    expected = 1;
  };
  testStringsLevenshtein3 = {
    expr = lib.strings.levenshtein "hello" "Heyo";
    expected = 3;
  };
  testStringsLevenshtein4 = {
    expr = lib.strings.levenshtein "" "abc";
    expected = 3;
  };
  testStringsLevenshtein5 = {
    expr = lib.strings.levenshtein "kitten" "sitting";
    expected = 3;
  };
  testStringsCommonPrefixLength1 = {
    expr = lib.strings.commonPrefixLength "hello" "help";
    expected = 3;
  };
  testStringsCommonSuffixLength1 = {
    expr = lib.strings.commonSuffixLength "xfoo" "yfoo";
    expected = 3;
  };
  testStringsLevenshteinAtMost1 = {
    expr = map (k: lib.strings.levenshteinAtMost k "hello" "heyo") [ 0 1 2 3 ];
    expected = [ false false true true ];
  };
  testStringsLevenshteinAtMost2 = {
    expr = map (k: lib.strings.levenshteinAtMost k "abc" "xyz") [ 0 1 2 3 4 ];
    expected = [ false false false true true ];
  };
  testStringsLevenshteinAtMost3 = {
    expr = map (k: lib.strings.levenshteinAtMost k "" "a") [ 0 1 ];
    expected = [ false true ];
  };
  testStringsLevenshteinAtMost4 = {
    expr = lib.strings.levenshteinAtMost 2 "services" "servcies";
    expected = true;
  };
  testStringsReplaceString1 = {
    expr = lib.strings.replaceString "a" "b" "banana";
    expected = "bbnbnb";
  };
  testStringsAddContextFrom1 = {
    expr = lib.strings.addContextFrom "a" "b";
    expected = "b";
  };
  testStringsParseDrvName1 = {
    expr = lib.strings.parseDrvName "nix-0.12pre12876";
    expected = { name = "nix"; version = "0.12pre12876"; };
  };
}
