# stdenv.mkDerivation: attributes (or a function of the final attributes) → a package.
#
# What a package is made of is decided here: which attributes reach the builder's environment, which stay on the Nix side
# (meta, passthru), how overrideAttrs composes. How a build proceeds is setup/*.sh's business.
{ lib, config }:
stdenv:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elem
    filter
    foldl'
    hasAttr
    intersectAttrs
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isString
    listToAttrs
    mapAttrs
    removeAttrs
    typeOf
    unsafeGetAttrPos
    ;

  checkMeta = import ./check-meta.nix { inherit lib config; };

  hardeningKnown = [
    "bindnow"
    "format"
    "fortify"
    "fortify3"
    "pic"
    "pie"
    "relro"
    "stackprotector"
    "strictoverflow"
    "zerocallusedregs"
    "stackclashprotection"
    "shadowstack"
    "nostrictaliasing"
    "pacret"
    "trivialautovarinit"
    "libcxxhardeningfast"
    "libcxxhardeningextensive"
    "glibcxxassertions"
    "strictflexarrays1"
    "strictflexarrays3"
    "all"
  ];

  # lists of inputs, by the names that describe on and for which platform they run
  inputKinds = {
    depsBuildBuild = [ ];
    depsBuildBuildPropagated = [ ];
    nativeBuildInputs = [ ];
    propagatedNativeBuildInputs = [ ];
    depsBuildTarget = [ ];
    depsBuildTargetPropagated = [ ];
    depsHostHost = [ ];
    depsHostHostPropagated = [ ];
    buildInputs = [ ];
    propagatedBuildInputs = [ ];
    depsTargetTarget = [ ];
    depsTargetTargetPropagated = [ ];
  };

  # attributes that never reach the builder
  nixSide = [
    "meta"
    "passthru"
    "pos"
    "env"
    "checkInputs"
    "nativeCheckInputs"
    "installCheckInputs"
    "nativeInstallCheckInputs"
    "hardeningEnable"
    "hardeningDisable"
    "realBuilder"
    "builder"
    "args"
  ];

  flatten = input: if isList input then builtins.concatMap flatten input else [ input ];

  # an input stands for its development output, where it has one
  devOutput =
    owner: kind: input:
    if isAttrs input then
      if input.outputSpecified or false then input else input.dev or input
    else if input == null || isString input || builtins.isPath input then
      input
    else
      throw "the attribute ‘${kind}’ of ‘${owner}’ must list derivations or paths, but has a ${typeOf input}";

  prepareInputs =
    owner: kind: inputs:
    map (devOutput owner kind) (filter (i: i != null) (flatten inputs));

  prepare =
    attrs: pos:
    let
      name =
        attrs.name or (
          if attrs ? pname then
            "${attrs.pname}${lib.optionalString (attrs ? version) "-${attrs.version}"}"
          else
            throw "a derivation needs a `name`, or a `pname` and a `version`${whereAt pos}"
        );

      checks = attrs.doCheck or config.doCheckByDefault;
      installChecks = attrs.doInstallCheck or config.doCheckByDefault;

      extraInputs = {
        nativeBuildInputs =
          lib.optionals checks (attrs.nativeCheckInputs or [ ])
          ++ lib.optionals installChecks (attrs.nativeInstallCheckInputs or [ ]);
        buildInputs =
          lib.optionals checks (attrs.checkInputs or [ ])
          ++ lib.optionals installChecks (attrs.installCheckInputs or [ ]);
      };

      inputs = mapAttrs (
        kind: list: prepareInputs name kind (list ++ extraInputs.${kind} or [ ])
      ) (intersectAttrs inputKinds (extraInputsDefaults // attrs));
      extraInputsDefaults = lib.filterAttrs (_: l: l != [ ]) extraInputs;
      # empty lists say nothing to the builder: leave them out, so that adding `buildInputs = [ ]` changes no hash
      usedInputs = lib.filterAttrs (_: list: list != [ ]) inputs;

      env = attrs.env or { };
      clashes = filter (n: hasAttr n attrs) (attrNames env);
      envChecked =
        if clashes != [ ] then
          throw "‘${name}’ gives ${concatStringsSep ", " (map (n: "‘${n}’") clashes)} both as an attribute and in `env`"
        else
          mapAttrs (
            n: v:
            if isString v || isBool v || isInt v || lib.isDerivation v then
              v
            else
              throw "the attribute ‘env.${n}’ of ‘${name}’ must be a derivation, string, boolean or integer, but is a ${typeOf v}"
          ) env;

      structured = attrs.__structuredAttrs or config.structuredAttrsByDefault or false;

      unknownHardening = filter (f: !elem f hardeningKnown) (
        (attrs.hardeningEnable or [ ]) ++ (attrs.hardeningDisable or [ ])
      );
      hardening = lib.optionalAttrs (attrs ? hardeningEnable || attrs ? hardeningDisable) {
        NIX_HARDENING_ENABLE =
          if unknownHardening != [ ] then
            throw "‘${name}’ names unknown hardening flags: ${concatStringsSep ", " unknownHardening}"
          else if elem "all" (attrs.hardeningDisable or [ ]) then
            ""
          else
            concatStringsSep " " (
              filter (f: !elem f (attrs.hardeningDisable or [ ])) (
                lib.unique (stdenv.defaultHardening ++ (attrs.hardeningEnable or [ ]))
              )
            );
      };

      outputs = attrs.outputs or [ "out" ];
    in
    removeAttrs attrs (nixSide ++ attrNames inputKinds)
    // usedInputs
    // hardening
    // (if structured then { env = envChecked; } else envChecked)
    // {
      inherit name;
      builder = attrs.realBuilder or stdenv.shell;
      args =
        attrs.args or (
          if attrs ? builder then
            [
              "-e"
              ./source-stdenv.sh
              attrs.builder
            ]
          else
            [
              "-e"
              ./default-builder.sh
            ]
        );
      inherit stdenv;
      system = attrs.system or stdenv.buildPlatform.system;
      inherit outputs;
      userHook = config.stdenv.userHook or null;
      __ignoreNulls = true;
    }
    // lib.optionalAttrs structured { __structuredAttrs = true; }
    // lib.optionalAttrs (attrs ? doCheck || checks) { doCheck = checks; }
    // lib.optionalAttrs (attrs ? doInstallCheck || installChecks) { doInstallCheck = installChecks; };

  whereAt = pos: if pos == null then "" else " (at ${pos.file}:${toString pos.line})";

  firstPos =
    attrs:
    foldl' (found: n: if found != null then found else unsafeGetAttrPos n attrs) null [
      "version"
      "pname"
      "name"
      "src"
    ];

  build =
    rattrs:
    let
      final = rattrs (
        final
        // {
          finalPackage = package;
          overrideAttrs = package.overrideAttrs;
        }
      );
      pos = final.pos or (firstPos final);
      forBuilder = prepare final pos;
      meta = checkMeta.complete {
        inherit pos;
        inherit (forBuilder) name outputs;
        attrs = final;
        platform = stdenv.hostPlatform;
      };
      overrideAttrs =
        change:
        build (
          self:
          let
            old = rattrs self;
            once = if isFunction change then change old else change;
            new = if isFunction once then change self old else once;
          in
          old // new
        );
      passthru = final.passthru or { };
      drv = derivation forBuilder;
      shared = passthru // {
        inherit meta overrideAttrs stdenv;
        inherit (forBuilder) name;
        inputDerivation = derivation (
          removeAttrs forBuilder [
            "allowedReferences"
            "allowedRequisites"
            "disallowedReferences"
            "disallowedRequisites"
            "outputChecks"
            "outputHash"
            "outputHashAlgo"
            "outputHashMode"
            "outputs"
          ]
          // {
            name = "inputs-of-${forBuilder.name}";
            builder = stdenv.shell;
            args = [
              "-c"
              "export > $out"
            ];
          }
        );
      }
      // lib.optionalAttrs (final ? pname) { inherit (final) pname; }
      // lib.optionalAttrs (passthru ? tests || final ? passthru) {
        passthru = passthru;
      };
      valid = checkMeta.assertValid meta forBuilder.name;

      # every output is the whole package with another outPath
      outputSet = listToAttrs (
        map (output: {
          name = output;
          value =
            base
            // drv.${output}
            // shared
            // outputSet
            // {
              outPath = valid drv.${output}.outPath;
              drvPath = valid drv.drvPath;
              outputSpecified = true;
            };
        }) forBuilder.outputs
      );
      # the attributes as they were given, so that old.buildInputs and the like mean what was written
      base = removeAttrs final [
        "passthru"
        "meta"
        "pos"
      ];
      package =
        base
        // drv
        // removeAttrs base [
          "args"
          "builder"
        ]
        // lib.optionalAttrs (!(final ? buildInputs)) { buildInputs = [ ]; }
        // lib.optionalAttrs (!(final ? nativeBuildInputs)) { nativeBuildInputs = [ ]; }
        // lib.optionalAttrs (!(final ? propagatedBuildInputs)) { propagatedBuildInputs = [ ]; }
        // shared
        // outputSet
        // {
          outPath = valid drv.outPath;
          drvPath = valid drv.drvPath;
          drvAttrs = forBuilder;
          all = map (o: outputSet.${o}) forBuilder.outputs;
          inherit (forBuilder) outputs system;
        };
    in
    package;
in
fnOrAttrs: build (if isFunction fnOrAttrs then fnOrAttrs else _: fnOrAttrs)
