rec {
  map2 = f: list: map (x: f x) list;
  check = value: if value then "yes" else throw "library: not true";
  greet = { name, greeting ? "hello" }: "${greeting} ${name}";
  deep = x: map2 (y: y + 1) x;
  ensure = { value, message }: builtins.addErrorContext "while ensuring a value" (inner value message);
  inner = value: message: if value then true else throw message;
}
