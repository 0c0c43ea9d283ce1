# Fixed points and overlays: values defined in terms of their own final form.
{ lib }:
let
  inherit (builtins) foldl' isFunction;

  fix =
    f:
    let
      self = f self;
    in
    self;

  # An overlay applied to a function of the final value gives another such function.
  extends =
    overlay: base: final:
    let
      previous = base final;
    in
    previous // overlay final previous;

  # One overlay after the other, as one overlay.
  composeExtensions =
    first: second: final: previous:
    let
      step = first final previous;
    in
    step // second final (previous // step);

  composeManyExtensions =
    overlays: final: previous:
    # Folded by hand: every overlay sees all that came before it, and only the changes are collected.
    let
      done =
        foldl'
          (
            state: overlay:
            let
              step = overlay final state.seen;
            in
            {
              seen = state.seen // step;
              changes = state.changes // step;
            }
          )
          {
            seen = previous;
            changes = { };
          }
          overlays;
    in
    done.changes;

  makeExtensibleWithCustomName =
    extenderName: rattrs:
    fix (
      self:
      rattrs self
      // {
        ${extenderName} = extension: makeExtensibleWithCustomName extenderName (extends extension rattrs);
      }
    );

  makeExtensible = makeExtensibleWithCustomName "extend";

  # What an overriding argument may be: a set, `previous: set` or `final: previous: set`.
  toExtension =
    extension:
    if isFunction extension || extension ? __functor then
      final: previous:
      let
        partial = extension previous;
      in
      if isFunction partial || partial ? __functor then extension final previous else partial
    else
      _final: _previous: extension;
in
{
  inherit
    fix
    extends
    composeExtensions
    composeManyExtensions
    makeExtensible
    makeExtensibleWithCustomName
    toExtension
    ;

  # `fix` that also keeps the function, for callers that extend it later.
  fix' =
    f:
    let
      self = f self // {
        __unfix__ = f;
      };
    in
    self;

  # Applies `f` until nothing changes any more.
  converge =
    f:
    let
      go =
        x:
        let
          next = f x;
        in
        if next == x then x else go next;
    in
    go;
}
