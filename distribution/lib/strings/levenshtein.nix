# Edit distance between strings, exact and with an upper bound.
{ lib }:
let
  inherit (builtins)
    concatMap
    elemAt
    foldl'
    genList
    length
    stringLength
    substring
    ;
  min = a: b: if a < b then a else b;
  abs = n: if n < 0 then -n else n;

  # The classic table, one row after the other. A row is built by a strict fold, so nothing piles up.
  levenshtein =
    a: b:
    let
      lenA = stringLength a;
      lenB = stringLength b;
      columns = genList (j: j) lenB;
      charsB = genList (j: substring j 1 b) lenB;
      nextRow =
        row: i:
        let
          char = substring i 1 a;
          step =
            done: j:
            let
              left = elemAt done j;
              cell = min (min (left + 1) (elemAt row (j + 1) + 1)) (
                elemAt row j + (if char == elemAt charsB j then 0 else 1)
              );
            in
            builtins.seq cell (done ++ [ cell ]);
        in
        foldl' step [ (i + 1) ] columns;
      last = foldl' nextRow (genList (j: j) (lenB + 1)) (genList (i: i) lenA);
    in
    elemAt last lenB;
in
{
  inherit levenshtein;

  # Whether the distance is at most `k`. Lengths and shared ends decide most cases without the table.
  levenshteinAtMost =
    k: a: b:
    if k <= 0 then
      k == 0 && a == b
    else if abs (stringLength a - stringLength b) > k then
      false
    else
      let
        prefix = lib.strings.commonPrefixLength a b;
        a' = substring prefix (-1) a;
        b' = substring prefix (-1) b;
        suffix = lib.strings.commonSuffixLength a' b';
        cut = s: substring 0 (stringLength s - suffix) s;
      in
      levenshtein (cut a') (cut b') <= k;
}
