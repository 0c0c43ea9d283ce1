# Finding the modules of a configuration: a module in any of its forms becomes a set of fixed shape, and imports are
# followed, each module once.
{ lib, properties }:
let
  inherit (builtins)
    addErrorContext
    attrNames
    concatLists
    concatMap
    elem
    filter
    functionArgs
    genList
    genericClosure
    head
    isAttrs
    isFunction
    isList
    isString
    isPath
    elemAt
    length
    map
    mapAttrs
    removeAttrs
    substring
    throw
    toString
    typeOf
    ;
  inherit (properties) mkMerge;

  # All that may stand beside `config` and `options`.
  structured = [
    "_class"
    "_file"
    "key"
    "disabledModules"
    "imports"
    "options"
    "config"
    "meta"
    "freeformType"
  ];
  # All that is not an option where neither of them is there.
  notOptions = [
    "_class"
    "_file"
    "key"
    "disabledModules"
    "require"
    "imports"
    "freeformType"
  ];

  withFreeformType =
    m: config:
    if m ? freeformType then
      mkMerge [
        config
        { _module.freeformType = m.freeformType; }
      ]
    else
      config;
  withMeta =
    m: config:
    if m ? meta then
      mkMerge [
        config
        { inherit (m) meta; }
      ]
    else
      config;

  # A module as `{ _class, _file, key, disabledModules, imports, options, config }`.
  unifyModuleSyntax =
    file: key: m:
    if m ? config || m ? options then
      let
        stray = attrNames (removeAttrs m structured);
      in
      if stray != [ ] then
        throw "Module `${key}' has an unsupported attribute `${head stray}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: ${toString stray}) into the explicit `config' attribute."
      else
        {
          _file = toString m._file or file;
          _class = m._class or null;
          key = toString m.key or key;
          disabledModules = m.disabledModules or [ ];
          imports = m.imports or [ ];
          options = m.options or { };
          config = withFreeformType m (withMeta m (m.config or { }));
        }
    else if isAttrs m then
      {
        _file = toString m._file or file;
        _class = m._class or null;
        key = toString m.key or key;
        disabledModules = m.disabledModules or [ ];
        imports = m.require or [ ] ++ m.imports or [ ];
        options = { };
        config = withFreeformType m (removeAttrs m notOptions);
      }
    else
      throw "module ${toString file} (${key}) does not look like a module.";

  isCallable = f: isFunction f || f ? __functor;

  # The arguments that the function names and the caller does not give come from `_module.args`, each only when it is used.
  applyModuleArgs =
    key: f: args:
    let
      formals = if isFunction f then functionArgs f else lib.trivial.functionArgs f;
      fromConfig = mapAttrs (
        name: _:
        addErrorContext "while evaluating the module argument `${name}' in \"${key}\":" (
          if args ? ${name} then
            args.${name}
          else
            addErrorContext "noting that argument `${name}` is not externally provided, so querying `_module.args` instead, requiring `config`" args.config._module.args.${name}
        )
      ) formals;
    in
    f (args // fromConfig);

  applyModuleArgsIfFunction =
    key: f: args:
    if isCallable f then applyModuleArgs key f args else f;

  loadModule =
    args: parentFile: anonymousKey: m:
    if isFunction m then
      unifyModuleSyntax parentFile anonymousKey (applyModuleArgs anonymousKey m args)
    else if isAttrs m then
      let
        kind = m._type or "module";
      in
      if m ? __functor then
        unifyModuleSyntax parentFile anonymousKey (applyModuleArgs anonymousKey m args)
      else if kind == "module" then
        unifyModuleSyntax parentFile anonymousKey m
      else if kind == "if" || kind == "override" then
        loadModule args parentFile anonymousKey { config = m; }
      else
        throw (
          "Expected a module, but found a value of type ${lib.strings.escapeNixString (toString kind)}${
            if parentFile == lib.options.unknownModule then "" else ", while trying to load a module into ${parentFile}"
          }.\n"
          + (
            if kind == "configuration" then
              "What `evalModules` returns is a finished configuration: import the modules that went into it instead."
            else if kind == "flake" then
              "A flake is no module itself: perhaps you meant one of its outputs, such as `nixosModules.default`."
            else
              ''
                A module is typically loaded by adding it to the imports = [ ... ]; attribute of an existing module, or in the modules = [ ... ]; argument of various functions.
                Please make sure that each of the list items is a module, and not a different kind of value.''
          )
        )
    else if isList m then
      throw "Module imports can't be nested lists. Perhaps you meant to remove one level of lists? Definitions: ${
        lib.options.showDefs [
          {
            file = parentFile;
            value = m;
          }
        ]
      }"
    else if isPath m || isString m then
      let
        file = toString m;
        imported = import m;
      in
      unifyModuleSyntax file file (
        if isFunction imported || imported ? __functor then applyModuleArgs file imported args else imported
      )
    else
      throw "Expected a module, but found ${
        lib.generators.toPretty { } m
      } (of type ${typeOf m}), while trying to load a module into ${parentFile}. A module is a path, a set or a function.";

  checkClass =
    class: m:
    if m._class == null || class == null || m._class == class then
      m
    else
      throw ''
        The module `${m._file}` (class: ${lib.strings.escapeNixString m._class}) cannot be imported into a module evaluation that expects class ${lib.strings.escapeNixString class}.

        Help:
        - Ensure that you are importing the correct module.
        - Verify that the module's `_class`, ${lib.strings.escapeNixString m._class} matches the expected `class` ${lib.strings.escapeNixString class}.
        - If you are using a custom class, make sure it is correctly defined and used consistently across your modules.'';

  # How a `disabledModules` entry names a module: by its path, relative to `modulesPath` if it is a relative string, or by its key.
  disabledKey =
    modulesPath: file: m:
    if isString m then
      if substring 0 1 m == "/" then m else "${toString modulesPath}/${m}"
    else if isAttrs m && !lib.strings.isStringLike m then
      m.key or (throw "Module `${file}` contains a disabledModules item that is an attribute set, presumably a module, that does not have a `key` attribute. This means that the module system doesn't have any means to identify the module that should be disabled. Make sure that you've put the correct value in disabledModules: a string path relative to modulesPath, a path value, or an attribute set with a `key` attribute.")
    else if isAttrs m && m ? key && toString m != toString m.key then
      throw "Module `${file}` contains a disabledModules item that is an attribute set that can be converted to a string (${toString m}) but also has a `.key` attribute (${m.key}) with a different value. This makes it ambiguous which module should be disabled."
    else if isFunction m then
      throw "Each disabledModules item must be a path, string, or a attribute set with a key attribute, or a value supported by toString. However, one of the disabledModules items in `${toString file}` is none of that, but is of type ${typeOf m}."
    else
      toString m;

  # The tree of imports: `{ key, module, modules, disabled }` for each module, its own imports in `modules`.
  importTree =
    class: args:
    let
      below =
        parentFile: parentKey: imports:
        genList (
          i:
          let
            module = checkClass class (
              loadModule args parentFile "${parentKey}:anon-${toString (i + 1)}" (elemAt imports i)
            );
            modules = below module._file module.key module.imports;
          in
          {
            inherit (module) key;
            inherit module modules;
            disabled =
              (
                if module.disabledModules == [ ] then
                  [ ]
                else
                  [
                    {
                      file = module._file;
                      disabled = module.disabledModules;
                    }
                  ]
              )
              ++ concatMap (m: m.disabled) modules;
          }
        ) (length imports);
    in
    below lib.options.unknownModule "";

  collectModules =
    class: modulesPath: modules: args:
    let
      tree = importTree class args modules;
      disabled = concatMap (m: m.disabled) tree;
      disabledKeys = concatMap (d: map (disabledKey modulesPath d.file) d.disabled) disabled;
      disabledSet = builtins.listToAttrs (
        map (key: {
          name = builtins.unsafeDiscardStringContext key;
          value = null;
        }) disabledKeys
      );
      enabled = if disabledKeys == [ ] then (ms: ms) else filter (m: !disabledSet ? ${builtins.unsafeDiscardStringContext m.key});
    in
    map (m: m.module) (genericClosure {
      startSet = enabled tree;
      operator = m: enabled m.modules;
    });

  # The file that errors name for a module that has none of its own.
  setDefaultModuleLocation = file: m: {
    _file = file;
    imports = [ m ];
  };
in
{
  inherit
    applyModuleArgsIfFunction
    collectModules
    setDefaultModuleLocation
    unifyModuleSyntax
    ;

  # A module file that needs arguments of its own first.
  importApply =
    file: args:
    setDefaultModuleLocation file (import file args);

  importJSON = file: {
    _file = file;
    config = lib.trivial.importJSON file;
  };
  importTOML = file: {
    _file = file;
    config = lib.trivial.importTOML file;
  };
}
