# The crates that a Cargo.lock names, as a folder that Cargo takes them from without a network: the crates themselves, and
# `.cargo/config.toml`, in which @vendor@ stands for that folder.
{
  lib,
  final,
  cargo,
  rustc,
}:
let
  crate =
    package:
    final.fetchurlBoot {
      name = "crate-${package.name}-${package.version}.tar.gz";
      url = "mirror://crates/${package.name}/${package.name}-${package.version}.crate";
      sha256 =
        package.checksum
          or (throw "the crate ‘${package.name}’ has no checksum in Cargo.lock; run `cargo update -p ${package.name}` with a current Cargo");
    };

  # git+https://host/path?branch=main#commit
  parseGit =
    package:
    let
      parts = builtins.match "git\\+([^?#]+)(\\?([^#]*))?#(.*)" package.source;
      selector = builtins.elemAt parts 2;
      pair = builtins.match "([^=]+)=(.*)" selector;
    in
    if parts == null then
      throw "the crate ‘${package.name}’ comes from ‘${package.source}’, which is neither crates.io nor a Git repository"
    else
      {
        url = builtins.head parts;
        rev = builtins.elemAt parts 3;
        # as the manifest says it: `branch`, `tag` or `rev`
        selected = if selector == null || pair == null then { } else { ${builtins.head pair} = builtins.elemAt pair 1; };
      };

  fromRegistry = package: lib.hasPrefix "registry+https://github.com/rust-lang/crates.io-index" package.source;

  importCargoLock =
    {
      lockFile ? null,
      lockFileContents ? null,
      # hash of each crate from Git: "name-version" → hash
      outputHashes ? { },
      ...
    }:
    let
      text =
        if lockFileContents != null then
          lockFileContents
        else if lockFile != null then
          builtins.readFile lockFile
        else
          throw "importCargoLock: give `lockFile` or `lockFileContents`";
      packages = (builtins.fromTOML text).package or [ ];
      # those of the project itself have no source
      foreign = builtins.filter (p: p ? source) packages;
      registry = builtins.filter fromRegistry foreign;
      git = map (package: package // parseGit package) (builtins.filter (p: !fromRegistry p) foreign);

      fetchGitCrate =
        package:
        let
          key = "${package.name}-${package.version}";
        in
        final.fetchgit {
          inherit (package) url rev;
          hash =
            outputHashes.${key}
              or (throw "the crate ‘${key}’ comes from a Git repository; give its hash: cargoLock.outputHashes.\"${key}\" = \"\";");
        };

      sources = lib.unique (map (package: removeAttrs package [ "name" "version" "dependencies" ]) git);
      config = ''
        [source.crates-io]
        replace-with = "vendored-sources"

        [source.vendored-sources]
        directory = "@vendor@"
      ''
      + lib.concatMapStrings (source: ''

        [source.${builtins.toJSON (builtins.head (builtins.split "#" source.source))}]
        git = ${builtins.toJSON source.url}
        ${lib.concatStrings (lib.mapAttrsToList (key: value: "${key} = ${builtins.toJSON value}\n") source.selected)}replace-with = "vendored-sources"
      '') sources;
    in
    final.runCommandLocal "cargo-vendor-dir"
      {
        crates = lib.concatMapStrings (p: "${p.name}-${p.version} ${p.checksum} ${crate p}\n") registry;
        gitCrates = lib.concatMapStrings (p: "${p.name} ${p.version} ${fetchGitCrate p}\n") git;
        inherit config;
        passAsFile = [
          "crates"
          "gitCrates"
          "config"
        ];
        # what the folder was made from, for those who look for it
        lockFile = builtins.toFile "Cargo.lock" (builtins.unsafeDiscardStringContext text);
        passthru = {
          inherit packages;
        };
      }
      ''
        mkdir -p $out/.cargo
        cp "$configPath" $out/.cargo/config.toml
        ln -s "$lockFile" $out/Cargo.lock
        while read -r name sum archive; do
          mkdir "$out/$name"
          tar -xf "$archive" --strip-components=1 -C "$out/$name"
          printf '{"files":{},"package":"%s"}' "$sum" > "$out/$name/.cargo-checksum.json"
        done < "$cratesPath"
        while read -r name version tree; do
          manifest=$(grep -rlE "^name *= *\"$name\"" --include=Cargo.toml "$tree" | head -n 1)
          [ -n "$manifest" ] || { echo "the repository of the crate '$name' has no Cargo.toml of that name"; exit 1; }
          if grep -qE 'workspace *= *true' "$manifest"; then
            echo "the crate '$name' takes values from its repository's workspace, which cannot be imported; use cargoHash"
            exit 1
          fi
          cp -r "$(dirname "$manifest")" "$out/$name-$version"
          chmod -R u+w "$out/$name-$version"
          printf '{"files":{},"package":null}' > "$out/$name-$version/.cargo-checksum.json"
        done < "$gitCratesPath"
      '';

  # the same by Cargo itself, with one hash for all
  fetchCargoVendor =
    {
      name ? if args ? pname && args ? version then "${args.pname}-${args.version}" else "cargo-deps",
      hash ? "",
      cargoRoot ? ".",
      nativeBuildInputs ? [ ],
      ...
    }@args:
    final.stdenvNoCC.mkDerivation (
      {
        name = "${name}-vendor";
        nativeBuildInputs = [
          cargo
          rustc
          final.git
        ]
        ++ nativeBuildInputs;
        SSL_CERT_FILE = "${final.cacert}/etc/ssl/certs/ca-bundle.crt";
        impureEnvVars = lib.fetchers.proxyImpureEnvVars;
        dontConfigure = true;
        buildPhase = ''
          runHook preBuild
          export CARGO_HOME=$PWD/.cargo-home
          cd ${lib.escapeShellArg cargoRoot}
          [ -f Cargo.lock ] || { echo "the source has no Cargo.lock, which says what to fetch"; exit 1; }
          mkdir -p $out/.cargo
          cargo vendor --locked $out | sed "s,$out,@vendor@," > $out/.cargo/config.toml
          cp Cargo.lock $out/Cargo.lock
          runHook postBuild
        '';
        dontInstall = true;
        dontFixup = true;
        outputHashMode = "recursive";
        outputHashAlgo = if hash == "" then "sha256" else null;
        outputHash = if hash == "" then lib.fakeHash else hash;
      }
      // removeAttrs args [
        "name"
        "pname"
        "version"
        "hash"
        "cargoRoot"
        "nativeBuildInputs"
      ]
    );
in
{
  inherit importCargoLock fetchCargoVendor;
}
