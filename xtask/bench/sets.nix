# mapAttrs, removeAttrs, intersectAttrs and listToAttrs on sets of 2,000 names
let
  names = builtins.genList (i: "attribute${toString i}") 2000;
  set = builtins.listToAttrs (map (name: { inherit name; value = builtins.stringLength name; }) names);
  few = builtins.listToAttrs (map (name: { inherit name; value = null; }) (builtins.filter (n: builtins.substring 9 1 n == "7") names));
  step = set: _: builtins.mapAttrs (_: v: v + 1) (set // builtins.intersectAttrs few (builtins.removeAttrs set [ "attribute3" ]));
in
builtins.foldl' (a: b: a + b) 0 (builtins.attrValues (builtins.foldl' step set (builtins.genList (i: i) 100)))
