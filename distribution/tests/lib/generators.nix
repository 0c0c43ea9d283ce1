# Text formats and command lines.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testGeneratorsMkValueStringDefault1 = {
    expr = lib.generators.mkValueStringDefault { } 1;
    expected = "1";
  };
  testGeneratorsMkValueStringDefault2 = {
    expr = lib.generators.mkValueStringDefault { } true;
    expected = "true";
  };
  testGeneratorsMkValueStringDefault3 = {
    expr = lib.generators.mkValueStringDefault { } null;
    expected = "null";
  };
  testGeneratorsMkValueStringDefault4 = {
    expr = lib.generators.mkValueStringDefault { } "x";
    expected = "x";
  };
  testGeneratorsMkKeyValueDefault1 = {
    expr = lib.generators.mkKeyValueDefault { } ":" "f:oo" "bar";
    expected = "f\\:oo:bar";
  };
  testGeneratorsMkKeyValueDefault2 = {
    expr = lib.generators.mkKeyValueDefault { mkValueString = v: "<${v}>"; } "=" "a" "b";
    expected = "a=<b>";
  };
  testGeneratorsToKeyValue1 = {
    expr = lib.generators.toKeyValue { } { key = "value"; "other=key" = "baz"; };
    expected = "key=value\nother\\=key=baz\n";
  };
  testGeneratorsToKeyValue2 = {
    expr = lib.generators.toKeyValue { listsAsDuplicateKeys = true; } { a = [ 1 2 ]; b = 3; };
    expected = "a=1\na=2\nb=3\n";
  };
  testGeneratorsToKeyValue3 = {
    expr = lib.generators.toKeyValue { indent = "  "; } { a = 1; };
    expected = "  a=1\n";
  };
  testGeneratorsToINI1 = {
    expr = lib.generators.toINI { } { };
    expected = "";
  };
  testGeneratorsToINI2 = {
    expr = lib.generators.toINI { } { "section 1" = { attr1 = "val1"; attr2 = true; n = null; }; "foo[]" = { "he\\h=he" = "this is okay"; }; };
    expected = "[foo\\[\\]]\nhe\\h\\=he=this is okay\n\n[section 1]\nattr1=val1\nattr2=true\nn=null\n";
  };
  testGeneratorsToINI3 = {
    expr = lib.generators.toINI { listsAsDuplicateKeys = true; } { foo.bar = [ 1 2 ]; };
    expected = "[foo]\nbar=1\nbar=2\n";
  };
  testGeneratorsToINI4 = {
    expr = lib.generators.toINI { mkKeyValue = k: v: "${k}: ${v}"; mkSectionName = lib.toUpper; } { foo.bar = "x"; };
    expected = "[FOO]\nbar: x\n";
  };
  testGeneratorsToINIWithGlobalSection1 = {
    expr = lib.generators.toINIWithGlobalSection { } { globalSection = { foo = "bar"; }; sections = { "section 1" = { attr1 = "val1"; }; }; };
    expected = "foo=bar\n\n[section 1]\nattr1=val1\n";
  };
  testGeneratorsToINIWithGlobalSection2 = {
    expr = lib.generators.toINIWithGlobalSection { } { globalSection = { }; sections = { s = { a = 1; }; }; };
    expected = "[s]\na=1\n";
  };
  testGeneratorsToINIWithGlobalSection3 = {
    expr = lib.generators.toINIWithGlobalSection { listsAsDuplicateKeys = true; } { globalSection = { a = [ 1 2 ]; }; };
    expected = "a=1\na=2\n\n";
  };
  testGeneratorsToGitINI1 = {
    expr = lib.generators.toGitINI { user = { email = "user@example.org"; name = "John"; signingKey = "0x1"; }; gpg.program = "path-to-gpg"; tag.gpgSign = true; include.path = "~/path"; includeIf."gitdir:~/src/dir".path = "~/p"; extra = { boolean = true; integer = 38; name = "value"; subsection.value = "test"; }; list = { a = [ 1 "b" ]; }; };
    expected = "[extra]\n\tboolean = true\n\tinteger = 38\n\tname = \"value\"\n\n[extra \"subsection\"]\n\tvalue = \"test\"\n\n[gpg]\n\tprogram = \"path-to-gpg\"\n\n[include]\n\tpath = \"~/path\"\n\n[includeIf \"gitdir:~/src/dir\"]\n\tpath = \"~/p\"\n\n[list]\n\ta = 1\n\ta = \"b\"\n\n[tag]\n\tgpgSign = true\n\n[user]\n\temail = \"user@example.org\"\n\tname = \"John\"\n\tsigningKey = \"0x1\"\n";
  };
  testGeneratorsToGitINI2 = {
    expr = lib.generators.toGitINI { a.b = "x\ty\"z\\"; };
    expected = "[a]\n\tb = \"x\\ty\\\"z\\\\\"\n";
  };
  testGeneratorsToJSON1 = {
    expr = lib.generators.toJSON { } { a = [ 1 null ]; };
    expected = "{\"a\":[1,null]}";
  };
  testGeneratorsToYAML1 = {
    expr = lib.generators.toYAML { } { list = [ { one = 1; } ]; };
    expected = "{\"list\":[{\"one\":1}]}";
  };
  testGeneratorsToPretty1 = {
    expr = lib.generators.toPretty { } { int = 42; float = 0.1337; bool = true; emptystring = ""; string = "fn\${o}rd\"d"; newlinestring = "\n"; path = /. + "/foo"; null_ = null; function = x: x; functionArgs = { arg ? 4, foo }: arg; list = [ 3 4 [ false ] ]; emptylist = [ ]; attrs = { foo = null; "foo b/ar" = "baz"; }; emptyattrs = { }; };
    expected = "{\n  attrs = {\n    foo = null;\n    \"foo b/ar\" = \"baz\";\n  };\n  bool = true;\n  emptyattrs = { };\n  emptylist = [ ];\n  emptystring = \"\";\n  float = 0.1337;\n  function = <function>;\n  functionArgs = <function, args: {arg?, foo}>;\n  int = 42;\n  list = [\n    3\n    4\n    [\n      false\n    ]\n  ];\n  newlinestring = ''\n    \n  '';\n  null_ = null;\n  path = /foo;\n  string = \"fn\\\${o}rd\\\"d\";\n}";
  };
  testGeneratorsToPretty2 = {
    expr = lib.generators.toPretty { multiline = false; } { a = [ 1 "x" ]; b = { c = null; }; s = "a\nb"; e = [ ]; };
    expected = "{ a = [ 1 \"x\" ]; b = { c = null; }; e = [ ]; s = \"a\\nb\"; }";
  };
  testGeneratorsToPretty3 = {
    expr = lib.generators.toPretty { } "a\nb\n";
    expected = "''\n  a\n  b\n''";
  };
  testGeneratorsToPretty4 = {
    expr = lib.generators.toPretty { } "''\n\${x}\n  indented";
    expected = "''\n  '''\n  ''\${x}\n    indented''";
  };
  testGeneratorsToPretty5 = {
    expr = lib.generators.toPretty { indent = "  "; } { a = "x\ny"; b.c = [ 1 ]; };
    expected = "{\n    a = ''\n      x\n      y'';\n    b = {\n      c = [\n        1\n      ];\n    };\n  }";
  };
  testGeneratorsToPretty6 = {
    expr = lib.generators.toPretty { allowPrettyValues = true; } { __pretty = v: "«${v}»"; val = "foo"; };
    expected = "«foo»";
  };
  testGeneratorsToPretty7 = {
    expr = lib.generators.toPretty { } { type = "derivation"; name = "n"; };
    expected = "<derivation n>";
  };
  testGeneratorsToPretty8 = {
    expr = lib.generators.toPretty { } { type = "derivation"; };
    expected = "<derivation ???>";
  };
  testGeneratorsToPretty9 = {
    expr = lib.generators.toPretty { } [ 1.5 100.0 1.0e10 (-2) ];
    expected = "[\n  1.5\n  100.0\n  10000000000.0\n  -2\n]";
  };
  testGeneratorsToPretty10 = {
    expr = lib.generators.toPretty { } { __functor = self: { a, b ? 1 }: a; };
    expected = "<function, args: {a, b?}>";
  };
  testGeneratorsWithRecursion1 = {
    expr = lib.generators.withRecursion { depthLimit = 1; throwOnDepthLimit = false; } { a.b.c = 1; l = [ [ 1 ] ]; };
    expected = { a = { b = "<unevaluated>"; }; l = [ "<unevaluated>" ]; };
  };
  testGeneratorsWithRecursion2 = {
    expr = (builtins.tryEval (builtins.deepSeq (lib.generators.withRecursion { depthLimit = 1; } { a.b.c = 1; }) 1)).success;
    expected = false;
  };
  testGeneratorsToLua1 = {
    expr = lib.generators.toLua { } { cmd = [ "server" "--port" ]; s.foo = null; n = 1.5; t = true; i = lib.generators.mkLuaInline "f()"; };
    expected = "{\n  [\"cmd\"] = {\n    \"server\",\n    \"--port\"\n  },\n  [\"i\"] = (f()),\n  [\"n\"] = 1.5,\n  [\"s\"] = {\n    [\"foo\"] = nil\n  },\n  [\"t\"] = true\n}";
  };
  testGeneratorsToLua2 = {
    expr = lib.generators.toLua { multiline = false; } { a = [ 1 { } [ ] ]; "b c" = "x\n"; };
    expected = "{ [\"a\"] = { 1, {}, {} }, [\"b c\"] = \"x\\n\" }";
  };
  testGeneratorsToLua3 = {
    expr = lib.generators.toLua { asBindings = true; } { x1 = 41; hello = "world"; t.a = 1; };
    expected = "hello = \"world\"\nt = {\n  [\"a\"] = 1\n}\nx1 = 41\n";
  };
  testGeneratorsToLua4 = {
    expr = lib.generators.toLua { asBindings = true; indent = "  "; } { x1 = { b = [ 1 ]; }; };
    expected = "  x1 = {\n    [\"b\"] = {\n      1\n    }\n  }\n";
  };
  testGeneratorsToLua5 = {
    expr = lib.generators.toLua { indent = "    "; } { a = 1; };
    expected = "{\n      [\"a\"] = 1\n    }";
  };
  testGeneratorsToLua6 = {
    expr = lib.generators.toLua { } { };
    expected = "{}";
  };
  testGeneratorsToPlist1 = {
    expr = lib.generators.toPlist { escape = true; } { a = 1; b = [ "<x>" true ]; c = { d = null; e = 1.5; }; "k&" = "v"; };
    expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n\t<key>a</key>\n\t<integer>1</integer>\n\t<key>b</key>\n\t<array>\n\t\t<string>&lt;x&gt;</string>\n\t\t<true/>\n\t</array>\n\t<key>c</key>\n\t<dict>\n\t\t<key>e</key>\n\t\t<real>1.500000</real>\n\t</dict>\n\t<key>k&amp;</key>\n\t<string>v</string>\n</dict>\n</plist>";
  };
  testGeneratorsToPlist2 = {
    expr = lib.generators.toPlist { } { a = "x"; l = [ ]; };
    expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n\t<key>a</key>\n\t<string>x</string>\n\t<key>l</key>\n\t<array>\n\n\t</array>\n</dict>\n</plist>";
  };
  testGeneratorsToDhall1 = {
    expr = lib.generators.toDhall { } { a = 1; b = -2; s = "x"; l = [ true false ]; r.n = 0; };
    expected = "{ a = +1, b = -2, l = [ True, False ], r = { n = +0 }, s = \"x\" }";
  };
  testGeneratorsToDconfINI1 = {
    expr = lib.generators.toDconfINI { a = { b = true; c = "it's"; d = [ "x" "y" ]; e = lib.gvariant.mkInt32 3; }; };
    expected = "[a]\nb=true\nc='it\\'s'\nd=@as ['x','y']\ne=3\n";
  };
  testGvariantMkValue1 = {
    expr = map (v: toString (lib.gvariant.mkValue v)) [ true "s" 1.5 [ "a" ] (lib.gvariant.mkUint32 3) (lib.gvariant.mkTuple [ "a" true ]) (lib.gvariant.mkVariant "x") (lib.gvariant.mkNothing "s") (lib.gvariant.mkJust "q") (lib.gvariant.mkEmptyArray "s") (lib.gvariant.mkDictionaryEntry "a" "b") (lib.gvariant.mkObjectpath "/a") (lib.gvariant.mkInt64 4) (lib.gvariant.mkUchar 4) (lib.gvariant.mkUint64 5) (lib.gvariant.mkInt16 5) (lib.gvariant.mkUint16 6) ];
    expected = [ "true" "'s'" "1.500000" "@as ['a']" "@u 3" "@(sb) ('a',true)" "<'x'>" "@ms nothing" "just 'q'" "@as []" "@{ss} {'a','b'}" "objectpath '/a'" "@x 4" "@y 4" "@t 5" "@n 5" "@q 6" ];
  };
  testCliToCommandLine1 = {
    expr = lib.cli.toCommandLine (name: { option = "-${name}"; sep = "="; explicitBool = true; }) { a = true; b = false; c = [ 1 "x" ]; d = null; };
    expected = [ "-a=true" "-b=false" "-c=1" "-c=x" ];
  };
  testCliToCommandLine2 = {
    expr = lib.cli.toCommandLine (name: { option = "-${name}"; sep = null; explicitBool = false; formatArg = v: "<${toString v}>"; }) { a = true; b = false; c = [ 1 "x" ]; d = null; e = ""; };
    expected = [ "-a" "-c" "<1>" "-c" "<x>" "-e" "<>" ];
  };
  testCliToCommandLineGNU1 = {
    expr = lib.cli.toCommandLineGNU { } { v = true; verbose = [ true true false ]; f = "x y"; file = "z"; n = null; };
    expected = [ "-fx y" "--file=z" "-v" "--verbose" "--verbose" ];
  };
  testCliToCommandLineShellGNU1 = {
    expr = lib.cli.toCommandLineShellGNU { } { v = true; f = "x y"; file = [ "z" "w x" ]; };
    expected = "'-fx y' '--file=z' '--file=w x' -v";
  };
  testCliToCommandLineShell1 = {
    expr = lib.cli.toCommandLineShell (name: { option = "-${name}"; sep = null; explicitBool = false; }) { a = "b c"; };
    expected = "-a 'b c'";
  };
  testNetworkIpv6FromString1 = {
    expr = lib.network.ipv6.fromString "2001:db8::1/64";
    expected = { address = "2001:db8:0:0:0:0:0:1"; prefixLength = 64; };
  };
  testNetworkIpv6FromString2 = {
    expr = lib.network.ipv6.fromString "::";
    expected = { address = "0:0:0:0:0:0:0:0"; prefixLength = 128; };
  };
  testNetworkIpv6FromString3 = {
    expr = lib.network.ipv6.fromString "2001:DB8:0:0:0:0:0:42";
    expected = { address = "2001:db8:0:0:0:0:0:42"; prefixLength = 128; };
  };
  testMkEUI64Suffix1 = {
    expr = lib.mkEUI64Suffix "66:75:63:6B:20:75";
    expected = "6475:63ff:fe6b:2075";
  };
}
# an evaluator without flakes has no references to print
// (
  if builtins ? flakeRefToString then
    {
      testFlakeRefToString1 = {
        expr = lib.flakeRefToString { type = "github"; owner = "a"; repo = "b"; };
        expected = "github:a/b";
      };
    }
  else
    { }
)
