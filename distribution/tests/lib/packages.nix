# Calling, overriding and describing packages; licenses; names of sources.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testCallPackageWith1 = {
    expr = (lib.callPackageWith { a = 1; b = 2; } ({ a, b ? 5, c ? 6 }: { s = [ a b c ]; }) { }).s;
    expected = [ 1 2 6 ];
  };
  testCallPackageWith2 = {
    expr = (lib.callPackageWith { a = 1; b = 2; } ({ a, b ? 5, c ? 6 }: { s = [ a b c ]; }) { c = 9; }).s;
    expected = [ 1 2 9 ];
  };
  testCallPackageWith3 = {
    expr = ((lib.callPackageWith { a = 1; } ({ a, b ? 5 }: { s = [ a b ]; }) { }).override { b = 3; }).s;
    expected = [ 1 3 ];
  };
  testCallPackageWith4 = {
    expr = ((lib.callPackageWith { a = 1; } ({ a, b ? 5 }: { s = [ a b ]; }) { }).override (old: { a = old.a + 1; })).s;
    expected = [ 2 5 ];
  };
  testCallPackageWith5 = {
    expr = (((lib.callPackageWith { a = 1; } ({ a, b ? 5 }: { s = [ a b ]; }) { }).override { b = 3; }).override { a = 7; }).s;
    expected = [ 7 3 ];
  };
  testAttrNames1 = {
    expr = lib.attrNames (lib.callPackageWith { a = 1; } ({ a }: { x = 1; }) { });
    expected = [ "override" "overrideDerivation" "x" ];
  };
  testAttrNames2 = {
    expr = lib.attrNames (lib.callPackageWith { a = 1; } ({ a }: { x = 1; overrideAttrs = f: { }; }) { });
    expected = [ "override" "overrideAttrs" "overrideDerivation" "x" ];
  };
  testFunctionArgs1 = {
    expr = lib.functionArgs (lib.callPackageWith { a = 1; } ({ a, b ? 1 }: { x = 1; }) { }).override;
    expected = { a = false; b = true; };
  };
  testCallPackageWith6 = {
    expr = lib.callPackageWith { a = 1; } ({ a }: "plain ${toString a}") { };
    expected = "plain 1";
  };
  testFunctionArgs2 = {
    expr = lib.functionArgs (lib.callPackageWith { a = 1; } ({ a }: { q }: q) { });
    expected = { q = false; };
  };
  testCallPackagesWith1 = {
    expr = (lib.callPackagesWith { a = 1; } ({ a, b ? 2 }: { p = { s = [ a b ]; }; }) { }).p.s;
    expected = [ 1 2 ];
  };
  testCallPackagesWith2 = {
    expr = ((lib.callPackagesWith { a = 1; } ({ a, b ? 2 }: { p = { s = [ a b ]; }; q = { }; }) { }).p.override { b = 9; }).s;
    expected = [ 1 9 ];
  };
  testMakeOverridable1 = {
    expr = ((lib.makeOverridable ({ a, b ? a + 1 }: { inherit a b; }) { a = 1; }).override { a = 4; }).b;
    expected = 5;
  };
  testFunctionArgs3 = {
    expr = lib.functionArgs (lib.makeOverridable ({ a, b ? 1 }: { }));
    expected = { a = false; b = true; };
  };
  testMakeScope1 = {
    expr = (lib.makeScope lib.callPackageWith (self: { a = 1; b = self.callPackage ({ a }: { x = a; }) { }; })).b.x;
    expected = 1;
  };
  testMakeScope2 = {
    expr = ((lib.makeScope lib.callPackageWith (self: { a = 1; b = self.callPackage ({ a }: { x = a; }) { }; })).overrideScope (f: p: { a = p.a + 10; })).b.x;
    expected = 11;
  };
  testAttrNames3 = {
    expr = lib.attrNames (lib.makeScope lib.callPackageWith (self: { a = 1; }));
    expected = [ "a" "callPackage" "newScope" "overrideScope" "packages" ];
  };
  testExtendDerivation1 = {
    expr = (lib.extendDerivation true { extra = 1; } { type = "derivation"; drvPath = "/d"; outPath = "/o"; outputName = "out"; outputs = [ "out" ]; out = { type = "derivation"; outputName = "out"; drvPath = "/d"; outPath = "/o"; }; }).extra;
    expected = 1;
  };
  testExtendDerivation2 = {
    expr = (lib.extendDerivation true { extra = 1; } { type = "derivation"; drvPath = "/d"; outPath = "/o"; outputName = "out"; outputs = [ "out" ]; out = { type = "derivation"; outputName = "out"; drvPath = "/d"; outPath = "/o"; }; }).out.outputSpecified;
    expected = true;
  };
  testAttrNames4 = {
    expr = lib.attrNames (lib.extendDerivation true { extra = 1; } { type = "derivation"; drvPath = "/d"; outPath = "/o"; outputs = [ "out" ]; out = { type = "derivation"; outputName = "out"; drvPath = "/d"; outPath = "/o"; }; });
    expected = [ "all" "drvPath" "extra" "out" "outPath" "outputs" "type" ];
  };
  testOverrideDerivation1 = {
    expr = (lib.overrideDerivation (derivation { name = "a"; system = "x"; builder = "b"; }) (old: { name = old.name + "-new"; })).name;
    expected = "a-new";
  };
  testOverrideDerivation2 = {
    expr = (lib.overrideDerivation (derivation { name = "a"; system = "x"; builder = "b"; }) (old: { extra = "1"; })).drvPath;
    expected = "/nix/store/nznwbv6hwy384nrd2a4k0dpmrgjsdpdl-a.drv";
  };
  testLazyDerivation1 = {
    expr = lib.lazyDerivation { derivation = { type = "derivation"; outputs = [ "out" ]; out = "test"; outPath = "test outPath"; outputName = "out"; drvPath = "test drvPath"; name = "test name"; system = "test system"; meta.position = "/hi:23"; }; meta.x = 1; passthru.y = 2; };
    expected = { drvPath = "test drvPath"; meta = { x = 1; }; name = "test name"; out = "test"; outPath = "test outPath"; outputName = "out"; outputs = [ "out" ]; system = "test system"; type = "derivation"; y = 2; };
  };
  testAttrNames5 = {
    expr = lib.attrNames (lib.lazyDerivation { derivation = throw "lazy"; outputs = [ "out" "dev" ]; });
    expected = [ "dev" "drvPath" "meta" "name" "out" "outPath" "outputName" "outputs" "system" "type" ];
  };
  testOptionalDrvAttr1 = {
    expr = lib.optionalDrvAttr true 1;
    expected = 1;
  };
  testOptionalDrvAttr2 = {
    expr = lib.optionalDrvAttr false 1;
    expected = null;
  };
  testAddMetaAttrs1 = {
    expr = lib.addMetaAttrs { description = "d"; } { name = "x"; meta.a = 1; };
    expected = { meta = { a = 1; description = "d"; }; name = "x"; };
  };
  testSetName1 = {
    expr = lib.setName "new" { name = "old"; };
    expected = { name = "new"; };
  };
  testUpdateName1 = {
    expr = lib.updateName (n: n + "!") { name = "old"; };
    expected = { name = "old!"; };
  };
  testAppendToName1 = {
    expr = (lib.appendToName "with-x" { name = "foo-1.2"; }).name;
    expected = "foo-with-x-1.2";
  };
  testHiPrio1 = {
    expr = (lib.hiPrio { name = "x"; }).meta;
    expected = { priority = -10; };
  };
  testLowPrio1 = {
    expr = (lib.lowPrio { name = "x"; }).meta;
    expected = { priority = 10; };
  };
  testSetPrio1 = {
    expr = (lib.setPrio 3 { name = "x"; }).meta;
    expected = { priority = 3; };
  };
  testLowPrioSet1 = {
    expr = lib.lowPrioSet { a = { type = "derivation"; name = "a"; }; b = 1; };
    expected = { a = { meta = { priority = 10; }; name = "a"; type = "derivation"; }; b = 1; };
  };
  testDontDistribute1 = {
    expr = lib.dontDistribute { name = "x"; };
    expected = { meta = { hydraPlatforms = [ ]; }; name = "x"; };
  };
  testMetaPlatformMatch1 = {
    expr = lib.meta.platformMatch { system = "x86_64-linux"; } "x86_64-linux";
    expected = true;
  };
  testMetaPlatformMatch2 = {
    expr = lib.meta.platformMatch (lib.systems.elaborate "x86_64-linux") { isLinux = true; };
    expected = false;
  };
  testMetaPlatformMatch3 = {
    expr = lib.meta.platformMatch (lib.systems.elaborate "x86_64-linux") lib.systems.inspect.patterns.isLinux;
    expected = true;
  };
  testMetaPlatformMatch4 = {
    expr = lib.meta.platformMatch (lib.systems.elaborate "x86_64-linux") lib.systems.inspect.patterns.isAarch64;
    expected = false;
  };
  testMetaAvailableOn1 = {
    expr = lib.meta.availableOn (lib.systems.elaborate "x86_64-linux") { meta.platforms = lib.platforms.unix; };
    expected = true;
  };
  testMetaAvailableOn2 = {
    expr = lib.meta.availableOn (lib.systems.elaborate "x86_64-linux") { meta.platforms = lib.platforms.linux; meta.badPlatforms = [ "x86_64-linux" ]; };
    expected = false;
  };
  testMetaAvailableOn3 = {
    expr = lib.meta.availableOn (lib.systems.elaborate "x86_64-linux") { };
    expected = true;
  };
  testGetExe1 = {
    expr = lib.getExe { type = "derivation"; name = "x"; meta.mainProgram = "prog"; outPath = "/o"; bin = { type = "derivation"; outPath = "/b"; }; };
    expected = "/b/bin/prog";
  };
  testGetExePrime1 = {
    expr = lib.getExe' { type = "derivation"; name = "x"; outPath = "/o"; out = "/o"; } "foo";
    expected = "/o/bin/foo";
  };
  testGetLicenseFromSpdxId1 = {
    expr = lib.getLicenseFromSpdxId "mit" == lib.licenses.mit;
    expected = true;
  };
  testGetLicenseFromSpdxIdOr1 = {
    expr = lib.getLicenseFromSpdxIdOr "nope" null;
    expected = null;
  };
  testLicensesGpl3Plus1 = {
    expr = lib.licenses.gpl3Plus;
    expected = { deprecated = false; free = true; fullName = "GNU General Public License v3.0 or later"; licenseType = "simple"; redistributable = true; shortName = "gpl3Plus"; spdxId = "GPL-3.0-or-later"; url = "https://spdx.org/licenses/GPL-3.0-or-later.html"; };
  };
  testLicensesUnfree1 = {
    expr = lib.licenses.unfree;
    expected = { deprecated = false; free = false; fullName = "Unfree"; licenseType = "simple"; redistributable = false; shortName = "unfree"; };
  };
  testLicensesUnfreeRedistributable1 = {
    expr = lib.licenses.unfreeRedistributable;
    expected = { deprecated = false; free = false; fullName = "Unfree redistributable"; licenseType = "simple"; redistributable = true; shortName = "unfreeRedistributable"; };
  };
  testLicenses1 = {
    expr = map (n: lib.licenses.${n}.spdxId) [ "asl20" "bsd2" "bsd3" "gpl2Only" "isc" "lgpl21Plus" "mpl20" "zlib" "cc0" ];
    expected = [ "Apache-2.0" "BSD-2-Clause" "BSD-3-Clause" "GPL-2.0-only" "ISC" "LGPL-2.1-or-later" "MPL-2.0" "Zlib" "CC0-1.0" ];
  };
  testLicensesToSPDX1 = {
    expr = lib.licenses.toSPDX (lib.licenses.OR [ lib.licenses.mit lib.licenses.gpl2Only ]);
    expected = "MIT OR GPL-2.0-only";
  };
  testLicensesToSPDX2 = {
    expr = lib.licenses.toSPDX (lib.licenses.AND [ lib.licenses.mit (lib.licenses.OR [ lib.licenses.isc lib.licenses.bsd3 ]) ]);
    expected = "MIT AND (ISC OR BSD-3-Clause)";
  };
  testLicensesToSPDX3 = {
    expr = lib.licenses.toSPDX (lib.licenses.WITH lib.licenses.gpl2Only lib.licenses.classpathException20);
    expected = "GPL-2.0-only WITH Classpath-exception-2.0";
  };
  testLicensesIsFree1 = {
    expr = lib.licenses.isFree (lib.licenses.OR [ lib.licenses.mit lib.licenses.unfree ]);
    expected = true;
  };
  testLicensesIsFree2 = {
    expr = lib.licenses.isFree (lib.licenses.AND [ lib.licenses.mit lib.licenses.unfree ]);
    expected = false;
  };
  testSourceTypesBinaryNativeCode1 = {
    expr = lib.sourceTypes.binaryNativeCode;
    expected = { isSource = false; shortName = "binaryNativeCode"; };
  };
  testFunctionArgs4 = {
    expr = lib.functionArgs (lib.extendMkDerivation { constructDrv = lib.makeOverridable ({ name, x ? 1 }: { inherit name; }); extendDrvArgs = finalAttrs: { y, z ? 2 }: { }; });
    expected = { name = false; x = true; y = false; z = true; };
  };
  testExtendMkDerivation1 = {
    expr = lib.extendMkDerivation { constructDrv = f: lib.fix f; excludeDrvArgNames = [ "y" ]; extendDrvArgs = finalAttrs: { name, y, ... }: { both = "${finalAttrs.name}-${y}"; }; } { name = "n"; y = "why"; k = 1; };
    expected = { both = "n-why"; k = 1; name = "n"; };
  };
  testExtendMkDerivation2 = {
    expr = lib.extendMkDerivation { constructDrv = f: lib.fix f; extendDrvArgs = finalAttrs: { name, ... }: { both = finalAttrs.name; }; transformDrv = d: d // { t = 1; }; } (final: { name = "n"; z = final.both; });
    expected = { both = "n"; name = "n"; t = 1; z = "n"; };
  };
  testFetchersNormalizeHash1 = {
    expr = lib.fetchers.normalizeHash { } { hash = "sha256-x"; url = "u"; };
    expected = { outputHash = "sha256-x"; outputHashAlgo = null; url = "u"; };
  };
  testFetchersNormalizeHash2 = {
    expr = lib.fetchers.normalizeHash { } { sha256 = "x"; };
    expected = { outputHash = "x"; outputHashAlgo = "sha256"; };
  };
  testFetchersNormalizeHash3 = {
    expr = lib.fetchers.normalizeHash { hashTypes = [ "sha256" "sha512" ]; } { sha512 = ""; };
    expected = { outputHash = "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"; outputHashAlgo = "sha512"; };
  };
  testFetchersNormalizeHash4 = {
    expr = lib.fetchers.normalizeHash { required = false; } { url = "u"; };
    expected = { url = "u"; };
  };
  testFunctionArgs5 = {
    expr = lib.functionArgs (lib.fetchers.withNormalizedHash { } ({ outputHash, outputHashAlgo, url }: 1));
    expected = { hash = false; url = false; };
  };
  testFetchersWithNormalizedHash1 = {
    expr = lib.fetchers.withNormalizedHash { } ({ outputHash, outputHashAlgo, url }: { inherit outputHash outputHashAlgo url; }) { url = "u"; sha256 = "h"; };
    expected = { outputHash = "h"; outputHashAlgo = "sha256"; url = "u"; };
  };
  testSourcesShortRev1 = {
    expr = lib.sources.shortRev "abcdef0123456789";
    expected = "abcdef0";
  };
  testSourcesRevOrTag1 = {
    expr = lib.sources.revOrTag "abc" null;
    expected = "abc";
  };
  testSourcesRevOrTag2 = {
    expr = lib.sources.revOrTag null "v1";
    expected = "v1";
  };
  testSourcesUrlToName1 = {
    expr = lib.sources.urlToName "https://github.com/a/b.git";
    expected = "b";
  };
  testSourcesUrlToName2 = {
    expr = lib.sources.urlToName "git@github.com:a/b";
    expected = "b";
  };
  testSourcesUrlToName3 = {
    expr = lib.sources.urlToName "https://x.org/a/b-1.2.tar.gz";
    expected = "b-1.2";
  };
  testSourcesRepoRevToName1 = {
    expr = lib.sources.repoRevToName "full" "https://x/foo.git" "v1.2" null;
    expected = "foo-1.2-source";
  };
  testSourcesRepoRevToName2 = {
    expr = lib.sources.repoRevToName "source" "https://x/foo.git" "v1.2" "github";
    expected = "source";
  };
  testSourcesRepoRevToName3 = {
    expr = lib.sources.repoRevToName "versioned" "https://x/foo.git" "v1.2" "github";
    expected = "foo-1.2-source";
  };
  testSourcesRepoRevToName4 = {
    expr = lib.sources.repoRevToName "full" "https://x/foo.git" "0a01f6737dc5666c730bdfe6a038da53a4156cc2" "github";
    expected = "foo-0a01f67-github-source";
  };
  testSourcesRepoRevToName5 = {
    expr = lib.sources.repoRevToName "versioned" "https://x/foo.git" "0a01f6737dc5666c730bdfe6a038da53a4156cc2" null;
    expected = "foo-0a01f67-source";
  };
  testSourcesRepoRevToName6 = {
    expr = lib.sources.repoRevToName "versioned" "https://x/foo.git" "release/2.0" null;
    expected = "foo-2.0-source";
  };
  testSourcesRepoRevToName7 = {
    expr = lib.sources.repoRevToName "full" "https://x/foo.git" "refs/tags/v2" null;
    expected = "foo-2-source";
  };
  testSourcesCleanSourceFilter1 = {
    expr = lib.sources.cleanSourceFilter "/a/.git" "directory";
    expected = false;
  };
  testSourcesCleanSourceFilter2 = {
    expr = map (n: lib.sources.cleanSourceFilter "/a/${n}" "regular") [ "x.c" "x.o" "x.so" "x~" ".x.swp" "x.swp" ".git" ".hg" "CVS" "result" ".sw" ".swa" "a.swo" ];
    expected = [ true false false false false true false true true true true false true ];
  };
  testSourcesCleanSourceFilter3 = {
    expr = map (n: lib.sources.cleanSourceFilter "/a/${n}" "directory") [ "x" ".git" ".hg" "CVS" ".svn" ".jj" ".pijul" "_darcs" "result" "x.o" ];
    expected = [ true false false false false false false false true false ];
  };
  testSourcesCleanSourceFilter4 = {
    expr = map (n: lib.sources.cleanSourceFilter "/a/${n}" "symlink") [ "result" "result-dev" "x" ];
    expected = [ false false true ];
  };
  testSourcesCleanSourceFilter5 = {
    expr = lib.sources.cleanSourceFilter "/a/x" "unknown";
    expected = false;
  };
}
