# The nearest names for one that does not exist.
{ lib }:
let
  inherit (builtins)
    concatStringsSep
    elemAt
    filter
    length
    map
    sort
    stringLength
    ;
  abs = n: if n < 0 then -n else n;
in
{
  # At most three of the names, the nearest first.
  nearest =
    name: names:
    let
      # The exact distance costs the product of both lengths; among very many names, those whose lengths differ more than
      # the name is long cannot be what was meant.
      plausible =
        if length names <= 100 then
          names
        else
          filter (n: abs (stringLength n - stringLength name) <= stringLength name / 2 + 1) names;
      scored = map (n: {
        name = n;
        distance = lib.strings.levenshtein name n;
      }) plausible;
    in
    map (s: s.name) (lib.lists.take 3 (sort (a: b: a.distance < b.distance) scored));

  # "`a', `b' or `c'"
  oneOf =
    names:
    let
      quoted = map (n: "`${n}'") names;
      n = length quoted;
    in
    if n < 2 then
      concatStringsSep "" quoted
    else
      "${concatStringsSep ", " (lib.lists.take (n - 1) quoted)} or ${elemAt quoted (n - 1)}";
}
