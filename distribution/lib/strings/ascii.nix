# The code of every character that a Nix string literal can hold on its own, but NUL.
let
  inherit (builtins) fromJSON genList listToAttrs substring;
  hex = "0123456789abcdef";
  digit = i: substring i 1 hex;
in
listToAttrs (
  genList (i: {
    name = fromJSON "\"\\u00${digit ((i + 1) / 16)}${digit (i + 1 - (i + 1) / 16 * 16)}\"";
    value = i + 1;
  }) 127
)
