# Sources as store paths: which files of a folder take part in a build, and what its version control says about it.
{ lib }:
let
  inherit (builtins)
    any
    elemAt
    filter
    filterSource
    head
    isAttrs
    isList
    isString
    map
    match
    path
    pathExists
    readFile
    split
    stringLength
    substring
    throw
    toString
    ;
  inherit (lib.strings) hasPrefix hasSuffix removePrefix;

  # A source is a path, or a set made by one of the functions here: then with the original folder and the filter so far.
  isSource = src: src ? _isLibCleanSourceWith;

  toAttributes =
    src:
    if isSource src then
      src
    else
      {
        origSrc = src;
        filter = _path: _type: true;
        name = "source";
      };

  fromAttributes =
    {
      origSrc,
      filter,
      name,
    }:
    {
      _isLibCleanSourceWith = true;
      inherit origSrc filter name;
      outPath = path {
        inherit filter name;
        path = origSrc;
      };
    };

  cleanSourceWith =
    {
      src,
      filter ? _path: _type: true,
      name ? null,
    }:
    let
      orig = toAttributes src;
    in
    fromAttributes {
      inherit (orig) origSrc;
      # The earlier filter first: it has already thrown out what this one need not see.
      filter = path: type: filter path type && orig.filter path type;
      name = if name != null then name else orig.name;
    };

  # Version control, editors' backups, compilers' output, build results.
  cleanSourceFilter =
    name: type:
    let
      base = baseNameOf (toString name);
    in
    !(
      (base == ".git" || (type == "directory" && (base == ".svn" || base == "CVS" || base == ".hg" || base == ".jj" || base == ".pijul" || base == "_darcs")))
      || hasSuffix "~" base
      || match "^\\.sw[a-z]$" base != null
      || match "^\\..*\\.sw[a-z]$" base != null
      || hasSuffix ".o" base
      || hasSuffix ".so" base
      || (type == "symlink" && hasPrefix "result" base)
      || type == "unknown"
    );

  removeNewline = s: lib.strings.removeSuffix "\n" s;

  # The commit that HEAD of a repository stands at, or why it cannot be told: `{ value }` or `{ error }`.
  commitIdOrError =
    let
      # `folder` holds HEAD; refs may be in the folder that its file `commondir` names.
      resolve =
        file: folder:
        let
          own = "${folder}/${file}";
          packed = "${folder}/packed-refs";
          content = removeNewline (readFile own);
          reference = match "^ref: (.*)$" content;
          worktree = match "^gitdir: (.*)$" content;
          commondir = "${folder}/commondir";
          fromPacked =
            let
              found = match ".*\n([^\n ]*) ${lib.strings.escapeRegex file}\n.*" "\n${readFile packed}";
            in
            if found == null then
              { error = "Could not find ${file} in ${packed}"; }
            else
              { value = head found; };
        in
        if lib.filesystem.pathIsRegularFile own then
          if reference != null then resolve (head reference) folder else { value = content; }
        else if pathExists commondir then
          let
            common = removeNewline (readFile commondir);
          in
          resolve file (if hasPrefix "/" common then common else toString (/. + "${folder}/${common}"))
        else if pathExists packed then
          fromPacked
        else
          { error = "Not a .git directory: ${folder}"; };
    in
    repo:
    let
      s = toString repo;
    in
    if !pathExists repo then
      { error = "Not found: ${s}"; }
    else if lib.filesystem.pathIsRegularFile repo then
      let
        pointer = match "^gitdir: (.*)$" (removeNewline (readFile repo));
      in
      if pointer == null then
        { error = "File contains no gitdir reference: ${s}"; }
      else
        resolve "HEAD" (
          if hasPrefix "/" (head pointer) then head pointer else toString (/. + "${dirOf s}/${head pointer}")
        )
    else
      resolve "HEAD" s;

  shortRev = rev: substring 0 7 rev;

  # "https://example.org/a/b.git" is about b, and so are archives of that name.
  urlToName =
    url:
    let
      base = baseNameOf (lib.strings.removeSuffix "/" (lib.lists.last (lib.strings.splitString ":" (toString url))));
      stem = match "(.*)\\.(git|tar\\.[a-z0-9]+|tgz|tbz2|txz|zip)" base;
    in
    if stem == null then base else head stem;

  revOrTag =
    rev: tag:
    if tag != null then
      tag
    else if rev != null then
      rev
    else
      "HEAD";

  # The version in the name of a tag or branch; a commit's hash is cut short.
  revToVersion =
    rev:
    let
      base = baseNameOf rev;
      version = match "([A-Za-z]+[-_. ]?)*([0-9].*)" base;
    in
    if match "[a-f0-9]+" base != null then
      shortRev base
    else if version != null then
      elemAt version 1
    else
      base;
in
{
  inherit
    cleanSourceFilter
    cleanSourceWith
    filterSource
    revOrTag
    shortRev
    urlToName
    ;

  cleanSource =
    src:
    cleanSourceWith {
      filter = cleanSourceFilter;
      inherit src;
    };

  # Says which files it takes; for finding out why a filter does what it does.
  trace =
    src:
    let
      attrs = toAttributes src;
    in
    fromAttributes (
      attrs
      // {
        filter =
          path: type:
          let
            taken = attrs.filter path type;
          in
          builtins.trace "${attrs.name}.filter ${path} = ${lib.trivial.boolToString taken}" taken;
      }
    );

  # Files whose path below the folder one of the regular expressions matches.
  sourceByRegex =
    src: regexes:
    let
      root = toString (if isSource src then src.origSrc else src);
    in
    cleanSourceWith {
      filter =
        path: _type:
        let
          relative = removePrefix "${root}/" (toString path);
        in
        any (re: match re relative != null) regexes;
      inherit src;
    };

  # Files with one of the suffixes, and all folders.
  sourceFilesBySuffices =
    src: suffixes:
    cleanSourceWith {
      filter =
        name: type:
        type == "directory"
        || (
          let
            base = baseNameOf (toString name);
          in
          any (suffix: hasSuffix suffix base) suffixes
        );
      inherit src;
    };

  pathHasContext = builtins.hasContext or (hasPrefix builtins.storeDir);
  canCleanSource = src: isSource src || !(builtins.hasContext (toString src));

  pathIsGitRepo = path: (commitIdOrError path) ? value;
  commitIdFromGitRepo =
    path:
    let
      result = commitIdOrError path;
    in
    result.value or (throw result.error);

  # A name for the source of a repository at a revision.
  repoRevToName =
    kind:
    if kind == "full" then
      url: rev: suffix:
      "${urlToName url}-${revToVersion rev}${if suffix == null then "" else "-${suffix}"}-source"
    else if kind == "versioned" then
      url: rev: _suffix:
      "${urlToName url}-${revToVersion rev}-source"
    else if kind == "source" then
      _url: _rev: _suffix:
      "source"
    else
      throw "repoRevToName: invalid kind";
}
