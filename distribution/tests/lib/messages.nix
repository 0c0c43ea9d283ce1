# What errors of the module system say: `{ expression, message }`, the message without the leading "error: ".
#
# A runner evaluates `let … in EXPRESSION` strictly, with `prelude` in place of the dots, and compares the last error; where
# it shows source code after the message, only the message counts.
{
  prelude = ''
    lib = import ./distribution/lib;
    inherit (lib) mkOption types mkForce mkIf mkMerge mkDefault evalModules;
    e = modules: (evalModules { inherit modules; }).config;
    o = type: mkOption { inherit type; };
  '';

  cases = [
    {
      expression = "(e [{options.a=o types.int;}]).a";
      message = "The option `a' was accessed but has no value defined. Try setting the option.";
    }
    {
      expression = "(e [{options.a=o types.int; config.a=\"x\";}]).a";
      message = "A definition for option `a' is not of type `signed integer'. Definition values:\n- In `<unknown-file>': \"x\"";
    }
    {
      expression = "(e [{options.a=o types.int; config.b=\"x\";}]).a";
      message = "The option `b' does not exist. Definition values:\n- In `<unknown-file>': \"x\"\n\nDid you mean `a'?";
    }
    {
      expression = "(e [{options.abcd=o types.int; options.abce=o types.int; options.x.abcd=o types.int;config.abc=\"x\";}]).abcd";
      message = "The option `abc' does not exist. Definition values:\n- In `<unknown-file>': \"x\"\n\nDid you mean `abcd', `abce' or `x'?";
    }
    {
      expression = "(e [{options.x.abcd=o types.int;config.x.abc=\"x\";}]).x.abcd";
      message = "The option `x.abc' does not exist. Definition values:\n- In `<unknown-file>': \"x\"\n\nDid you mean `x.abcd'?";
    }
    {
      expression = "(e [{config.x.abc=\"x\";}]).x";
      message = "The option `x' does not exist. Definition values:\n- In `<unknown-file>':\n    {\n      abc = \"x\";\n    }\n\nIt seems as if you're trying to declare an option by placing it into `config' rather than `options'!";
    }
    {
      expression = "(e [{options.a=o types.int; config.a=1;} {config.a=2;}]).a";
      message = "The option `a' has conflicting definition values:\n- In `<unknown-file>': 2\n- In `<unknown-file>': 1\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
    }
    {
      expression = "(e [{options.a=mkOption {type=types.int;readOnly=true;}; config.a=1;} {config.a=2;}]).a";
      message = "The option `a' is read-only, but it's set multiple times. Definition values:\n- In `<unknown-file>': 2\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{options.a=o types.str; config.a=\"x\";} {config.a=\"y\";}]).a";
      message = "The option `a' has conflicting definition values:\n- In `<unknown-file>': \"y\"\n- In `<unknown-file>': \"x\"\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
    }
    {
      expression = "(e [{options.a=o (types.listOf types.str); config.a=[\"x\" 1];} ]).a";
      message = "A definition for option `a.\"[definition 1-entry 2]\"' is not of type `string'. Definition values:\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{options.a=o (types.listOf types.str); config.a=1;} ]).a";
      message = "A definition for option `a' is not of type `list of string'. TypeError: Definition values:\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{options.a=o (types.attrsOf types.int); config.a.b=\"x\";} ]).a";
      message = "A definition for option `a.b' is not of type `signed integer'. Definition values:\n- In `<unknown-file>': \"x\"";
    }
    {
      expression = "(e [{options.a=o (types.either types.int types.bool); config.a=\"x\";} ]).a";
      message = "A definition for option `a' is not of type `signed integer or boolean'. TypeError: The option `a` is neither a value of type `signed integer` nor `boolean`, Definition values:\n- In `<unknown-file>': \"x\"";
    }
    {
      expression = "(e [{options.a=o (types.nullOr types.int); config.a=1;} {config.a=null;}]).a";
      message = "The option `a` is defined both null and not null, in `<unknown-file>' and `<unknown-file>'.";
    }
    {
      expression = "(e [{options.a=o (types.nullOr types.int); config.a=\"1\";} ]).a";
      message = "A definition for option `a' is not of type `null or signed integer'. Definition values:\n- In `<unknown-file>': \"1\"";
    }
    {
      expression = "(e [{options.a=o (types.enum [\"x\"]); config.a=\"1\";} ]).a";
      message = "A definition for option `a' is not of type `value \"x\" (singular enum)'. Definition values:\n- In `<unknown-file>': \"1\"";
    }
    {
      expression = "(e [{options.a=o types.int;} {options.a=o types.str;}]).a";
      message = "The option `a' in `<unknown-file>' is already declared in `<unknown-file>'.";
    }
    {
      expression = "(e [{options.a=mkOption {default=1;};} {options.a=mkOption {default=2;};}]).a";
      message = "The option `a' in `<unknown-file>' is already declared in `<unknown-file>'.";
    }
    {
      expression = "(e [{options.a=o types.int; config={}; foo=1;}])";
      message = "Module `:anon-1' has an unsupported attribute `foo'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: foo) into the explicit `config' attribute.";
    }
    {
      expression = "(e [{options.a=o types.int; config.a=mkIf 1 2;}])";
      message = "‘mkIf’ called with a non-Boolean condition";
    }
    {
      expression = "(e [1])";
      message = "Expected a module, but found 1 (of type int), while trying to load a module into <unknown-file>. A module is a path, a set or a function.";
    }
    {
      expression = "(e [[1]])";
      message = "Module imports can't be nested lists. Perhaps you meant to remove one level of lists? Definitions:\n- In `<unknown-file>':\n    [\n      1\n    ]";
    }
    {
      expression = "(e [{_type=\"foo\";}])";
      message = "Expected a module, but found a value of type \"foo\".\nA module is typically loaded by adding it to the imports = [ ... ]; attribute of an existing module, or in the modules = [ ... ]; argument of various functions.\nPlease make sure that each of the list items is a module, and not a different kind of value.";
    }
    {
      expression = "(e [{options.a.b=o types.int; config.a=1;}])";
      message = "In module `<unknown-file>', you're trying to define a value of type `int'\nrather than an attribute set for the option\n`a'!\n\nThis usually happens if `a' has option\ndefinitions inside that are not matched. Please check how to properly define\nthis option by e.g. referring to `man 5 configuration.nix'!";
    }
    {
      expression = "(e [{options.a=1;}])";
      message = "An option declaration for `a' has type\n`int' rather than an attribute set.\nDid you mean to define this outside of `options'?";
    }
    {
      expression = "(e [{options.a=o types.int;} {options.a.b=o types.int;}])";
      message = "The option `a' in module `<unknown-file>' would be a parent of the following options, but its type `signed integer' does not support nested options.\n - option(s) with prefix `a.b' in module `<unknown-file>'";
    }
    {
      expression = "(e [({foo,...}: {options.a=o types.int; config.a=foo;})])";
      message = "attribute 'foo' missing";
    }
    {
      expression = "(e [{options.a=o types.int; config.a=mkForce (mkIf true 2);}])";
      message = "A definition for option `a' is not of type `signed integer'. Definition values:\n- In `<unknown-file>':\n    {\n      _type = \"if\";\n      condition = true;\n      content = 2;\n    }";
    }
    {
      expression = "(e [{options.a=o types.int; config.a=mkForce (mkMerge [2]);}])";
      message = "A definition for option `a' is not of type `signed integer'. Definition values:\n- In `<unknown-file>':\n    {\n      _type = \"merge\";\n      contents = [\n        2\n      ];\n    ...";
    }
    {
      expression = "(evalModules {modules=[{_class=\"nixos\";}]; class=\"darwin\";}).config";
      message = "The module `<unknown-file>` (class: \"nixos\") cannot be imported into a module evaluation that expects class \"darwin\".\n\nHelp:\n- Ensure that you are importing the correct module.\n- Verify that the module's `_class`, \"nixos\" matches the expected `class` \"darwin\".\n- If you are using a custom class, make sure it is correctly defined and used consistently across your modules.";
    }
    {
      expression = "(e [{options.a=o (types.submodule {options.b=o types.int;}); config.a.c=1;} ]).a";
      message = "The option `a.c' does not exist. Definition values:\n- In `<unknown-file>': 1\n\nDid you mean `a.b'?";
    }
    {
      expression = "(e [{options.a=o (types.attrsOf (types.submodule {options.b=o types.int;})); config.a.x.c=1;} ]).a.x.b";
      message = "The option `a.x.c' does not exist. Definition values:\n- In `<unknown-file>': 1\n\nDid you mean `a.x.b'?";
    }
    {
      expression = "(e [{options.a=o (types.attrsOf (types.submodule {options.b=o types.int;})); config.a.x={};} ]).a.x.b";
      message = "The option `a.x.b' was accessed but has no value defined. Try setting the option.";
    }
    {
      expression = "(e [{options.a=o (types.uniq types.int); config.a=1;} {a=2;}]).a";
      message = "The option `a' is defined multiple times while it's expected to be unique.\n\nDefinition values:\n- In `<unknown-file>': 2\n- In `<unknown-file>': 1\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
    }
    {
      expression = "(e [{options.a=o (types.unique {message=\"MSG\";} types.int); config.a=1;} {a=2;}]).a";
      message = "The option `a' is defined multiple times while it's expected to be unique.\nMSG\nDefinition values:\n- In `<unknown-file>': 2\n- In `<unknown-file>': 1\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
    }
    {
      expression = "(e [{options.a=o types.package; config.a=1;}]).a";
      message = "A definition for option `a' is not of type `package'. Definition values:\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{imports=[(lib.mkRenamedOptionModule [\"b\"] [\"a\"])]; options.warnings=o (types.listOf types.str); config.b=1;}])";
      message = "The option `a' does not exist. Definition values:\n- In `<unknown-file>':\n    {\n      _type = \"if\";\n      condition = true;\n      content = {\n        _type = \"if\";\n    ...\n\nDid you mean `b' or `warnings'?";
    }
    {
      expression = "(e [{disabledModules=[{}];}])";
      message = "Module `<unknown-file>` contains a disabledModules item that is an attribute set, presumably a module, that does not have a `key` attribute. This means that the module system doesn't have any means to identify the module that should be disabled. Make sure that you've put the correct value in disabledModules: a string path relative to modulesPath, a path value, or an attribute set with a `key` attribute.";
    }
    {
      expression = "(e [{options=1;}])";
      message = "An option declaration for `' has type\n`int' rather than an attribute set.\nDid you mean to define this outside of `options'?";
    }
    {
      expression = "(e [{options.a=o types.int;config=1;}])";
      message = "In module `<unknown-file>', you're trying to define a value of type `int'\nrather than an attribute set for the option\n`'!\n\nThis usually happens if `' has option\ndefinitions inside that are not matched. Please check how to properly define\nthis option by e.g. referring to `man 5 configuration.nix'!";
    }
    {
      expression = "(e [{options.a={_type=\"foo\";};}])";
      message = "In module <unknown-file>: expected an option declaration at option path `a` but got an attribute set with type foo";
    }
    {
      expression = "(e [{freeformType=types.attrsOf types.int; config.b.c=\"x\";}])";
      message = "A definition for option `b' is not of type `signed integer'. Definition values:\n- In `<unknown-file>':\n    {\n      c = \"x\";\n    }";
    }
    {
      expression = "(e [{freeformType=types.attrsOf types.int; config.b=\"x\";}])";
      message = "A definition for option `b' is not of type `signed integer'. Definition values:\n- In `<unknown-file>': \"x\"";
    }
    {
      expression = "(e [{options.a=o (types.coercedTo types.int toString types.str); config.a=true;}]).a";
      message = "A definition for option `a' is not of type `string or signed integer convertible to it'. TypeError: Definition values:\n- In `<unknown-file>': true";
    }
    {
      expression = "(e [{options.a=o (types.attrTag {x=o types.int;}); config.a.y=1;}]).a";
      message = "A definition for option `a' is not of type `attribute-tagged union with choices: x'. Definition values:\n- In `<unknown-file>':\n    {\n      y = 1;\n    }";
    }
    {
      expression = "(e [{options.a=o (types.attrTag {x=o types.int;}); config.a={};}]).a";
      message = "A definition for option `a' is not of type `attribute-tagged union with choices: x'. Definition values:\n- In `<unknown-file>': { }";
    }
    {
      expression = "(e [{options.a=o (types.attrTag {x=o types.int;y=o types.int;}); config.a={x=1;y=2;};}]).a";
      message = "A definition for option `a' is not of type `attribute-tagged union with choices: x, y'. Definition values:\n- In `<unknown-file>':\n    {\n      x = 1;\n      y = 2;\n    }";
    }
    {
      expression = "(e [{options.a=o (types.functionTo types.int); config.a=x: \"a\";}]).a 1";
      message = "A definition for option `a.<function body>' is not of type `signed integer'. Definition values:\n- In `<unknown-file>': \"a\"";
    }
    {
      expression = "(e [{options.a=o types.bool; config.a={_type=\"x\";};}]).a";
      message = "A definition for option `a' is not of type `boolean'. Definition values:\n- In `<unknown-file>':\n    {\n      _type = \"x\";\n    }";
    }
    {
      expression = "(e [{options.a=o types.anything; config.a=1;} {a=\"x\";}]).a";
      message = "The option `a' has conflicting option types in `<unknown-file>' and `<unknown-file>'";
    }
    {
      expression = "(e [{options.a=o types.unspecified; config.a=1;} {a=\"x\";}]).a";
      message = "Cannot merge definitions of `a'. Definition values:\n- In `<unknown-file>': \"x\"\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{options.a=o types.lines; config.a=1;} {a=\"x\";}]).a";
      message = "A definition for option `a' is not of type `strings concatenated with \"\\n\"'. Definition values:\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{options.a=o types.str; config.a=1;} {a=\"x\";_file=\"foo.nix\";}]).a";
      message = "A definition for option `a' is not of type `string'. Definition values:\n- In `<unknown-file>': 1";
    }
    {
      expression = "(e [{options.a=o types.string; config.a=\"1\";}]).a";
      message = "attribute 'string' missing";
    }
    {
      expression = "(e [{options.a=o (types.nonEmptyListOf types.int); config.a=[];}]).a";
      message = "A definition for option `a' is not of type `non-empty (list of signed integer)'. TypeError: Definition values:\n- In `<unknown-file>': [ ]";
    }
    {
      expression = "(e [{options.a=o (types.ints.between 1 2); config.a=3;}]).a";
      message = "A definition for option `a' is not of type `integer between 1 and 2 (both inclusive)'. Definition values:\n- In `<unknown-file>': 3";
    }
    {
      expression = "(e [{options.a=o types.path; config.a=\"x\";}]).a";
      message = "A definition for option `a' is not of type `absolute path'. Definition values:\n- In `<unknown-file>': \"x\"";
    }
  ];
}
