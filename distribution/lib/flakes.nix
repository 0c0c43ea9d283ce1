# Flake references. An evaluator that has the experimental feature `flakes` off lacks the builtins behind them.
{ lib }:
let
  needsFlakes = name: throw "lib.flakes.${name} needs the experimental feature 'flakes', which this evaluator does not have";
in
{
  parseFlakeRef = builtins.parseFlakeRef or (_: needsFlakes "parseFlakeRef");
  flakeRefToString = builtins.flakeRefToString or (_: needsFlakes "flakeRefToString");
}
