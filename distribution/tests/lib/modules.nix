# The module system: priorities, orders, types, submodules, imports, renames, documentation.
# What is expected was computed with the reference implementation and its library.
{ lib }:
let
  inherit (lib) types;
  E = modules: lib.evalModules { inherit modules; };
  e = modules: (E modules).config;
  o = type: lib.mkOption { inherit type; };
  # What modules that rename or remove options report to.
  warnings = _: {
    options.warnings = o (types.listOf types.str);
    options.assertions = o (types.listOf types.attrs);
  };
in
{
  testInt1 = {
    expr = (e [ { options.a = o types.int; config.a = 1; } ]).a;
    expected = 1;
  };
  testInt2 = {
    expr = (e [ { options.a = o types.int; config.a = lib.mkDefault 1; } { a = 2; } ]).a;
    expected = 2;
  };
  testInt3 = {
    expr = (e [ { options.a = o types.int; config.a = lib.mkForce 1; } { a = 2; } ]).a;
    expected = 1;
  };
  testMkOption1 = {
    expr = (e [ { options.a = lib.mkOption { type = types.int; default = 5; }; } ]).a;
    expected = 5;
  };
  testMkOption2 = {
    expr = (e [ { options.a = lib.mkOption { type = types.int; default = 5; }; config.a = lib.mkOptionDefault 5; } ]).a;
    expected = 5;
  };
  testInt4 = {
    expr = (e [ { options.a = o types.int; config.a = lib.mkVMOverride 1; } { a = lib.mkForce 2; } ]).a;
    expected = 1;
  };
  testInt5 = {
    expr = (e [ { options.a = o types.int; config.a = lib.mkImageMediaOverride 1; } { a = lib.mkForce 2; } ]).a;
    expected = 2;
  };
  testInt6 = {
    expr = (e [ { options.a = o types.int; config = lib.mkIf true { a = 1; }; } ]).a;
    expected = 1;
  };
  testMkOption3 = {
    expr = (e [ { options.a = lib.mkOption { type = types.int; default = 3; }; config = lib.mkIf false { a = 1; }; } ]).a;
    expected = 3;
  };
  testInt7 = {
    expr = (e [ { options.a = o types.int; config = lib.mkMerge [ { a = lib.mkDefault 1; } (lib.mkIf true { a = 4; }) ]; } ]).a;
    expected = 4;
  };
  testInt8 = {
    expr = (e [ { options.a = o types.int; config = lib.mkForce { a = 1; }; } { a = 2; } ]).a;
    expected = 1;
  };
  testListOf1 = {
    expr = (e [ { options.a = o (types.listOf types.int); config.a = [ 1 ]; } { a = [ 2 ]; } { a = lib.mkBefore [ 3 ]; } { a = lib.mkAfter [ 4 ]; } { a = lib.mkOrder 1200 [ 5 ]; } ]).a;
    expected = [ 3 2 1 5 4 ];
  };
  testLines1 = {
    expr = (e [ { options.a = o types.lines; config.a = "1"; } { a = "2"; } { a = lib.mkBefore "3"; } ]).a;
    expected = "3\n2\n1";
  };
  testCommas1 = {
    expr = (e [ { options.a = o types.commas; config.a = "1"; } { a = "2"; } ]).a;
    expected = "2,1";
  };
  testEnvVar1 = {
    expr = (e [ { options.a = o types.envVar; config.a = "1"; } { a = "2"; } ]).a;
    expected = "2:1";
  };
  testMkOption4 = {
    expr = (e [ { options.a = lib.mkOption { type = types.listOf types.int; default = [ 1 ]; }; config.a = lib.mkDefault [ 2 ]; } { a = lib.mkDefault [ 3 ]; } { a = lib.mkDefault (lib.mkBefore [ 4 ]); } ]).a;
    expected = [ 4 3 2 ];
  };
  testListOf2 = {
    expr = (e [ { options.a = o (types.listOf types.int); } ]).a;
    expected = [ ];
  };
  testListOf3 = {
    expr = (e [ { options.a = o (types.listOf types.int); config.a = [ 1 (lib.mkIf false 2) (lib.mkMerge [ 3 ]) ]; } ]).a;
    expected = [ 1 3 ];
  };
  testAttrsOf1 = {
    expr = (e [ { options.a = o (types.attrsOf types.int); config.a = { b = 1; c = lib.mkIf false 2; d = lib.mkDefault 3; }; } { a.d = 4; a.e = 5; } ]).a;
    expected = { b = 1; d = 4; e = 5; };
  };
  testLazyAttrsOf1 = {
    expr = (e [ { options.a = o (types.lazyAttrsOf types.int); config.a = { b = 1; c = throw "unused"; }; } ]).a.b;
    expected = 1;
  };
  testAttrsOf2 = {
    expr = (e [ { options.a = o (types.attrsOf (types.listOf types.int)); config.a.x = [ 1 ]; } { a = lib.mkIf true { x = [ 2 ]; y = [ 3 ]; }; } ]).a;
    expected = { x = [ 2 1 ]; y = [ 3 ]; };
  };
  testAttrsOf3 = {
    expr = (e [ { options.a = o (types.attrsOf (types.attrsOf types.str)); config.a.x.y = "1"; } { a.x.z = "2"; } ]).a;
    expected = { x = { y = "1"; z = "2"; }; };
  };
  testAttrs1 = {
    expr = (e [ { options.a = o types.attrs; config.a = { x = 1; y.z = 1; }; } { a = { y.q = 2; }; } ]).a;
    expected = { x = 1; y = { z = 1; }; };
  };
  testAnything1 = {
    expr = (e [ { options.a = o types.anything; config.a = { x = 1; y.z = 1; }; } { a = { y.q = 2; }; } ]).a;
    expected = { x = 1; y = { q = 2; z = 1; }; };
  };
  testAnything2 = {
    expr = (e [ { options.a = o types.anything; config.a = x: { b = x; }; } { a = x: { c = x; }; } ]).a 3;
    expected = { b = 3; c = 3; };
  };
  testUnspecified1 = {
    expr = (e [ { options.a = o types.unspecified; config.a = [ 1 ]; } { a = [ 2 ]; } ]).a;
    expected = [ 2 1 ];
  };
  testRaw1 = {
    expr = (e [ { options.a = o types.raw; config.a = { x = lib.mkIf true 1; }; } ]).a;
    expected = { x = { _type = "if"; condition = true; content = 1; }; };
  };
  testBoolByOr1 = {
    expr = (e [ { options.a = o types.boolByOr; config.a = false; } { a = true; } ]).a;
    expected = true;
  };
  testNullOr1 = {
    expr = (e [ { options.a = o (types.nullOr types.int); } ]).a;
    expected = null;
  };
  testNullOr2 = {
    expr = (e [ { options.a = o (types.nullOr types.int); config.a = 4; } ]).a;
    expected = 4;
  };
  testEnum1 = {
    expr = (e [ { options.a = o (types.enum [ "x" "y" ]); config.a = "y"; } ]).a;
    expected = "y";
  };
  testEnum2 = {
    expr = (e [ { options.a = o (types.enum [ "x" ]); } { options.a = o (types.enum [ "y" ]); config.a = "y"; } ]).a;
    expected = "y";
  };
  testEither1 = {
    expr = (e [ { options.a = o (types.either types.int (types.listOf types.int)); config.a = [ 1 ]; } { a = [ 2 ]; } ]).a;
    expected = [ 2 1 ];
  };
  testOneOf1 = {
    expr = (e [ { options.a = o (types.oneOf [ types.int types.str types.bool ]); config.a = true; } ]).a;
    expected = true;
  };
  testCoercedTo1 = {
    expr = (e [ { options.a = o (types.coercedTo types.int toString types.str); config.a = 3; } ]).a;
    expected = "3";
  };
  testCoercedTo2 = {
    expr = (e [ { options.a = o (types.coercedTo types.str lib.singleton (types.listOf types.str)); config.a = "x"; } { a = [ "y" ]; } ]).a;
    expected = [ "y" "x" ];
  };
  testFunctionTo1 = {
    expr = ((e [ { options.a = o (types.functionTo types.int); config.a = x: x + 1; } ]).a) 2;
    expected = 3;
  };
  testFunctionTo2 = {
    expr = ((e [ { options.a = o (types.functionTo (types.listOf types.int)); config.a = x: [ x ]; } { a = x: [ (x * 2) ]; } ]).a) 2;
    expected = [ 4 2 ];
  };
  testSingleLineStr1 = {
    expr = (e [ { options.a = o types.singleLineStr; config.a = "x\n"; } ]).a;
    expected = "x";
  };
  testAttrTag1 = {
    expr = (e [ { options.a = o (types.attrTag { x = o types.int; y = o types.str; }); config.a.y = "q"; } ]).a;
    expected = { y = "q"; };
  };
  testAttrListOf1 = {
    expr = (e [ { options.a = o (types.attrListOf types.int); config.a = [ { b = 1; } { c = 2; } ]; } { a = { b = 4; a = lib.mkBefore 3; }; } ]).a;
    expected = [ { a = 3; } { b = 4; } { b = 1; } { c = 2; } ];
  };
  testJson1 = {
    expr = (e [ { options.a = o types.json; config.a = { x = [ 1 null "s" { y = true; } ]; }; } ]).a;
    expected = { x = [ 1 null "s" { y = true; } ]; };
  };
  testSubmodule1 = {
    expr = (e [ { options.a = o (types.submodule { options.b = o types.int; }); config.a.b = 1; } ]).a;
    expected = { b = 1; };
  };
  testSubmodule2 = {
    expr = (e [ { options.a = o (types.submodule { options.b = lib.mkOption { type = types.int; default = 7; }; }); } ]).a;
    expected = { b = 7; };
  };
  testSubmodule3 = {
    expr = (e [ { options.a = o (types.submodule { options.b = o types.int; }); } { options.a = o (types.submodule { options.c = o types.int; }); config.a = { b = 1; c = 2; }; } ]).a;
    expected = { b = 1; c = 2; };
  };
  testSubmodule4 = {
    expr = (e [ { options.a = o (types.submodule { options.b = o types.int; }); } { options.a.c = o types.int; config.a = { b = 1; c = 2; }; } ]).a;
    expected = { b = 1; c = 2; };
  };
  testAttrsOf4 = {
    expr = (e [ { options.a = o (types.attrsOf (types.submodule ({ name, config, ... }: { options.b = lib.mkOption { default = name; }; options.c = lib.mkOption { default = config.b + "!"; }; }))); config.a.x = { }; config.a.y.b = "q"; } ]).a;
    expected = { x = { b = "x"; c = "x!"; }; y = { b = "q"; c = "q!"; }; };
  };
  testAttrsOf5 = {
    expr = (e [ { options.a = o (types.attrsOf (types.submodule { freeformType = types.attrsOf types.int; options.b = o types.str; })); config.a.x = { b = "s"; z = 3; }; } ]).a;
    expected = { x = { b = "s"; z = 3; }; };
  };
  testAttrsOf6 = {
    expr = (e [ { freeformType = types.attrsOf types.int; options.b = o types.str; config = { b = "s"; c = 3; }; } ]);
    expected = { b = "s"; c = 3; };
  };
  testLazyAttrsOf2 = {
    expr = (e [ { freeformType = types.lazyAttrsOf types.anything; config.b.c = 1; } { b.d = 2; } ]);
    expected = { b = { c = 1; d = 2; }; };
  };
  testAttrsOf7 = {
    expr = (e [ { freeformType = types.attrsOf types.int; config._module.check = true; } { c = 3; } ]);
    expected = { c = 3; };
  };
  testMkOption5 = {
    expr = (e [ { config._module.check = false; config.zzz = 1; options.a = lib.mkOption { default = 1; }; } ]);
    expected = { a = 1; };
  };
  testSubmoduleWith1 = {
    expr = (e [ { options.a = o (types.submoduleWith { shorthandOnlyDefinesConfig = true; modules = [ { options.options = o types.int; } ]; }); config.a.options = 1; } ]).a;
    expected = { options = 1; };
  };
  testSubmodule5 = {
    expr = (e [ { options.a = o (types.submodule [ { options.b = o types.int; } { config.b = 2; } ]); } ]).a.b;
    expected = 2;
  };
  testSubmodule6 = {
    expr = (e [ { options.a = o (types.submodule { options.b = o types.int; }); config.a = { b = 1; }; } { config.a = { config, ... }: { b = lib.mkForce 2; }; } ]).a;
    expected = { b = 2; };
  };
  testListOf4 = {
    expr = (e [ { options.a = o (types.listOf (types.submodule { options.b = o types.int; })); config.a = [ { b = 1; } { b = 2; } ]; } ]).a;
    expected = [ { b = 1; } { b = 2; } ];
  };
  testDeferredModule1 = {
    expr = (e [ { options.a = o types.deferredModule; options.r = o types.raw; } { a.x = 1; } ({ config, ... }: { r = (lib.evalModules { modules = [ config.a { options.x = o types.int; } ]; }).config.x; }) ]).r;
    expected = 1;
  };
  testInt9 = {
    expr = (e [ ({ foo, ... }: { options.a = o types.int; config.a = foo; }) { _module.args.foo = 3; } ]).a;
    expected = 3;
  };
  testEvalModules1 = {
    expr = (lib.evalModules { specialArgs.foo = 4; modules = [ ({ foo, ... }: { imports = [ { a = foo; } ]; options.a = o types.int; }) ]; }).config.a;
    expected = 4;
  };
  testInt10 = {
    expr = (e [ ({ config, ... }: { options.a = o types.int; options.b = o types.int; config.a = 1; config.b = config.a + 1; }) ]).b;
    expected = 2;
  };
  testInt11 = {
    expr = (e [ ({ options, ... }: { options.a = o types.int; options.b = o types.bool; config.b = options.a.isDefined; }) ]).b;
    expected = false;
  };
  testListOf5 = {
    expr = (e [ { imports = [ { key = "k"; a = [ 1 ]; } { key = "k"; a = [ 2 ]; } ]; options.a = o (types.listOf types.int); } ]).a;
    expected = [ 1 ];
  };
  testListOf6 = {
    expr = (e [ { imports = [ { a = [ 1 ]; imports = [ { a = [ 2 ]; } ]; } { a = [ 3 ]; } ]; options.a = o (types.listOf types.int); config.a = [ 4 ]; } ]).a;
    expected = [ 2 3 1 4 ];
  };
  testListOf7 = {
    expr = (e [ { disabledModules = [ { key = "k"; } ]; imports = [ { key = "k"; a = [ 1 ]; } { a = [ 2 ]; } ]; options.a = o (types.listOf types.int); } ]).a;
    expected = [ 2 ];
  };
  testEvalModules2 = {
    expr = (lib.evalModules { specialArgs.modulesPath = "/m"; modules = [ { disabledModules = [ "x.nix" ]; imports = [ { key = "/m/x.nix"; a = [ 1 ]; } { a = [ 2 ]; } ]; options.a = o (types.listOf types.int); } ]; }).config.a;
    expected = [ 2 ];
  };
  testMkOption6 = {
    expr = (e [ { options.a = lib.mkOption { type = types.int; apply = x: x * 2; }; config.a = 4; } ]).a;
    expected = 8;
  };
  testInt12 = {
    expr = (E [ { options.a = o types.int; config.a = lib.mkForce 1; } ]).options.a.highestPrio;
    expected = 50;
  };
  testMkOption7 = {
    expr = (E [ { options.a = lib.mkOption { default = 1; }; } ]).options.a.highestPrio;
    expected = 1500;
  };
  testInt13 = {
    expr = (E [ { options.a = o types.int; } ]).options.a.isDefined;
    expected = false;
  };
  testInt14 = {
    expr = (E [ { _file = "F"; options.a = o types.int; config.a = 1; } ]).options.a.definitionsWithLocations;
    expected = [ { file = "F"; value = 1; } ];
  };
  testInt15 = {
    expr = (E [ { _file = "F"; options.a = o types.int; } { _file = "G"; a = 2; } ]).options.a.files;
    expected = [ "G" ];
  };
  testInt16 = {
    expr = (E [ { _file = "F"; options.a = o types.int; } ]).options.a.declarations;
    expected = [ "F" ];
  };
  testInt17 = {
    expr = "${(E [ { options.a.b = o types.int; } ]).options.a.b}";
    expected = "a.b";
  };
  testInt18 = {
    expr = ((E [ { options.a = o types.int; config.a = lib.mkDefault 1; } ]).extendModules { modules = [ { a = 2; } ]; }).config.a;
    expected = 2;
  };
  testEvalModules3 = {
    expr = (lib.evalModules { modules = [ { options.a = o (E [ { options.b = o types.int; } ]).type; config.a.b = 5; } ]; }).config.a;
    expected = { b = 5; };
  };
  testEvalModules4 = {
    expr = (lib.evalModules { class = "nixos"; modules = [ { _class = "nixos"; options.a = lib.mkOption { default = 1; }; } ]; }).config.a;
    expected = 1;
  };
  testAttrsOf8 = {
    expr = (E [ { options.a = o (types.attrsOf types.int); config.a.b = lib.mkForce 1; } { a.b = 2; a.c = 3; } ]).config.a;
    expected = { b = 1; c = 3; };
  };
  testMkAliasOptionModule1 = {
    expr = (e [ { imports = [ (lib.mkAliasOptionModule [ "old" "x" ] [ "new" "y" ]) ]; options.new.y = o (types.listOf types.int); config.old.x = [ 1 ]; } { new.y = [ 2 ]; } ]);
    expected = { new = { y = [ 1 2 ]; }; old = { x = [ 1 2 ]; }; };
  };
  testMkAliasOptionModule2 = {
    expr = (e [ { imports = [ (lib.mkAliasOptionModule [ "old" ] [ "new" ]) ]; options.new = o types.int; config.old = lib.mkForce 1; } { new = 2; } ]);
    expected = { new = 1; old = 1; };
  };
  testMkRenamedOptionModule1 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkRenamedOptionModule [ "old" ] [ "new" ]) ]; options.new = o types.int; config.old = 1; _file = "F"; } ]).new;
    expected = 1;
  };
  testMkRenamedOptionModule2 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkRenamedOptionModule [ "old" ] [ "new" ]) ]; options.new = o types.int; config.old = 1; _file = "F"; } ]).warnings;
    expected = [ "The option `old' defined in `F' has been renamed to `new'." ];
  };
  testMkRenamedOptionModule3 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkRenamedOptionModule [ "old" ] [ "new" ]) ]; options.new = lib.mkOption { default = 2; }; } ]).warnings;
    expected = [ ];
  };
  testMkRemovedOptionModule1 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkRemovedOptionModule [ "old" ] "It is gone.") ]; config.old = 1; _file = "F"; } ]).assertions;
    expected = [ { assertion = false; message = "The option definition `old' in `F' no longer has any effect; please remove it.\nIt is gone.\n"; } ];
  };
  testMkRemovedOptionModule2 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkRemovedOptionModule [ "old" ] "It is gone.") ]; } ]).assertions;
    expected = [ { assertion = true; message = "The option definition `old' in  no longer has any effect; please remove it.\nIt is gone.\n"; } ];
  };
  testMkChangedOptionModule1 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkChangedOptionModule [ "old" ] [ "new" ] (c: c.old + 1)) ]; options.new = o types.int; config.old = 1; _file = "F"; } ]).new;
    expected = 2;
  };
  testMkMergedOptionModule1 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkMergedOptionModule [ [ "x" ] [ "y" ] ] [ "new" ] (c: c.x + c.y)) ]; options.new = o types.int; config.x = 1; config.y = 2; } ]).new;
    expected = 3;
  };
  testMkMergedOptionModule2 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkMergedOptionModule [ [ "x" ] [ "y" ] ] [ "new" ] (c: 0)) ]; options.new = lib.mkOption { default = 9; }; } ]).new;
    expected = 9;
  };
  testMkRenamedOptionModuleWith1 = {
    expr = (e [ (warnings [ ]) { imports = [ (lib.mkRenamedOptionModuleWith { from = [ "old" ]; to = [ "new" ]; sinceRelease = 2405; }) ]; options.new = o types.int; config.old = 1; _file = "F"; } ]).warnings;
    expected = [ "The option `old' defined in `F' has been renamed to `new'." ];
  };
  testInt19 = {
    expr = (e [ ({ options, ... }: { options.a = o types.int; options.b = o types.int; config.a = 3; config.b = lib.mkAliasDefinitions options.a; }) ]).b;
    expected = 3;
  };
  testInt20 = {
    expr = (e [ ({ options, ... }: { options.a = o types.int; options.b = o types.int; config.a = 3; config.b = lib.mkDerivedConfig options.a (x: x + 1); }) ]).b;
    expected = 4;
  };
  testMkEnableOption1 = {
    expr = (e [ { options.a = lib.mkEnableOption "it"; } ]).a;
    expected = false;
  };
  testMkEnableOption2 = {
    expr = (lib.mkEnableOption "it").description;
    expected = "Whether to enable it.";
  };
  testMkPackageOption1 = {
    expr = removeAttrs (lib.mkPackageOption { hello = "h"; } "hello" { }) [ "type" ];
    expected = { _type = "option"; default = "h"; defaultText = { _type = "literalExpression"; text = "pkgs.hello"; }; description = "The hello package to use."; };
  };
  testMkPackageOption2 = {
    expr = removeAttrs (lib.mkPackageOption { a.b = "h"; } "GHC" { default = [ "a" "b" ]; example = "pkgs.x"; extraDescription = "More."; }) [ "type" ];
    expected = { _type = "option"; default = "h"; defaultText = { _type = "literalExpression"; text = "pkgs.a.b"; }; description = "The GHC package to use. More."; example = { _type = "literalExpression"; text = "pkgs.x"; }; };
  };
  testMkPackageOption3 = {
    expr = removeAttrs (lib.mkPackageOption { } "x" { nullable = true; default = null; }) [ "type" ];
    expected = { _type = "option"; default = null; description = "The x package to use."; };
  };
  testMkSinkUndeclaredOptions1 = {
    expr = (e [ { options.a = lib.mkSinkUndeclaredOptions { }; config.a.b.c = 1; options.x = lib.mkOption { default = 2; }; } ]).x;
    expected = 2;
  };
  testShowOption1 = {
    expr = lib.showOption [ "a" "1b" "-" "if" "\"x" "*" "<name>" "[definition 1-entry 2]" ];
    expected = "a.\"1b\".\"-\".\"if\".\"\\\"x\".*.<name>.\"[definition 1-entry 2]\"";
  };
  testShowFiles1 = {
    expr = lib.showFiles [ "a" "b" ];
    expected = "`a' and `b'";
  };
  testShowOptionWithDefLocs1 = {
    expr = lib.showOptionWithDefLocs { loc = [ "x" "y" ]; files = [ "f1" "f2" ]; };
    expected = "x.y, with values defined in:\n  - f1\n  - f2\n";
  };
  testOptionsShowDefs1 = {
    expr = lib.options.showDefs [ { file = "a"; value = x: x; } { file = "b"; value = throw "x"; } { file = "c"; value = { a.b.c.d = 1; g = [ 1 [ 2 ] ]; }; } { file = "d"; value = "multi\nline"; } ];
    expected = "\n- In `a': <function>\n- In `b'\n- In `c':\n    {\n      a = {\n        b = {\n          c = {\n            d = 1;\n    ...\n- In `d':\n    ''\n      multi\n      line''";
  };
  testScrubOptionValue1 = {
    expr = lib.scrubOptionValue { a = { type = "derivation"; name = "n"; }; b = [ 1 ]; };
    expected = { a = { drvPath = "n"; name = "n"; outPath = "n"; type = "derivation"; }; b = [ 1 ]; };
  };
  testOptionsRenderOptionValue1 = {
    expr = lib.options.renderOptionValue { a = 1; };
    expected = { _type = "literalExpression"; text = "{\n  a = 1;\n}"; };
  };
  testLiteralExpression1 = {
    expr = lib.literalExpression "x";
    expected = { _type = "literalExpression"; text = "x"; };
  };
  testLiteralMD1 = {
    expr = lib.literalMD "x";
    expected = { _type = "literalMD"; text = "x"; };
  };
  testFilter1 = {
    expr = map (d: removeAttrs d [ "declarations" ]) (lib.filter (d: lib.head d.loc != "_module" && !(lib.elem "_module" d.loc)) (lib.optionAttrSetToDocList (E [ { options = { a = lib.mkOption { type = types.int; default = 1; description = "d"; example = 2; internal = true; }; b.c = lib.mkOption { type = types.submodule { options.x = lib.mkOption { type = types.str; visible = false; defaultText = "q"; }; }; default = { }; visible = "shallow"; readOnly = true; relatedPackages = [ "x" ]; }; d = lib.mkOption { type = types.attrsOf (types.submodule { options.y = o types.str; }); }; e = lib.mkOption { visible = false; type = types.submodule { options.z = o types.str; }; }; f = lib.mkOption { type = types.listOf (types.submodule { options.z = o types.str; }); }; }; } ]).options));
    expected = [ { default = { _type = "literalExpression"; text = "1"; }; description = "d"; example = { _type = "literalExpression"; text = "2"; }; internal = true; loc = [ "a" ]; name = "a"; readOnly = false; type = "signed integer"; visible = true; } { default = { _type = "literalExpression"; text = "{ }"; }; description = null; internal = false; loc = [ "b" "c" ]; name = "b.c"; readOnly = true; relatedPackages = [ "x" ]; type = "submodule"; visible = true; } { description = null; internal = false; loc = [ "d" ]; name = "d"; readOnly = false; type = "attribute set of (submodule)"; visible = true; } { description = null; internal = false; loc = [ "d" "<name>" "y" ]; name = "d.<name>.y"; readOnly = false; type = "string"; visible = true; } { description = null; internal = false; loc = [ "e" ]; name = "e"; readOnly = false; type = "submodule"; visible = false; } { description = null; internal = false; loc = [ "f" ]; name = "f"; readOnly = false; type = "list of (submodule)"; visible = true; } { description = null; internal = false; loc = [ "f" "*" "z" ]; name = "f.*.z"; readOnly = false; type = "string"; visible = true; } ];
  };
  testAnything3 = {
    expr = map (t: t.description) [ types.anything types.unspecified types.raw types.bool types.boolByOr types.int types.float types.number types.str types.nonEmptyStr types.singleLineStr (types.strMatching "a+") (types.separatedString ";") types.lines types.commas types.envVar (types.passwdEntry types.str) types.attrs types.package types.shellPackage types.path types.pathInStore types.externalPath types.port types.optionType types.deferredModule types.pkgs types.luaInline types.json types.toml ];
    expected = [ "anything" "unspecified value" "raw value" "boolean" "boolean (merged using or)" "signed integer" "floating point number" "signed integer or floating point number" "string" "non-empty string" "(optionally newline-terminated) single-line string" "string matching the pattern a+" "strings concatenated with \";\"" "strings concatenated with \"\\n\"" "strings concatenated with \",\"" "strings concatenated with \":\"" "string, not containing newlines or colons" "attribute set" "package" "package" "absolute path" "path in the Nix store" "absolute path not in the Nix store" "16 bit unsigned integer; between 0 and 65535 (both inclusive)" "optionType" "module" "Nixpkgs package set" "inline lua" "JSON value" "TOML value" ];
  };
  testIntsU81 = {
    expr = map (t: t.description) [ types.ints.u8 types.ints.s8 types.ints.u16 types.ints.s16 types.ints.u32 types.ints.s32 types.ints.unsigned types.ints.positive (types.ints.between 1 5) types.numbers.nonnegative types.numbers.positive (types.numbers.between 0 1.5) ];
    expected = [ "8 bit unsigned integer; between 0 and 255 (both inclusive)" "8 bit signed integer; between -128 and 127 (both inclusive)" "16 bit unsigned integer; between 0 and 65535 (both inclusive)" "16 bit signed integer; between -32768 and 32767 (both inclusive)" "32 bit unsigned integer; between 0 and 4294967295 (both inclusive)" "32 bit signed integer; between -2147483648 and 2147483647 (both inclusive)" "unsigned integer, meaning >=0" "positive integer, meaning >0" "integer between 1 and 5 (both inclusive)" "nonnegative integer or floating point number, meaning >=0" "positive integer or floating point number, meaning >0" "integer or floating point number between 0 and 1.5 (both inclusive)" ];
  };
  testListOf8 = {
    expr = map (t: t.description) [ (types.listOf types.str) (types.nonEmptyListOf types.int) (types.attrsOf (types.nullOr types.int)) (types.lazyAttrsOf (types.listOf types.str)) (types.nullOr (types.listOf types.int)) (types.either types.int types.str) (types.either types.ints.positive types.str) (types.oneOf [ types.int types.str types.bool ]) (types.listOf (types.either types.int types.str)) (types.functionTo types.int) (types.uniq types.int) (types.enum [ "a" 1 true ]) (types.enum [ "a" ]) (types.enum [ ]) (types.coercedTo types.int toString types.str) (types.submodule { }) (types.submodule { freeformType = types.attrsOf types.int; }) (types.attrTag { a = o types.int; }) (types.pathWith { absolute = false; }) (types.pathWith { inStore = false; }) (types.pathWith { inStore = true; absolute = true; }) (types.passwdEntry types.path) (types.addCheck types.int (x: true)) (types.attrListOf types.int) ];
    expected = [ "list of string" "non-empty (list of signed integer)" "attribute set of (null or signed integer)" "lazy attribute set of list of string" "null or (list of signed integer)" "signed integer or string" "positive integer, meaning >0, or string" "signed integer or string or boolean" "list of (signed integer or string)" "function that evaluates to a(n) signed integer" "signed integer" "one of \"a\", 1, true" "value \"a\" (singular enum)" "impossible (empty enum)" "string or signed integer convertible to it" "submodule" "open submodule of attribute set of signed integer" "attribute-tagged union with choices: a" "relative path" "path not in the Nix store" "absolute path in the Nix store" "absolute path, not containing newlines or colons" "signed integer" "attribute list of signed integer" ];
  };
  testListOf9 = {
    expr = map (t: t.descriptionClass) [ (types.listOf types.str) (types.nullOr types.str) (types.either types.int types.str) types.ints.positive (types.enum [ 1 2 ]) (types.enum [ 1 ]) (types.submodule { }) (types.functionTo types.int) (types.coercedTo types.int toString types.str) (types.uniq types.int) ];
    expected = [ "composite" "conjunction" "conjunction" "nonRestrictiveClause" "conjunction" "noun" null "composite" null "noun" ];
  };
  testListOf10 = {
    expr = map (t: t.name) [ (types.listOf types.str) (types.attrsOf types.str) (types.lazyAttrsOf types.str) types.lines types.ints.u8 types.ints.positive (types.nullOr types.int) (types.submodule { }) types.deferredModule types.json (types.strMatching "x") (types.passwdEntry types.str) types.path types.pathInStore ];
    expected = [ "listOf" "attrsOf" "lazyAttrsOf" "separatedString" "unsignedInt8" "positiveInt" "nullOr" "submodule" "deferredModule" "nullOr" "strMatching \"x\"" "passwdEntry str" "path" "path" ];
  };
  testIntsU8Check1 = {
    expr = map types.ints.u8.check [ 0 255 256 (-1) "x" ];
    expected = [ true true false false false ];
  };
  testPortCheck1 = {
    expr = map types.port.check [ 0 65535 65536 ];
    expected = [ true true false ];
  };
  testPathCheck1 = {
    expr = map types.path.check [ "/x" "x" /x "" 1 { outPath = "/x"; } ];
    expected = [ true false true false false true ];
  };
  testPathInStoreCheck1 = {
    expr = map types.pathInStore.check [ "/nix/store/hpz0yfaqdwzj5ivz7clr4bvsvyqvgnsr-x" "/nix/store" "/nix/store/.links" "/x" "/nix/store/hpz0yfaqdwzj5ivz7clr4bvsvyqvgnsr-x/y" ];
    expected = [ true false false false true ];
  };
  testExternalPathCheck1 = {
    expr = map types.externalPath.check [ "/x" "/nix/store/hpz0yfaqdwzj5ivz7clr4bvsvyqvgnsr-x" "x" ];
    expected = [ true false false ];
  };
  testPackageCheck1 = {
    expr = map types.package.check [ { type = "derivation"; } "/nix/store/hpz0yfaqdwzj5ivz7clr4bvsvyqvgnsr-x" 1 "x" ];
    expected = [ true true false false ];
  };
  testNonEmptyStrCheck1 = {
    expr = map types.nonEmptyStr.check [ "" " " "a" "\n" ];
    expected = [ false false true false ];
  };
  testSingleLineStrCheck1 = {
    expr = map types.singleLineStr.check [ "" "a\n" "a\nb" "a" ];
    expected = [ true true false true ];
  };
  testStrMatching1 = {
    expr = map (types.strMatching "[a-z]+").check [ "abc" "ab1" 1 ];
    expected = [ true false false ];
  };
  testPasswdEntry1 = {
    expr = map (types.passwdEntry types.str).check [ "a" "a:b" "a\nb" ];
    expected = [ true false false ];
  };
  testShellPackageCheck1 = {
    expr = map types.shellPackage.check [ { type = "derivation"; shellPath = "/x"; } { type = "derivation"; } ];
    expected = [ true false ];
  };
  testPkgsCheck1 = {
    expr = map types.pkgs.check [ { _type = "pkgs"; } { } ];
    expected = [ true false ];
  };
  testNonEmptyListOf1 = {
    expr = map (types.nonEmptyListOf types.int).check [ [ ] [ 1 ] ];
    expected = [ false true ];
  };
  testListOf11 = {
    expr = map (t: t.emptyValue) [ (types.listOf types.int) (types.nonEmptyListOf types.int) (types.attrsOf types.int) (types.nullOr types.int) types.str (types.submodule { }) types.attrs types.anything ];
    expected = [ { value = [ ]; } { } { value = { }; } { value = null; } { } { value = { }; } { value = { }; } { } ];
  };
  testIntTypeMerge1 = {
    expr = (types.int.typeMerge types.int.functor).name;
    expected = "int";
  };
  testIntTypeMerge2 = {
    expr = types.int.typeMerge types.str.functor;
    expected = null;
  };
  testListOf12 = {
    expr = ((types.listOf types.int).typeMerge (types.listOf types.int).functor).description;
    expected = "list of signed integer";
  };
  testListOf13 = {
    expr = (types.listOf types.int).typeMerge (types.listOf types.str).functor;
    expected = null;
  };
  testEnum3 = {
    expr = ((types.enum [ 1 ]).typeMerge (types.enum [ 2 ]).functor).description;
    expected = "one of 1, 2";
  };
  testAttrsOf9 = {
    expr = ((types.attrsOf (types.enum [ 1 ])).typeMerge (types.attrsOf (types.enum [ 2 ])).functor).description;
    expected = "attribute set of (one of 1, 2)";
  };
  testAttrsOf10 = {
    expr = (types.attrsOf types.int).typeMerge (types.lazyAttrsOf types.int).functor;
    expected = null;
  };
  testNullOr3 = {
    expr = ((types.nullOr types.int).typeMerge (types.nullOr types.int).functor).description;
    expected = "null or signed integer";
  };
  testEither2 = {
    expr = ((types.either types.int types.str).typeMerge (types.either types.int types.str).functor).description;
    expected = "signed integer or string";
  };
  testSeparatedString1 = {
    expr = (types.separatedString ",").typeMerge (types.separatedString ";").functor;
    expected = null;
  };
  testStrMatching2 = {
    expr = (types.strMatching "a").typeMerge (types.strMatching "b").functor;
    expected = null;
  };
  testAttrNames1 = {
    expr = lib.attrNames ((types.attrsOf (types.submodule { options.x = o types.int; })).getSubOptions [ "p" ]);
    expected = [ "_module" "x" ];
  };
  testAttrsOf11 = {
    expr = ((types.attrsOf (types.submodule { options.x = o types.int; })).getSubOptions [ "p" ]).x.loc;
    expected = [ "p" "<name>" "x" ];
  };
  testListOf14 = {
    expr = ((types.listOf (types.submodule { options.x = o types.int; })).getSubOptions [ "p" ]).x.loc;
    expected = [ "p" "*" "x" ];
  };
  testAttrsWith1 = {
    expr = ((types.attrsWith { elemType = types.submodule { options.x = o types.int; }; placeholder = "id"; }).getSubOptions [ "p" ]).x.loc;
    expected = [ "p" "<id>" "x" ];
  };
  testLength1 = {
    expr = lib.length (types.submodule [ { } { } ]).getSubModules;
    expected = 2;
  };
  testAttrNames2 = {
    expr = lib.attrNames (types.either types.int types.str).nestedTypes;
    expected = [ "left" "right" ];
  };
  testAttrNames3 = {
    expr = lib.attrNames (types.attrsOf types.int).nestedTypes;
    expected = [ "elemType" ];
  };
  testMkIf1 = {
    expr = lib.mkIf true 1;
    expected = { _type = "if"; condition = true; content = 1; };
  };
  testMkMerge1 = {
    expr = lib.mkMerge [ 1 2 ];
    expected = { _type = "merge"; contents = [ 1 2 ]; };
  };
  testMkOverride1 = {
    expr = lib.mkOverride 3 4;
    expected = { _type = "override"; content = 4; priority = 3; };
  };
  testMkForce1 = {
    expr = map (f: (f 1).priority) [ lib.mkForce lib.mkDefault lib.mkOptionDefault lib.mkVMOverride lib.mkImageMediaOverride lib.mkBefore lib.mkAfter (lib.mkOrder 7) ];
    expected = [ 50 1000 1500 10 60 500 1500 7 ];
  };
  testModulesDefaultOverridePriority1 = {
    expr = lib.modules.defaultOverridePriority;
    expected = 100;
  };
  testModulesMergeAttrDefinitionsWithPrio1 = {
    expr = lib.modules.mergeAttrDefinitionsWithPrio (E [ { options.a = o (types.attrsOf types.int); config.a = { x = lib.mkForce 1; y = 2; }; } { a.y = lib.mkDefault 5; } ]).options.a;
    expected = { x = { highestPrio = 50; value = 1; }; y = { highestPrio = 100; value = 2; }; };
  };
  testModulesMapDefinitionValue1 = {
    expr = lib.modules.mapDefinitionValue (x: x + 1) (lib.mkForce (lib.mkIf true 1));
    expected = { _type = "override"; content = { _type = "if"; condition = true; content = 2; }; priority = 50; };
  };
  testMergeOneOption1 = {
    expr = lib.mergeOneOption [ "a" ] [ { file = "f"; value = 1; } ];
    expected = 1;
  };
  testMergeEqualOption1 = {
    expr = lib.mergeEqualOption [ "a" ] [ { file = "f"; value = 1; } { file = "g"; value = 1; } ];
    expected = 1;
  };
  testMergeDefaultOption1 = {
    expr = lib.mergeDefaultOption [ "a" ] [ { file = "f"; value = { a = 1; }; } { file = "g"; value = { b = 1; }; } ];
    expected = { a = 1; b = 1; };
  };
  testGetValues1 = {
    expr = lib.getValues [ { value = 1; file = "f"; } ];
    expected = [ 1 ];
  };
  testGetFiles1 = {
    expr = lib.getFiles [ { value = 1; file = "f"; } ];
    expected = [ "f" ];
  };
  testModulesMergeDefinitions1 = {
    expr = (lib.modules.mergeDefinitions [ "a" ] types.int [ { file = "f"; value = lib.mkDefault 1; } { file = "g"; value = 3; } ]).mergedValue;
    expected = 3;
  };
  testModulesMergeDefinitions2 = {
    expr = (lib.modules.mergeDefinitions [ "a" ] types.int [ ]).isDefined;
    expected = false;
  };
  testModulesMergeDefinitions3 = {
    expr = (lib.modules.mergeDefinitions [ "a" ] types.int [ { file = "f"; value = lib.mkIf false 1; } ]).optionalValue;
    expected = { };
  };
  testSetDefaultModuleLocation1 = {
    expr = lib.setDefaultModuleLocation "F" { a = 1; };
    expected = { _file = "F"; imports = [ { a = 1; } ]; };
  };
  testInt21 = {
    expr = (builtins.tryEval (e [ { options.a = o types.int; config.a = "x"; } ]).a).success;
    expected = false;
  };
  testInt22 = {
    expr = (builtins.tryEval (e [ { options.a = o types.int; config.b = 1; } ]).a).success;
    expected = false;
  };
  testInt23 = {
    expr = (builtins.tryEval (e [ { options.a = o types.int; } ]).a).success;
    expected = false;
  };
  testMkOption8 = {
    expr = (builtins.tryEval (e [ { options.a = lib.mkOption { readOnly = true; default = 1; }; config.a = 1; } ]).a).success;
    expected = false;
  };
  testMkOption9 = {
    expr = (e [ { options.a = lib.mkOption { readOnly = true; type = types.int; }; config.a = 1; } ]).a;
    expected = 1;
  };
  testOptionType1 = {
    expr = (e [ { options.a = o types.optionType; config.a = types.submodule { options.x = o types.int; }; } { a = types.submodule { options.y = o types.int; }; } ({ config, ... }: { options.b = lib.mkOption { type = config.a; }; config.b = { x = 1; y = 2; }; }) ]).b;
    expected = { x = 1; y = 2; };
  };
  testAttrsOf12 = {
    expr = (e [ { options.a = o (types.attrsOf (types.submodule { options.enable = lib.mkEnableOption "x"; })); config.a = lib.mkMerge [ { x.enable = true; } (lib.mkIf true { y = { }; }) ]; } ]).a;
    expected = { x = { enable = true; }; y = { enable = false; }; };
  };
  testMkOption10 = {
    expr = (e [ { require = [ { options.a = lib.mkOption { default = 6; }; } ]; } ]).a;
    expected = 6;
  };
  testInt24 = {
    expr = (e [ { options.meta.x = o types.int; config = { }; meta.x = 3; } ]).meta.x;
    expected = 3;
  };
  testMkOption11 = {
    expr = (e [ { __functor = self: { lib, ... }: { options.a = lib.mkOption { default = 8; }; }; } ]).a;
    expected = 8;
  };
}
