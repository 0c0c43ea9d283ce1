# What builds Python projects: `python3Packages`, with nixpkgs' names. Only what a project with a pyproject.toml needs to be built is
# here; a library that is missing is packaged with buildPythonPackage.
{ lib, final }:
let
  python = final.python3;
  sitePackages = "lib/python3.11/site-packages";

  # a wheel that Python itself carries, unpacked
  fromWheel =
    pname:
    final.runCommandLocal "python3.11-${pname}"
      {
        nativeBuildInputs = [ final.unzip ];
        passthru.pythonModule = python;
        meta = { inherit (python.meta) platforms; };
      }
      ''
        mkdir -p $out/${sitePackages}
        unzip -q ${python}/share/python-wheels/${pname}-*.whl -d $out/${sitePackages}
      '';

  # makes what it is given importable for programs of the build, and in shells
  pythonPathHook = final.makeSetupHook { name = "python-path-hook"; } ./python-path-hook.sh;

  build =
    isApplication: fnOrAttrs:
    let
      complete =
        {
          # nixpkgs' names for what is needed to build, to run and to test
          build-system ? [ ],
          dependencies ? [ ],
          optional-dependencies ? { },
          nativeCheckInputs ? [ ],
          propagatedBuildInputs ? [ ],
          nativeBuildInputs ? [ ],
          pyproject ? null,
          format ? null,
          pythonImportsCheck ? [ ],
          makeWrapperArgs ? [ ],
          passthru ? { },
          meta ? { },
          ...
        }@args:
        let
          name = args.name or "${args.pname}-${args.version}";
          built =
            if pyproject == true || format == "pyproject" then
              build-system
            else if pyproject == null && builtins.elem format [ null "setuptools" ] then
              build-system ++ [ self.setuptools self.wheel ]
            else if pyproject == false && format == null || format == "other" then
              null
            else
              throw "buildPythonPackage: ‘${name}’ has format ‘${toString format}’; this distribution builds `pyproject = true`, `format = \"setuptools\"`, and `pyproject = false` with phases of one's own";
          needed = dependencies ++ propagatedBuildInputs;
        in
        removeAttrs args [
          "build-system"
          "dependencies"
          "optional-dependencies"
          "pyproject"
          "format"
          "nativeCheckInputs"
        ]
        // {
          nativeBuildInputs =
            nativeBuildInputs
            ++ [
              python
              pythonPathHook
              final.makeWrapper
            ]
            ++ lib.optionals (built != null) ([ self.pip ] ++ built);
          # tests are run when the package is in place
          nativeInstallCheckInputs = nativeCheckInputs;
          propagatedBuildInputs = needed ++ lib.optional (!isApplication) python;
          buildInputs = args.buildInputs or [ ] ++ [ python ];
          strictDeps = args.strictDeps or true;
          doCheck = false;
          doInstallCheck = args.doCheck or true;
          inherit makeWrapperArgs pythonImportsCheck;
          passthru = {
            inherit optional-dependencies;
            pythonModule = python;
          }
          // passthru;
          meta = {
            inherit (python.meta) platforms;
          }
          // meta;
        }
        // lib.optionalAttrs (built != null) {
          configurePhase = args.configurePhase or ''
            runHook preConfigure
            runHook postConfigure
          '';
          buildPhase = args.buildPhase or "pythonBuildPhase";
          installPhase = args.installPhase or "pythonInstallPhase";
          installCheckPhase = args.installCheckPhase or args.checkPhase or "pythonCheckPhase";
        }
        // lib.optionalAttrs isApplication {
          postFixup = ''
            wrapPythonPrograms
            ${args.postFixup or ""}
          '';
        };
    in
    final.stdenv.mkDerivation (
      if builtins.isFunction fnOrAttrs then self: complete (fnOrAttrs self) else complete fnOrAttrs
    );

  # the interpreter with packages that it can import
  withPackages =
    choose:
    let
      chosen = choose self;
      all = closure (lib.filter (p: p ? pythonModule) chosen);
    in
    final.runCommandLocal "${python.name}-env"
      {
        nativeBuildInputs = [ final.makeWrapper ];
        passthru = python.passthru or { } // {
          interpreter = "python3";
        };
        meta = python.meta;
      }
      ''
        mkdir -p $out/bin
        path=${lib.concatMapStringsSep ":" (p: "${p}/${sitePackages}") all}
        for program in ${python}/bin/python3 ${python}/bin/python3.11 ${python}/bin/python; do
          if [ -e "$program" ]; then makeWrapper "$program" "$out/bin/''${program##*/}" --prefix PYTHONPATH : "$path"; fi
        done
        [ -e $out/bin/python ] || ln -s python3 $out/bin/python
        for package in ${toString all}; do
          if [ -d "$package/bin" ]; then
            for program in "$package"/bin/*; do ln -sfn "$program" "$out/bin/''${program##*/}"; done
          fi
        done
      '';

  # packages and what they propagate, each once
  closure =
    packages:
    map (entry: entry.package) (
      builtins.genericClosure {
        startSet = map (package: {
          key = package.outPath;
          inherit package;
        }) packages;
        operator =
          { package, ... }:
          map (package: {
            key = package.outPath;
            inherit package;
          }) (lib.filter (p: p ? pythonModule) (package.propagatedBuildInputs or [ ]));
      }
    );

  self = {
    inherit python withPackages;
    buildPythonPackage = lib.makeOverridable (build false);
    buildPythonApplication = lib.makeOverridable (build true);
    callPackage = final.newScope self;
    pip = fromWheel "pip";
    setuptools = fromWheel "setuptools";
    wheel = final.runCommandLocal "python3.11-wheel" { passthru.pythonModule = python; } ''
      mkdir -p $out/lib/python3.11
      cp -r ${final.debian.python3-wheel}/lib/python3/dist-packages $out/${sitePackages}
    '';
    pythonOlder = lib.versionOlder "3.11";
    pythonAtLeast = lib.versionAtLeast "3.11";
    inherit pythonPathHook;
    recurseForDerivations = true;
  };
in
self
