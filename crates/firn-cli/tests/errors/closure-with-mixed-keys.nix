builtins.genericClosure {
  startSet = [ { key = "text"; } { key = 1; } ];
  operator = item: [ ];
}
