# Firn's Nix library.
#
# Names and meanings are those of nixpkgs' `lib`, so that an expression written for one works with the other. Every
# area is a file that takes the finished library (`{ lib }`) and returns its own functions; this file assembles the areas
# and lifts their commonly used names to the top. Areas call builtins and their own functions directly and reach other
# areas through `lib` only where they must, which keeps both evaluation and the dependency graph small.
let
  inherit (import ./fixed-points.nix { lib = null; }) makeExtensible;

  build =
    lib:
    let
      area = file: import file { inherit lib; };

      areas = {
        # the language's gaps
        trivial = area ./trivial.nix;
        fixedPoints = area ./fixed-points.nix;
        lists = area ./lists.nix;
        attrsets = area ./attrsets.nix;
        strings = area ./strings;
        stringsWithDeps = area ./strings/with-deps.nix;
        debug = area ./debug.nix;
        asserts = area ./asserts.nix;
        versions = area ./versions.nix;

        # packages
        customisation = area ./customisation.nix;
        derivations = area ./derivations.nix;
        meta = area ./meta.nix;
        licenses = area ./licenses;
        sourceTypes = area ./source-types.nix;
        maintainers = { };
        teams = { };
        fetchers = area ./fetchers.nix;

        # platforms
        systems = area ./systems;
        platforms = lib.systems.doubles.platforms;

        # files
        path = area ./path.nix;
        sources = area ./sources.nix;
        fileset = area ./fileset;
        filesystem = area ./filesystem.nix;

        # configuration
        types = area ./types;
        options = area ./options.nix;
        modules = area ./modules;
        kernel = area ./kernel.nix;

        # text formats
        generators = area ./generators;
        gvariant = area ./generators/gvariant.nix;
        cli = area ./cli.nix;
        network = area ./network.nix;
        flakes = area ./flakes.nix;

        # names kept for old expressions
        misc = area ./deprecated.nix;
      };
    in
    areas
    // import ./exports.nix areas
    // {
      inherit lib;
    };
in
removeAttrs (makeExtensible build) [ "lib" ]
