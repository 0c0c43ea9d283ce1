# 2,000 definitions of nested options merged by priority, as a module system does it
let
  override = priority: content: { _type = "override"; inherit priority content; };
  module = i: {
    services."service${toString (i - i / 100 * 100)}" = {
      enable = if i - i / 7 * 7 == 0 then override 50 true else override 100 false;
      ports = [ i ];
      environment."NAME${toString i}" = "value ${toString i}";
    };
  };
  priority = v: if v ? _type && v._type == "override" then v.priority else 100;
  content = v: if v ? _type && v._type == "override" then v.content else v;
  merge = values:
    let
      best = builtins.foldl' (a: v: if priority v < a then priority v else a) 9999 values;
      kept = map content (builtins.filter (v: priority v == best) values);
      first = builtins.head kept;
    in
    if builtins.isList first then builtins.concatLists kept
    else if builtins.isAttrs first then builtins.zipAttrsWith (_: merge) kept
    else first;
in
builtins.stringLength (builtins.toJSON (merge (map module (builtins.genList (i: i) 2000))))
