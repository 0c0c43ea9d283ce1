# Assertions that say what is wrong. For use after `assert`, so that the condition is the caller's own line.
{ lib }:
let
  inherit (builtins) all elem filter;
  pretty = lib.generators.toPretty { };

  assertMsg = condition: message: condition || throw message;

  assertOneOf =
    name: value: allowed:
    elem value allowed || throw "${name} must be one of ${pretty allowed}, but is: ${pretty value}";
in
{
  inherit assertMsg assertOneOf;

  assertEachOneOf =
    name: values: allowed:
    all (v: elem v allowed) values || throw "each element in ${name} must be one of ${pretty allowed}, but is: ${pretty values}";

  # The form that system configurations use: `assertions` as `{ assertion, message }`, and warnings.
  checkAssertWarn =
    assertions: warnings: value:
    let
      failed = map (a: a.message) (filter (a: !a.assertion) assertions);
    in
    if failed != [ ] then
      throw "\nFailed assertions:\n${builtins.concatStringsSep "\n" (map (message: "- ${message}") failed)}"
    else
      lib.showWarnings warnings value;
}
