# Name and version of every package at the top level of nixpkgs, as a search wants them.
{ nixpkgs, exclude ? [ ] }:
let
  packages = import nixpkgs {
    config = { };
    overlays = [ ];
    system = "x86_64-linux";
  };
  describe =
    attribute:
    let
      package = packages.${attribute};
      description = {
        inherit attribute;
        inherit (package) name;
        version = package.version or "";
      };
      tried = builtins.tryEval (
        if package.type or null == "derivation" then
          builtins.deepSeq description [ description ]
        else
          [ ]
      );
    in
    if tried.success then tried.value else [ ];
in
builtins.concatMap describe (builtins.attrNames (removeAttrs packages exclude))
