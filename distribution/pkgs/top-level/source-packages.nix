# The layer of packages built from source.
final: prev: {
  hello = final.callPackage ../hello { };
  zlib = final.callPackage ../zlib { };
  lua5_4 = final.callPackage ../lua { };
  lua = final.lua5_4;
}
