//! Entries of builtins for numbers, lists, sets, functions, types and errors.

use super::{Entry, entry};

#[rustfmt::skip]
pub(super) const ENTRIES: &[Entry] = &[
    entry("abort", &["message"], "
Ends evaluation with an error that shows *message*. Unlike the error of `throw`, `tryEval` does not catch it.
"),
    entry("add", &["a", "b"], "
The sum of two numbers. If one of them is a float, so is the sum. The same as `a + b`, but for numbers only.
"),
    entry("addErrorContext", &["message", "value"], "
Evaluates *value*. If that fails, *message* is added to the steps that the error shows.
"),
    entry("all", &["predicate", "list"], "
Whether *predicate* is `true` of every element of *list*. It is `true` of the empty list.

```nix
builtins.all (n: n > 0) [ 1 2 3 ]
=> true
```
"),
    entry("any", &["predicate", "list"], "
Whether *predicate* is `true` of at least one element of *list*. It is `false` of the empty list.
"),
    entry("attrNames", &["set"], "
The names of the attributes of *set*, sorted by their bytes.

```nix
builtins.attrNames { y = 1; x = 2; }
=> [ \"x\" \"y\" ]
```
"),
    entry("attrValues", &["set"], "
The values of the attributes of *set*, in the order of their names as `attrNames` gives them.
"),
    entry("bitAnd", &["a", "b"], "
The bits that are set in both of two integers.
"),
    entry("bitOr", &["a", "b"], "
The bits that are set in at least one of two integers.
"),
    entry("bitXor", &["a", "b"], "
The bits that are set in exactly one of two integers.
"),
    entry("break", &["value"], "
Gives *value* back. Under `--debugger`, evaluation first stands still here and a session opens in which the
variables in scope can be looked at; `:c` goes on.
"),
    entry("catAttrs", &["name", "list"], "
The values of the attribute *name* in those sets of *list* that have it.

```nix
builtins.catAttrs \"a\" [ { a = 1; } { b = 0; } { a = 2; } ]
=> [ 1 2 ]
```
"),
    entry("ceil", &["number"], "
The least integer that is not less than *number*.
"),
    entry("concatLists", &["lists"], "
One list with the elements of all *lists*, in their order.

```nix
builtins.concatLists [ [ 1 2 ] [ ] [ 3 ] ]
=> [ 1 2 3 ]
```
"),
    entry("concatMap", &["f", "list"], "
Calls *f* on each element of *list*, and joins the lists that it returns. The same as
`builtins.concatLists (map f list)`, and faster.
"),
    entry("deepSeq", &["first", "second"], "
Evaluates *first* with everything in it: the elements of lists and the attributes of sets, at all depths. Then
gives *second*. `seq` only evaluates *first* itself.
"),
    entry("div", &["a", "b"], "
The quotient of two numbers. Of integers it is an integer, rounded towards zero. Dividing by zero is an error.
"),
    entry("elem", &["x", "list"], "
Whether some element of *list* equals *x*.
"),
    entry("elemAt", &["list", "index"], "
The element of *list* at *index*, counted from 0. It is an error if there is none.
"),
    entry("filter", &["predicate", "list"], "
The elements of *list* of which *predicate* is `true`.

```nix
builtins.filter builtins.isInt [ 1 \"a\" 2 ]
=> [ 1 2 ]
```
"),
    entry("floor", &["number"], "
The greatest integer that is not greater than *number*.
"),
    entry("foldl'", &["op", "start", "list"], "
Combines the elements of *list* from the left: *op* gets the result so far, at first *start*, and the next
element. Each result is evaluated before the next step.

```nix
builtins.foldl' (sum: n: sum + n) 0 [ 1 2 3 ]
=> 6
```
"),
    entry("functionArgs", &["f"], "
The arguments that the function *f* takes from a set: their names, each with whether it has a default. For a
function that takes its argument whole the set is empty.

```nix
builtins.functionArgs ({ x, y ? 1, ... }: x)
=> { x = false; y = true; }
```
"),
    entry("genericClosure", &["arguments"], "
All items that can be reached from some. *arguments* has the attributes:

- `startSet`: a list of sets, each with an attribute `key`;
- `operator`: a function that makes of an item the list of those that follow it.

The result is a list with the items of `startSet` and all that follow, one for each `key`, in the order in which
they were found. Keys are integers, strings or lists of them.

```nix
builtins.genericClosure {
  startSet = [ { key = 5; } ];
  operator = { key }: if key > 3 then [ { key = key - 1; } ] else [ ];
}
=> [ { key = 5; } { key = 4; } { key = 3; } ]
```
"),
    entry("genList", &["f", "length"], "
A list of *length* elements: *f* called with 0, 1, 2 and so on.

```nix
builtins.genList (i: i * i) 4
=> [ 0 1 4 9 ]
```
"),
    entry("getAttr", &["name", "set"], "
The attribute of *set* with a name that may be computed. It is an error if there is none. The same as
`set.${name}`.
"),
    entry("groupBy", &["f", "list"], "
Groups the elements of *list* by the string that *f* returns for each: a set of lists.

```nix
builtins.groupBy (builtins.substring 0 1) [ \"ant\" \"bee\" \"asp\" ]
=> { a = [ \"ant\" \"asp\" ]; b = [ \"bee\" ]; }
```
"),
    entry("hasAttr", &["name", "set"], "
Whether *set* has an attribute of this name, which may be computed. The same as `set ? ${name}`.
"),
    entry("head", &["list"], "
The first element of *list*. It is an error if the list is empty.
"),
    entry("intersectAttrs", &["names", "set"], "
The attributes of *set* whose names *names* has too. Values come from *set*.

```nix
builtins.intersectAttrs { a = 1; b = 2; } { b = 3; c = 4; }
=> { b = 3; }
```
"),
    entry("isAttrs", &["value"], "
Whether *value* is a set. It is evaluated, but not what is in it.
"),
    entry("isBool", &["value"], "
Whether *value* is `true` or `false`, after evaluating it.
"),
    entry("isFloat", &["value"], "
Whether *value* is a floating-point number, after evaluating it.
"),
    entry("isFunction", &["value"], "
Whether *value* is a function, written in the language or built in. A set with `__functor` can be called too,
but is none.
"),
    entry("isInt", &["value"], "
Whether *value* is an integer, after evaluating it.
"),
    entry("isList", &["value"], "
Whether *value* is a list. It is evaluated, but not its elements.
"),
    entry("isNull", &["value"], "
Whether *value* is `null`. The same as `value == null`.
"),
    entry("isPath", &["value"], "
Whether *value* is a path, such as `./file`, and not a string.
"),
    entry("isString", &["value"], "
Whether *value* is a string, after evaluating it.
"),
    entry("length", &["list"], "
How many elements *list* has. None of them is evaluated.
"),
    entry("lessThan", &["a", "b"], "
Whether *a* is less than *b*: numbers by size, strings and paths by their bytes, lists element by element. The
same as `a < b`.
"),
    entry("listToAttrs", &["list"], "
The set with an attribute for each element of *list*, which are sets with `name` and `value`. If a name occurs
more than once, the first one counts.

```nix
builtins.listToAttrs [ { name = \"a\"; value = 1; } ]
=> { a = 1; }
```
"),
    entry("map", &["f", "list"], "
Calls *f* on each element of *list*, when somebody looks at that element of the result.

```nix
map (n: n * 2) [ 1 2 3 ]
=> [ 2 4 6 ]
```
"),
    entry("mapAttrs", &["f", "set"], "
A set with the names of *set*, and as values what *f* makes of each name and value.

```nix
builtins.mapAttrs (name: value: \"${name}=${value}\") { a = \"1\"; }
=> { a = \"a=1\"; }
```
"),
    entry("mul", &["a", "b"], "
The product of two numbers. The same as `a * b`.
"),
    entry("partition", &["predicate", "list"], "
Parts *list* in two: `right` has the elements of which *predicate* is `true`, `wrong` the others.

```nix
builtins.partition (n: n > 2) [ 1 2 3 ]
=> { right = [ 3 ]; wrong = [ 1 2 ]; }
```
"),
    entry("removeAttrs", &["set", "names"], "
*set* without the attributes of these *names*. Names that it does not have are no error.

```nix
removeAttrs { a = 1; b = 2; } [ \"b\" \"c\" ]
=> { a = 1; }
```
"),
    entry("seq", &["first", "second"], "
Evaluates *first*, but not what is in it, and then gives *second*.
"),
    entry("sort", &["less", "list"], "
*list* in order, where *less* says of two elements whether the first comes before the second. Elements of which
neither does stay in their order.

```nix
builtins.sort (a: b: a < b) [ 3 1 2 ]
=> [ 1 2 3 ]
```
"),
    entry("sub", &["a", "b"], "
The difference of two numbers. The same as `a - b`.
"),
    entry("tail", &["list"], "
*list* without its first element. It is an error if the list is empty. Since the others are copied, going
through a list with this takes time that grows with the square of its length.
"),
    entry("throw", &["message"], "
Raises an error that shows *message*. `tryEval` catches it, and commands that go through many packages leave
such a package out.
"),
    entry("trace", &["message", "value"], "
Prints *message*, which may be of any type, to standard error, and gives *value*. Useful to see what is
evaluated, and when. With the settings `debugger-on-trace` and `--debugger`, evaluation stands still here.
"),
    entry("traceVerbose", &["message", "value"], "
As `trace` if the setting `trace-verbose` is on; else only gives *value*.
"),
    entry("tryEval", &["value"], "
Evaluates *value*, but not what is in it, and says whether that failed with a `throw` or an `assert`. Other errors
are not caught.

```nix
builtins.tryEval (throw \"no\")
=> { success = false; value = false; }
```
"),
    entry("typeOf", &["value"], "
The type of *value* as a string: `int`, `bool`, `string`, `path`, `null`, `set`, `list`, `lambda` or `float`.
"),
    entry("unsafeGetAttrPos", &["name", "set"], "
Where the attribute *name* of *set* is written: a set with `file`, `line` and `column`, or `null` if it is not
written in a file. What is built should not depend on it.
"),
    entry("warn", &["message", "value"], "
Prints the string *message* as a warning, and gives *value*. With the setting `abort-on-warn` it is an error; with
`debugger-on-warn` and `--debugger`, evaluation stands still here.
"),
    entry("zipAttrsWith", &["f", "sets"], "
Merges the sets of a list: for each name that one of them has, *f* gets the name and the list of its values in
all sets.

```nix
builtins.zipAttrsWith (name: values: values) [ { a = 1; } { a = 2; b = 3; } ]
=> { a = [ 1 2 ]; b = [ 3 ]; }
```
"),
];
