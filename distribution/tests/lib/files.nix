# Paths, sources, file sets, folders.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testPathSubpathIsValid1 = {
    expr = lib.path.subpath.isValid "foo/bar";
    expected = true;
  };
  testPathSubpathIsValid2 = {
    expr = lib.path.subpath.isValid "/foo";
    expected = false;
  };
  testPathSubpathIsValid3 = {
    expr = lib.path.subpath.isValid "../foo";
    expected = false;
  };
  testPathSubpathIsValid4 = {
    expr = lib.path.subpath.isValid "foo/..";
    expected = false;
  };
  testPathSubpathIsValid5 = {
    expr = lib.path.subpath.isValid "";
    expected = false;
  };
  testPathSubpathIsValid6 = {
    expr = lib.path.subpath.isValid "..foo";
    expected = true;
  };
  testPathSubpathIsValid7 = {
    expr = lib.path.subpath.isValid 1;
    expected = false;
  };
  testPathSubpathNormalise1 = {
    expr = lib.path.subpath.normalise "foo//bar";
    expected = "./foo/bar";
  };
  testPathSubpathNormalise2 = {
    expr = lib.path.subpath.normalise "foo/./bar/";
    expected = "./foo/bar";
  };
  testPathSubpathNormalise3 = {
    expr = lib.path.subpath.normalise ".";
    expected = "./.";
  };
  testPathSubpathNormalise4 = {
    expr = lib.path.subpath.normalise "./.";
    expected = "./.";
  };
  testPathSubpathComponents1 = {
    expr = lib.path.subpath.components "foo//bar/.";
    expected = [ "foo" "bar" ];
  };
  testPathSubpathComponents2 = {
    expr = lib.path.subpath.components ".";
    expected = [ ];
  };
  testPathSubpathJoin1 = {
    expr = lib.path.subpath.join [ "foo" "bar/baz" ];
    expected = "./foo/bar/baz";
  };
  testPathSubpathJoin2 = {
    expr = lib.path.subpath.join [ ];
    expected = "./.";
  };
  testPathSubpathJoin3 = {
    expr = lib.path.subpath.join [ "./foo" "." "bar//./baz/" ];
    expected = "./foo/bar/baz";
  };
  testPathAppend1 = {
    expr = toString (lib.path.append /foo "bar/baz");
    expected = "/foo/bar/baz";
  };
  testPathAppend2 = {
    expr = toString (lib.path.append /foo ".");
    expected = "/foo";
  };
  testPathHasPrefix1 = {
    expr = lib.path.hasPrefix /foo /foo/bar;
    expected = true;
  };
  testPathHasPrefix2 = {
    expr = lib.path.hasPrefix /foo /foo;
    expected = true;
  };
  testPathHasPrefix3 = {
    expr = lib.path.hasPrefix /foo/bar /foo;
    expected = false;
  };
  testPathHasPrefix4 = {
    expr = lib.path.hasPrefix /. /foo;
    expected = true;
  };
  testPathRemovePrefix1 = {
    expr = lib.path.removePrefix /foo /foo/bar/baz;
    expected = "./bar/baz";
  };
  testPathRemovePrefix2 = {
    expr = lib.path.removePrefix /foo /foo;
    expected = "./.";
  };
  testPathSplitRoot1 = {
    expr = (lib.path.splitRoot /foo/bar).subpath;
    expected = "./foo/bar";
  };
  testPathSplitRoot2 = {
    expr = toString (lib.path.splitRoot /foo/bar).root;
    expected = "/";
  };
  testPathHasStorePathPrefix1 = {
    expr = lib.path.hasStorePathPrefix /nix/store/nvl9ic0pj1fpyln3zaqrf4cclbqdfn1j-foo/bar;
    expected = true;
  };
  testPathHasStorePathPrefix2 = {
    expr = lib.path.hasStorePathPrefix /nix/store/nvl9ic0pj1fpyln3zaqrf4cclbqdfn1j-foo;
    expected = true;
  };
  testPathHasStorePathPrefix3 = {
    expr = lib.path.hasStorePathPrefix /nix/store;
    expected = false;
  };
  testPathHasStorePathPrefix4 = {
    expr = lib.path.hasStorePathPrefix /home/user;
    expected = false;
  };
  testPathAppend3 = {
    expr = (builtins.tryEval (lib.path.append /foo "../x")).success;
    expected = false;
  };
  testPathSubpathJoin4 = {
    expr = (builtins.tryEval (lib.path.subpath.join [ "a" "/b" ])).success;
    expected = false;
  };
  testPathRemovePrefix3 = {
    expr = (builtins.tryEval (lib.path.removePrefix /foo /bar)).success;
    expected = false;
  };
  testRemovePrefix1 = {
    expr = map (p: lib.removePrefix (toString ./fixtures + "/") (toString p)) (lib.filesystem.listFilesRecursive ./fixtures);
    expected = [ "a.txt" "b.c" "empty.txt~" "pkgs/dir/package.nix" "pkgs/nested/two.nix" "pkgs/one.nix" "sub/c.txt" "sub/deep/d.txt" "sub/deep/e.md" ];
  };
  testFilesystemPathType1 = {
    expr = lib.filesystem.pathType ./fixtures;
    expected = "directory";
  };
  testFilesystemPathIsDirectory1 = {
    expr = lib.filesystem.pathIsDirectory ./fixtures;
    expected = true;
  };
  testFilesystemPathIsRegularFile1 = {
    expr = lib.filesystem.pathIsRegularFile (./fixtures + "/a.txt");
    expected = true;
  };
  testFilesystemPathIsRegularFile2 = {
    expr = lib.filesystem.pathIsRegularFile (./fixtures + "/missing");
    expected = false;
  };
  testAttrNames1 = {
    expr = lib.attrNames (lib.filesystem.packagesFromDirectoryRecursive { callPackage = p: a: baseNameOf p; directory = ./fixtures/pkgs; });
    expected = [ "dir" "nested" "one" ];
  };
  testFilesystemPackagesFromDirectoryRecursive1 = {
    expr = lib.filesystem.packagesFromDirectoryRecursive { callPackage = p: a: baseNameOf p; directory = ./fixtures/pkgs; };
    expected = { dir = "package.nix"; nested = { two = "two.nix"; }; one = "one.nix"; };
  };
  testFilesystemLocateDominatingFile1 = {
    expr = (lib.filesystem.locateDominatingFile "(a|b)\\.txt" (./fixtures + "/sub/c.txt")).matches;
    expected = [ [ "a" ] ];
  };
  testFilesystemResolveDefaultNix1 = {
    expr = baseNameOf (lib.filesystem.resolveDefaultNix ./fixtures/pkgs);
    expected = "default.nix";
  };
  testFilesetToSource1 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = ./fixtures/sub; } + "";
    expected = "/nix/store/crrm7jsih6yd8a8iss5ayq4a1w6fi9iy-source";
  };
  testFilesetToSource2 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = lib.fileset.unions [ ./fixtures/a.txt ./fixtures/sub/deep ]; } + "";
    expected = "/nix/store/0va6kgq6wmqry1xnb9g6m7pfhvxvrama-source";
  };
  testFilesetToSource3 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = lib.fileset.difference ./fixtures ./fixtures/sub; } + "";
    expected = "/nix/store/7p2zxr68cwb5jfxi1gvlr7fjhibq3a6h-source";
  };
  testFilesetToSource4 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = lib.fileset.intersection ./fixtures/sub (lib.fileset.fileFilter (f: f.hasExt "txt") ./fixtures); } + "";
    expected = "/nix/store/d6djb35clhvzdga0r09k8laxrh3rq55s-source";
  };
  testFilesetToSource5 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = lib.fileset.union ./fixtures/a.txt ./fixtures/a.txt; } + "";
    expected = "/nix/store/6d3z4vasbx0yjdijyzb7amdigsqbw6m9-source";
  };
  testFilesetToSource6 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = lib.fileset.fileFilter (f: f.name == "c.txt") ./fixtures; } + "";
    expected = "/nix/store/mabc1yjdf4b937hv03pyvkh54r3yma80-source";
  };
  testFilesetToSource7 = {
    expr = lib.fileset.toSource { root = ./fixtures; fileset = lib.fileset.fromSource (lib.cleanSource ./fixtures); } + "";
    expected = "/nix/store/6rr91zwr6wddkpj2xbxksf29db9adcjg-source";
  };
  testRemovePrefix2 = {
    expr = map (p: lib.removePrefix (toString ./fixtures + "/") (toString p)) (lib.fileset.toList (lib.fileset.difference ./fixtures ./fixtures/sub/deep));
    expected = [ "a.txt" "b.c" "empty.txt~" "pkgs/dir/package.nix" "pkgs/nested/two.nix" "pkgs/one.nix" "sub/c.txt" ];
  };
  testFilesetToList1 = {
    expr = lib.fileset.toList (lib.fileset.maybeMissing (./fixtures + "/nope"));
    expected = [ ];
  };
  testFilesetToList2 = {
    expr = lib.fileset.toList lib.fileset.empty;
    expected = [ ];
  };
  testFilesetIsFileset1 = {
    expr = lib.fileset.isFileset (lib.fileset.union ./fixtures ./fixtures);
    expected = true;
  };
  testFilesetIsFileset2 = {
    expr = lib.fileset.isFileset ./fixtures;
    expected = true;
  };
  testCleanSource1 = {
    expr = lib.cleanSource ./fixtures + "";
    expected = "/nix/store/6rr91zwr6wddkpj2xbxksf29db9adcjg-source";
  };
  testSourceByRegex1 = {
    expr = lib.sourceByRegex ./fixtures [ "sub" "sub/.*\\.txt" ] + "";
    expected = "/nix/store/mabc1yjdf4b937hv03pyvkh54r3yma80-source";
  };
  testSourceFilesBySuffices1 = {
    expr = lib.sourceFilesBySuffices ./fixtures [ ".txt" ] + "";
    expected = "/nix/store/yphidvdp0fr4dvlsz7imqgdsfcqxgnxy-source";
  };
  testCleanSourceWith1 = {
    expr = lib.cleanSourceWith { src = ./fixtures; filter = p: t: baseNameOf p != "sub"; name = "picked"; } + "";
    expected = "/nix/store/dxi6pvsnfap6yf5danb92nrfvm5wd0rs-picked";
  };
  testCleanSourceWith2 = {
    expr = lib.cleanSourceWith { src = lib.cleanSource ./fixtures; filter = p: t: baseNameOf p != "a.txt"; } + "";
    expected = "/nix/store/bbc35mqinkgbgkabg8l7mg2dgkvcyjjl-source";
  };
  testSourcesPathIsGitRepo1 = {
    expr = lib.sources.pathIsGitRepo ./fixtures;
    expected = false;
  };
  testCanCleanSource1 = {
    expr = lib.canCleanSource ./fixtures;
    expected = true;
  };
}
