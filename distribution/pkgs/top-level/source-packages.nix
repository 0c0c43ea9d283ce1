# The layer of packages built from source.
final: prev: {
  hello = final.callPackage ../hello { };
}
