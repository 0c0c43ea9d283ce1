# importBinary: a package whose files others built (Debian archives, npm tarballs, a single program), brought into a store
# path by Firn's own builder. The parameters in `spec` are described in the importer's manual.
#
# The result answers to what packages from mkDerivation answer to: override (through callPackage), overrideAttrs, meta, passthru,
# and the output names of split packages (`dev`, `lib`, `bin`, …), which all are the one output.
{ lib, config, platform }:
let
  checkMeta = import ../../stdenv/check-meta.nix { inherit lib config; };

  # what is in the one output, under the names that users of split packages write
  otherOutputs = [
    "bin"
    "dev"
    "lib"
    "man"
    "doc"
    "info"
    "static"
    "data"
  ];

  build =
    rattrs:
    let
      final = rattrs (final // { finalPackage = package; });
      name = final.name or "${final.pname}-${final.version}";
      drvAttrs = {
        inherit name;
        system = platform.system;
        builder = "builtin:firn-import";
        spec = builtins.toJSON final.spec;
        outputs = [ "out" ];
      }
      // (final.env or { });
      drv = derivation drvAttrs;
      meta = checkMeta.complete {
        attrs = final;
        pos = final.pos or null;
        inherit name platform;
        outputs = [ "out" ];
      };
      valid = checkMeta.assertValid meta name;
      self = drv // {
        inherit name meta drvAttrs;
        inherit (final) spec;
        pname = final.pname or (lib.getName name);
        version = final.version or (lib.getVersion name);
        passthru = final.passthru or { };
        buildInputs = [ ];
        nativeBuildInputs = [ ];
        propagatedBuildInputs = [ ];
        outPath = valid drv.outPath;
        drvPath = valid drv.drvPath;
        all = [ package ];
        # there is nothing to choose: the files are as others built them
        override =
          changes:
          if changes == { } then
            package
          else
            throw "‘${name}’ is imported as others built it and has no build options; `overrideAttrs` can change how it is imported (its attribute `spec`)";
        overrideAttrs =
          change:
          build (
            fixed:
            let
              old = rattrs fixed;
              once = if builtins.isFunction change then change old else change;
              new = if builtins.isFunction once then change fixed old else once;
            in
            old // new
          );
      };
      package =
        lib.genAttrs otherOutputs (_: package)
        // self
        // {
          out = package;
        }
        // (final.passthru or { });
    in
    package;
in
fnOrAttrs: build (if builtins.isFunction fnOrAttrs then fnOrAttrs else _: fnOrAttrs)
