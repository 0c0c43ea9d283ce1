# The install phase of an npm project: the files that it would publish, the packages that it needs when it runs, its programs.

npmInstallHook() {
    runHook preInstall
    local _name _place _file _program _script
    pushd "${npmRoot:-.}" >/dev/null
    if [[ -n ${npmWorkspace:-} ]]; then pushd "$npmWorkspace" >/dev/null; fi
    _name=$(jq -r .name package.json)
    if [[ $_name == null ]]; then
        echo "package.json has no name, under which to install the project"
        exit 1
    fi
    _place=$out/lib/node_modules/$_name
    mkdir -p "$_place"
    local -a _flags=()
    concatTo _flags npmFlags npmPackFlags npmPackFlagsArray
    npm pack --json --dry-run --ignore-scripts ${_flags[@]+"${_flags[@]}"} 2>/dev/null >"$NIX_BUILD_TOP/npm-pack.json"
    jq -r '.[0].files[].path' "$NIX_BUILD_TOP/npm-pack.json" | while read -r _file; do
        mkdir -p "$_place/$(dirname "$_file")"
        cp -P -- "$_file" "$_place/$_file"
    done

    if [[ -n ${npmWorkspace:-} ]]; then popd >/dev/null; fi
    if [[ -z ${dontNpmPrune:-} && -d node_modules ]]; then
        # not by npm, whose older versions fetch packages anew for that; the lock says which are for development alone
        jq -r 'def old($at): .dependencies // {} | to_entries[] | ($at + "node_modules/" + .key) as $path
                | if .value.dev then $path else .value | old($path + "/") end;
            if .packages then .packages | to_entries[] | select(.value.dev) | .key else old("") end' package-lock.json |
            while read -r _file; do rm -rf -- "$_file"; done
    fi
    if [[ -d node_modules ]]; then
        # links to parts of the project would lead nowhere
        find node_modules -xtype l -delete
        find node_modules -depth -type d -empty -delete
        rm -f node_modules/.package-lock.json
        if [[ -d node_modules ]]; then cp -r -- node_modules "$_place/node_modules"; fi
    fi
    popd >/dev/null

    jq -r 'if (.bin | type) == "string" then [(.name | sub("^.*/"; "")), .bin] | @tsv
        else .bin // {} | to_entries[] | [.key, .value] | @tsv end' "$_place/package.json" |
        while IFS=$'\t' read -r _program _script; do
            mkdir -p "$out/bin"
            chmod +x "$_place/$_script"
            ln -s "$(realpath --relative-to="$out/bin" "$_place/$_script")" "$out/bin/$_program"
        done
    runHook postInstall
}

if [[ -z ${dontNpmInstall:-} && -z ${installPhase:-} ]]; then
    installPhase=npmInstallHook
fi
