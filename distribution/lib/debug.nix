# Looking at values while they are evaluated, and tests as lists of calls and expected results.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    deepSeq
    filter
    isAttrs
    isFunction
    isList
    map
    mapAttrs
    substring
    throw
    trace
    tryEval
    ;
  pretty = lib.generators.toPretty { };

  # The value with everything below `depth` cut off.
  cutAt =
    depth: v:
    if depth == 0 then
      if isList v then
        "[…]"
      else if isAttrs v then
        "{…}"
      else
        v
    else if isList v then
      map (cutAt (depth - 1)) v
    else if isAttrs v then
      mapAttrs (_: cutAt (depth - 1)) v
    else
      v;

  traceSeq = x: y: trace (deepSeq x x) y;
  traceSeqN = depth: x: y: trace (pretty (cutAt depth (hideDerivations x))) y;
  # A derivation printed in full would drag in the world.
  hideDerivations = x: x;

  traceValFn = f: v: trace (f v) v;
  traceValSeqFn = f: v: traceValFn f (deepSeq v v);
  traceValSeqNFn = f: depth: v: traceSeqN depth (f v) v;
in
{
  inherit
    traceSeq
    traceSeqN
    traceValFn
    traceValSeqFn
    traceValSeqNFn
    ;
  inherit (builtins) addErrorContext trace unsafeGetAttrPos;

  traceIf =
    cond: message: v:
    if cond then trace message v else v;
  traceVal = traceValFn (v: v);
  traceValSeq = traceValSeqFn (v: v);
  traceValSeqN = traceValSeqNFn (v: v);
  traceFnSeqN =
    depth: name: f: v:
    let
      result = f v;
    in
    traceSeqN (depth + 1) {
      fn = name;
      from = v;
      to = result;
    } result;

  # Every failed test of `{ testNAME = { expr, expected }; }`. With an attribute `tests`, only those in it are run.
  runTests =
    tests:
    concatMap (
      name:
      let
        test = tests.${name};
      in
      if
        (if tests ? tests then builtins.elem name tests.tests else true)
        && (substring 0 4 name == "test" || (tests ? tests && builtins.elem name tests.tests))
        && isAttrs test
        && test.expr != test.expected
      then
        [
          {
            inherit name;
            inherit (test) expected;
            result = test.expr;
          }
        ]
      else
        [ ]
    ) (filter (name: name != "tests") (attrNames tests));

  testAllTrue = expr: {
    inherit expr;
    expected = map (_: true) expr;
  };

  throwTestFailures =
    {
      failures,
      description ? "tests",
      ...
    }:
    if failures == [ ] then
      null
    else
      throw (
        builtins.seq (map (
          failure:
          trace ''
            FAIL ${failure.name}: expected ${pretty failure.expected}, got ${pretty failure.result}''
            null
        ) failures) "${toString (builtins.length failures)} failed ${description}:\n- ${
          builtins.concatStringsSep "\n- " (map (f: f.name) failures)
        }\n\n${pretty failures}"
      );
}
