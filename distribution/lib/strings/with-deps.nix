# Text in pieces that depend on each other, put together in an order that honours it.
{ lib }:
let
  inherit (builtins) concatStringsSep foldl' isAttrs map;

  textClosureList =
    pieces: wanted:
    let
      add =
        state: name:
        if state.done ? ${name} then
          state
        else
          let
            piece = pieces.${name};
            # Marked before its dependencies are visited, so that a cycle ends.
            entered = state // { done = state.done // { ${name} = true; }; };
          in
          if isAttrs piece then
            let
              below = foldl' add entered piece.deps;
            in
            below // { text = below.text ++ [ piece.text ]; }
          else
            entered // { text = entered.text ++ [ piece ]; };
    in
    (foldl' add {
      done = { };
      text = [ ];
    } wanted).text;

  fullDepEntry = text: deps: { inherit deps text; };
in
{
  inherit textClosureList fullDepEntry;
  textClosureMap =
    f: pieces: wanted:
    concatStringsSep "\n" (map f (textClosureList pieces wanted));
  noDepEntry = text: fullDepEntry text [ ];
  packEntry = fullDepEntry "";
  stringAfter = deps: text: { inherit deps text; };
}
