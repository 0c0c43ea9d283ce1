# Answers to the questions of a kernel's configuration.
{ lib }:
let
  inherit (lib.modules) mkIf;
in
{
  yes = {
    tristate = "y";
    optional = false;
  };
  no = {
    tristate = "n";
    optional = false;
  };
  module = {
    tristate = "m";
    optional = false;
  };
  unset = {
    tristate = null;
    optional = false;
  };
  # An answer to a question that the kernel need not ask.
  option = answer: answer // { optional = true; };
  freeform = text: {
    freeform = text;
    optional = false;
  };
  # Answers that only some versions want.
  whenHelpers = version: {
    whenAtLeast = v: mkIf (lib.strings.versionAtLeast version v);
    whenOlder = v: mkIf (lib.strings.versionOlder version v);
    whenBetween = from: to: mkIf (lib.strings.versionAtLeast version from && lib.strings.versionOlder version to);
  };
}
