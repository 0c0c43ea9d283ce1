# Functions on lists.
# What is expected was computed with the reference implementation and its library.
{ lib }:
{
  testSingleton1 = {
    expr = lib.singleton 1;
    expected = [ 1 ];
  };
  testForEach1 = {
    expr = lib.forEach [ 1 2 ] (x: x + 1);
    expected = [ 2 3 ];
  };
  testFoldr1 = {
    expr = lib.foldr (a: b: a + b) "z" [ "a" "b" "c" ];
    expected = "abcz";
  };
  testFoldr2 = {
    expr = lib.foldr (a: b: [ a b ]) 0 [ 1 2 ];
    expected = [ 1 [ 2 0 ] ];
  };
  testFoldl1 = {
    expr = lib.foldl (a: b: [ a b ]) 0 [ 1 2 ];
    expected = [ [ 0 1 ] 2 ];
  };
  testFoldlPrime1 = {
    expr = lib.foldl' (a: b: a + b) 0 [ 1 2 3 ];
    expected = 6;
  };
  testImap01 = {
    expr = lib.imap0 (i: v: "${v}-${toString i}") [ "a" "b" ];
    expected = [ "a-0" "b-1" ];
  };
  testImap11 = {
    expr = lib.imap1 (i: v: "${v}-${toString i}") [ "a" "b" ];
    expected = [ "a-1" "b-2" ];
  };
  testListsIfilter01 = {
    expr = lib.lists.ifilter0 (i: v: i == 0 || v > 2) [ 1 2 3 ];
    expected = [ 1 3 ];
  };
  testConcatMap1 = {
    expr = lib.concatMap (x: [ x x ]) [ 1 2 ];
    expected = [ 1 1 2 2 ];
  };
  testFlatten1 = {
    expr = lib.flatten [ 1 [ 2 [ 3 ] 4 ] 5 ];
    expected = [ 1 2 3 4 5 ];
  };
  testFlatten2 = {
    expr = lib.flatten 1;
    expected = [ 1 ];
  };
  testRemove1 = {
    expr = lib.remove 3 [ 1 3 4 3 ];
    expected = [ 1 4 ];
  };
  testFindSingle1 = {
    expr = lib.findSingle (x: x == 3) "none" "multiple" [ 1 3 3 ];
    expected = "multiple";
  };
  testFindSingle2 = {
    expr = lib.findSingle (x: x == 3) "none" "multiple" [ 1 3 ];
    expected = 3;
  };
  testFindSingle3 = {
    expr = lib.findSingle (x: x == 3) "none" "multiple" [ 9 ];
    expected = "none";
  };
  testListsFindFirstIndex1 = {
    expr = lib.lists.findFirstIndex (x: x > 3) null [ 1 6 4 ];
    expected = 1;
  };
  testListsFindFirstIndex2 = {
    expr = lib.lists.findFirstIndex (x: x > 9) null [ 1 6 4 ];
    expected = null;
  };
  testFindFirst1 = {
    expr = lib.findFirst (x: x > 3) 7 [ 1 6 4 ];
    expected = 6;
  };
  testFindFirst2 = {
    expr = lib.findFirst (x: x > 9) 7 [ 1 6 4 ];
    expected = 7;
  };
  testFindFirst3 = {
    expr = lib.findFirst (x: x > 150) 7 (lib.range 1 200);
    expected = 151;
  };
  testFindFirst4 = {
    expr = lib.findFirst (x: x == 2) 7 [ 1 2 (throw "not looked at") ];
    expected = 2;
  };
  testAny1 = {
    expr = lib.any lib.isString [ 1 "a" ];
    expected = true;
  };
  testAll1 = {
    expr = lib.all lib.isString [ 1 "a" ];
    expected = false;
  };
  testCount1 = {
    expr = lib.count (x: x == 3) [ 3 2 3 4 6 ];
    expected = 2;
  };
  testOptional1 = {
    expr = lib.optional true "foo";
    expected = [ "foo" ];
  };
  testOptional2 = {
    expr = lib.optional false "foo";
    expected = [ ];
  };
  testOptionals1 = {
    expr = lib.optionals true [ 2 3 ];
    expected = [ 2 3 ];
  };
  testToList1 = {
    expr = lib.toList [ 1 ];
    expected = [ 1 ];
  };
  testToList2 = {
    expr = lib.toList "hi";
    expected = [ "hi" ];
  };
  testRange1 = {
    expr = lib.range 2 4;
    expected = [ 2 3 4 ];
  };
  testRange2 = {
    expr = lib.range 3 2;
    expected = [ ];
  };
  testReplicate1 = {
    expr = lib.replicate 3 "a";
    expected = [ "a" "a" "a" ];
  };
  testReplicate2 = {
    expr = lib.replicate 0 "a";
    expected = [ ];
  };
  testPartition1 = {
    expr = lib.partition (x: x > 2) [ 5 1 2 3 4 ];
    expected = { right = [ 5 3 4 ]; wrong = [ 1 2 ]; };
  };
  testListsGroupByPrime1 = {
    expr = lib.lists.groupBy' builtins.add 0 (x: lib.boolToString (x > 2)) [ 5 1 2 3 4 ];
    expected = { false = 3; true = 12; };
  };
  testGroupBy1 = {
    expr = lib.groupBy (x: if x > 2 then "big" else "small") [ 1 2 3 ];
    expected = { big = [ 3 ]; small = [ 1 2 ]; };
  };
  testZipListsWith1 = {
    expr = lib.zipListsWith (a: b: a + b) [ "h" "l" ] [ "e" "o" "x" ];
    expected = [ "he" "lo" ];
  };
  testZipLists1 = {
    expr = lib.zipLists [ 1 2 ] [ "a" "b" ];
    expected = [ { fst = 1; snd = "a"; } { fst = 2; snd = "b"; } ];
  };
  testReverseList1 = {
    expr = lib.reverseList [ "b" "o" "j" ];
    expected = [ "j" "o" "b" ];
  };
  testListDfs1 = {
    expr = lib.listDfs true lib.hasPrefix [ "/home/user" "other" "/" "/home" ];
    expected = { minimal = "/"; rest = [ "/home" "other" ]; visited = [ "/home/user" ]; };
  };
  testListDfs2 = {
    expr = lib.listDfs true (a: b: a + 1 == b || a == b + 2) [ 3 2 1 5 ];
    expected = { cycle = 1; loops = [ 3 ]; rest = [ 5 ]; visited = [ 2 3 ]; };
  };
  testToposort1 = {
    expr = lib.toposort lib.hasPrefix [ "/home/user" "other" "/" "/home" ];
    expected = { result = [ "/" "/home" "/home/user" "other" ]; };
  };
  testToposort2 = {
    expr = lib.toposort (a: b: a < b) [ 3 2 1 ];
    expected = { result = [ 1 2 3 ]; };
  };
  testToposort3 = {
    expr = lib.toposort (a: b: builtins.elem [ a b ] [ [ 1 2 ] [ 2 3 ] [ 3 1 ] ]) [ 4 1 2 3 ];
    expected = { cycle = [ 1 3 2 ]; loops = [ 1 ]; };
  };
  testToposort4 = {
    expr = lib.toposort (a: b: builtins.elem [ a b ] [ [ 5 1 ] [ 1 4 ] [ 2 4 ] [ 7 5 ] [ 3 7 ] ]) [ 1 2 3 4 5 6 7 8 ];
    expected = { result = [ 3 7 5 1 2 4 6 8 ]; };
  };
  testToposort5 = {
    expr = lib.toposort (a: b: false) [ 3 1 2 ];
    expected = { result = [ 3 1 2 ]; };
  };
  testToposort6 = {
    expr = lib.toposort (a: b: true) [ ];
    expected = { result = [ ]; };
  };
  testSort1 = {
    expr = lib.sort (a: b: a < b) [ 5 3 7 ];
    expected = [ 3 5 7 ];
  };
  testSortOn1 = {
    expr = lib.sortOn lib.stringLength [ "aa" "b" "cccc" "c" ];
    expected = [ "b" "c" "aa" "cccc" ];
  };
  testCompareLists1 = {
    expr = lib.compareLists lib.compare [ ] [ ];
    expected = 0;
  };
  testCompareLists2 = {
    expr = lib.compareLists lib.compare [ ] [ "a" ];
    expected = -1;
  };
  testCompareLists3 = {
    expr = lib.compareLists lib.compare [ "a" ] [ ];
    expected = 1;
  };
  testCompareLists4 = {
    expr = lib.compareLists lib.compare [ "a" "b" ] [ "a" "c" ];
    expected = -1;
  };
  testNaturalSort1 = {
    expr = lib.naturalSort [ "disk11" "disk8" "disk100" "disk9" ];
    expected = [ "disk8" "disk9" "disk11" "disk100" ];
  };
  testNaturalSort2 = {
    expr = lib.naturalSort [ "10.46.133.149" "10.5.16.62" "10.54.16.25" ];
    expected = [ "10.5.16.62" "10.46.133.149" "10.54.16.25" ];
  };
  testNaturalSort3 = {
    expr = lib.naturalSort [ "v0.2" "v0.15" "v0.0.9" ];
    expected = [ "v0.0.9" "v0.2" "v0.15" ];
  };
  testNaturalSort4 = {
    expr = lib.naturalSort [ "b" "a" "a0" "a00" "a-1" "" ];
    expected = [ "" "a" "a0" "a00" "a-1" "b" ];
  };
  testTake1 = {
    expr = lib.take 2 [ "a" "b" "c" ];
    expected = [ "a" "b" ];
  };
  testTake2 = {
    expr = lib.take 9 [ "a" ];
    expected = [ "a" ];
  };
  testListsTakeEnd1 = {
    expr = lib.lists.takeEnd 2 [ "a" "b" "c" ];
    expected = [ "b" "c" ];
  };
  testListsTakeEnd2 = {
    expr = lib.lists.takeEnd 9 [ "a" "b" ];
    expected = [ "a" "b" ];
  };
  testDrop1 = {
    expr = lib.drop 2 [ "a" "b" "c" ];
    expected = [ "c" ];
  };
  testDrop2 = {
    expr = lib.drop 9 [ "a" ];
    expected = [ ];
  };
  testListsDropEnd1 = {
    expr = lib.lists.dropEnd 1 [ "a" "b" ];
    expected = [ "a" ];
  };
  testListsDropEnd2 = {
    expr = lib.lists.dropEnd 9 [ "a" "b" ];
    expected = [ ];
  };
  testListsHasPrefix1 = {
    expr = lib.lists.hasPrefix [ 1 2 ] [ 1 2 3 ];
    expected = true;
  };
  testListsHasPrefix2 = {
    expr = lib.lists.hasPrefix [ 2 ] [ 1 2 3 ];
    expected = false;
  };
  testListsRemovePrefix1 = {
    expr = lib.lists.removePrefix [ 1 2 ] [ 1 2 3 ];
    expected = [ 3 ];
  };
  testListsCommonPrefix1 = {
    expr = lib.lists.commonPrefix [ 1 2 3 ] [ 1 2 4 ];
    expected = [ 1 2 ];
  };
  testListsCommonPrefix2 = {
    expr = lib.lists.commonPrefix [ 1 2 ] [ 1 2 4 ];
    expected = [ 1 2 ];
  };
  testListsCommonPrefix3 = {
    expr = lib.lists.commonPrefix [ ] [ 1 ];
    expected = [ ];
  };
  testSublist1 = {
    expr = lib.sublist 1 3 [ "a" "b" "c" "d" "e" ];
    expected = [ "b" "c" "d" ];
  };
  testSublist2 = {
    expr = lib.sublist 4 3 [ "a" "b" "c" ];
    expected = [ ];
  };
  testSublist3 = {
    expr = lib.sublist 1 1 [ ];
    expected = [ ];
  };
  testLast1 = {
    expr = lib.last [ 1 2 3 ];
    expected = 3;
  };
  testInit1 = {
    expr = lib.init [ 1 2 3 ];
    expected = [ 1 2 ];
  };
  testCrossLists1 = {
    expr = lib.crossLists (x: y: "${toString x}${toString y}") [ [ 1 2 ] [ 3 4 ] ];
    expected = [ "13" "14" "23" "24" ];
  };
  testUnique1 = {
    expr = lib.unique [ 3 2 3 4 ];
    expected = [ 3 2 4 ];
  };
  testListsUniqueStrings1 = {
    expr = lib.lists.uniqueStrings [ "b" "a" "b" ];
    expected = [ "a" "b" ];
  };
  testAllUnique1 = {
    expr = lib.allUnique [ 3 2 3 4 ];
    expected = false;
  };
  testAllUnique2 = {
    expr = lib.allUnique [ 3 2 4 ];
    expected = true;
  };
  testIntersectLists1 = {
    expr = lib.intersectLists [ 1 2 3 ] [ 6 3 2 ];
    expected = [ 3 2 ];
  };
  testSubtractLists1 = {
    expr = lib.subtractLists [ 3 2 ] [ 1 2 3 4 5 3 ];
    expected = [ 1 4 5 ];
  };
  testMutuallyExclusive1 = {
    expr = lib.mutuallyExclusive [ 1 2 ] [ 3 ];
    expected = true;
  };
  testMutuallyExclusive2 = {
    expr = lib.mutuallyExclusive [ 1 2 ] [ 3 2 ];
    expected = false;
  };
  testListsConcatAttrValues1 = {
    expr = lib.lists.concatAttrValues { a = [ 1 ]; b = [ 2 3 ]; };
    expected = [ 1 2 3 ];
  };
  testListsReplaceElemAt1 = {
    expr = lib.lists.replaceElemAt [ "a" "b" "c" ] 1 "z";
    expected = [ "a" "z" "c" ];
  };
  testLast2 = {
    expr = (builtins.tryEval (lib.last [ ])).success;
    expected = false;
  };
  testInit2 = {
    expr = (builtins.tryEval (lib.init [ ])).success;
    expected = false;
  };
  testListsReplaceElemAt2 = {
    expr = (builtins.tryEval (lib.lists.replaceElemAt [ ] 1 "z")).success;
    expected = false;
  };
  testListsRemovePrefix2 = {
    expr = (builtins.tryEval (lib.lists.removePrefix [ 2 ] [ 1 ])).success;
    expected = false;
  };
}
