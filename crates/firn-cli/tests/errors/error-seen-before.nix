let
  broken = builtins.trace "evaluated once" (throw "broken");
  tried = builtins.tryEval broken;
in
if tried.success then "fine" else broken
