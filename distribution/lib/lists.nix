# Functions on lists.
{ lib }:
let
  inherit (builtins)
    add
    attrNames
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    groupBy
    head
    isInt
    isList
    isString
    length
    listToAttrs
    map
    partition
    split
    tail
    throw
    toString
    ;

  # `list` without its first `from` elements and at most `len` long; both may lie beyond its ends.
  slice =
    from: len: list:
    let
      available = length list - from;
    in
    genList (i: elemAt list (from + i)) (
      if available <= 0 then
        0
      else if len < available then
        len
      else
        available
    );

  take =
    n: list:
    let
      len = length list;
    in
    genList (elemAt list) (if n > len then len else n);

  reverseList =
    list:
    let
      lastIndex = length list - 1;
    in
    genList (i: elemAt list (lastIndex - i)) (lastIndex + 1);

  # Index of the first element that satisfies `pred`, or null. Strict in the list's spine only up to that element.
  indexWhere =
    pred: list:
    let
      len = length list;
      # A fold that never looks at an element after the first match; recursion would be limited by the stack.
      step = state: i: if state != null then state else if pred (elemAt list i) then i else null;
    in
    if len < 64 then go pred list len 0 else foldl' step null (genList (i: i) len);
  go =
    pred: list: len: i:
    if i == len then
      null
    else if pred (elemAt list i) then
      i
    else
      go pred list len (i + 1);

  findFirst =
    pred: default: list:
    let
      i = indexWhere pred list;
    in
    if i == null then default else elemAt list i;

  foldr =
    op: nul: list:
    let
      len = length list;
      from = i: if i == len then nul else op (elemAt list i) (from (i + 1));
    in
    from 0;

  foldl =
    op: nul: list:
    let
      upTo = i: if i == -1 then nul else op (upTo (i - 1)) (elemAt list i);
    in
    upTo (length list - 1);

  hasPrefix = prefix: list: take (length prefix) list == prefix;

  # Lexicographic order of two lists by an order of their elements.
  compareLists =
    cmp: a: b:
    let
      lenA = length a;
      lenB = length b;
      at =
        i:
        if i == lenA then
          if i == lenB then 0 else -1
        else if i == lenB then
          1
        else
          let
            order = cmp (elemAt a i) (elemAt b i);
          in
          if order == 0 then at (i + 1) else order;
    in
    at 0;

  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];

  sortOn =
    key: list:
    map (pair: elemAt pair 1) (
      builtins.sort (a: b: head a < head b) (
        map (x: [
          (key x)
          x
        ]) list
      )
    );

  zipListsWith =
    f: as: bs:
    let
      lenA = length as;
      lenB = length bs;
    in
    genList (i: f (elemAt as i) (elemAt bs i)) (if lenA < lenB then lenA else lenB);

  # Follows `before` backwards from the first element, as far as it goes.
  listDfs =
    stopOnCycles: before: list:
    let
      walk =
        node: visited: rest:
        let
          cycle = filter (x: before x node) visited;
          split = partition (x: before x node) rest;
        in
        if stopOnCycles && cycle != [ ] then
          {
            cycle = node;
            loops = cycle;
            inherit visited rest;
          }
        else if split.right == [ ] then
          {
            minimal = node;
            inherit visited rest;
          }
        else
          walk (head split.right) ([ node ] ++ visited) (tail split.right ++ split.wrong);
    in
    walk (head list) [ ] (tail list);

  toposort =
    before: list:
    let
      path = listDfs true before list;
      others = toposort before (reverseList path.visited ++ path.rest);
    in
    if length list < 2 then
      { result = list; }
    else if path ? cycle then
      {
        cycle = reverseList ([ path.cycle ] ++ path.visited);
        inherit (path) loops;
      }
    else if others ? cycle then
      others
    else
      { result = [ path.minimal ] ++ others.result; };
in
{
  inherit (builtins)
    all
    any
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    groupBy
    head
    isList
    length
    map
    partition
    sort
    tail
    ;

  inherit
    compareLists
    findFirst
    foldl
    foldr
    hasPrefix
    listDfs
    reverseList
    sortOn
    take
    toposort
    unique
    zipListsWith
    ;

  # ## making
  singleton = x: [ x ];
  range = first: last: if first > last then [ ] else genList (i: first + i) (last - first + 1);
  replicate = n: x: genList (_: x) n;
  optional = cond: x: if cond then [ x ] else [ ];
  optionals = cond: xs: if cond then xs else [ ];
  toList = x: if isList x then x else [ x ];

  # ## folding
  fold = lib.trivial.warn "fold has been deprecated, use foldr instead" foldr;
  count = pred: foldl' (n: x: if pred x then n + 1 else n) 0;
  groupBy' =
    op: nul: key: list:
    builtins.mapAttrs (_: foldl' op nul) (groupBy key list);

  # ## mapping
  forEach = xs: f: map f xs;
  imap0 = f: list: genList (i: f i (elemAt list i)) (length list);
  imap1 = f: list: genList (i: f (i + 1) (elemAt list i)) (length list);
  ifilter0 = pred: list: map (elemAt list) (filter (i: pred i (elemAt list i)) (genList (i: i) (length list)));
  flatten =
    let
      flatten = x: if isList x then concatMap flatten x else [ x ];
    in
    flatten;
  concatAttrValues = set: concatLists (builtins.attrValues set);
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });
  crossLists =
    f: lists:
    foldl' (fs: args: concatMap (f: map f args) fs) [ f ] lists;

  # ## searching
  findFirstIndex =
    pred: default: list:
    let
      i = indexWhere pred list;
    in
    if i == null then default else i;
  findSingle =
    pred: none: multiple: list:
    let
      found = filter pred list;
    in
    if found == [ ] then
      none
    else if tail found != [ ] then
      multiple
    else
      head found;

  # ## parts
  sublist = slice;
  drop = n: list: slice n (length list) list;
  takeEnd = n: list: let len = length list; in slice (if n > len then 0 else len - n) n list;
  dropEnd = n: list: take (if n >= length list then 0 else length list - n) list;
  last = list: if list == [ ] then throw "lists.last: list must not be empty!" else elemAt list (length list - 1);
  init = list: if list == [ ] then throw "lists.init: list must not be empty!" else genList (elemAt list) (length list - 1);
  removePrefix =
    prefix: list:
    if hasPrefix prefix list then
      slice (length prefix) (length list) list
    else
      throw "lib.lists.removePrefix: First argument is not a list prefix of the second argument";
  commonPrefix =
    a: b:
    let
      shorter = if length a < length b then length a else length b;
      differs = indexWhere (i: elemAt a i != elemAt b i) (genList (i: i) shorter);
    in
    take (if differs == null then shorter else differs) a;
  replaceElemAt =
    list: index: x:
    if index < 0 || index >= length list then
      throw "'lists.replaceElemAt' called with index ${toString index} on a list of size ${toString (length list)}"
    else
      genList (i: if i == index then x else elemAt list i) (length list);

  # ## as sets
  remove = x: filter (y: y != x);
  # Many strings: their names in a set are found faster than by comparing each with each.
  uniqueStrings = list: attrNames (groupBy (x: x) list);
  allUnique = list: length (unique list) == length list;
  intersectLists = keep: filter (x: elem x keep);
  subtractLists = drop: filter (x: !(elem x drop));
  mutuallyExclusive = a: b: !(builtins.any (x: elem x a) b);

  # ## ordering
  naturalSort =
    list:
    let
      # "a10b" becomes [ "a" 10 "b" ].
      key = s: map (part: if isList part then lib.strings.toIntBase10 (head part) else part) (split "(0|[1-9][0-9]*)" s);
      less = a: b: compareLists lib.trivial.compare (head a) (head b) < 0;
    in
    map (pair: elemAt pair 1) (
      builtins.sort less (
        map (s: [
          (key s)
          s
        ]) list
      )
    );
}
