# Puts the packages of $npmDeps in place as node_modules, and runs their install scripts without a network.

npmConfigHook() {
    local _path _target _root=${npmRoot:-.}
    if [[ -z ${npmDeps:-} ]]; then
        echo "npmDeps is not set: it says where the packages of package-lock.json are"
        exit 1
    fi
    if [[ ! -e $_root/package-lock.json ]]; then
        echo "the source has no package-lock.json; npm writes it: run 'npm install' and add it to the project"
        exit 1
    fi
    if ! cmp -s <(jq -S . "$_root/package-lock.json") <(jq -S . "$npmDeps/package-lock.json"); then
        echo "package-lock.json of the source and the one that the packages were fetched for differ"
        echo "where npmDepsHash is set, update it"
        exit 1
    fi
    export HOME=$NIX_BUILD_TOP/home npm_config_nodedir=${npm_config_nodedir:-$(dirname "$(dirname "$(type -P node)")")}
    export npm_config_offline=true npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false
    export npm_config_cache=$NIX_BUILD_TOP/npm-cache
    mkdir -p "$HOME"

    pushd "$_root" >/dev/null
    cp -r --no-preserve=ownership -- "$npmDeps/tree/." .
    if [[ -d node_modules ]]; then
        chmod -R u+w node_modules
        while read -r _path _target; do
            mkdir -p "$(dirname "$_path")"
            ln -sfn "$(realpath -m --relative-to="$(dirname "$_path")" "$_target")" "$_path"
        done <"$npmDeps/links"
        patchShebangs node_modules >/dev/null
        if [[ -z ${dontNpmRebuild:-} ]]; then
            local -a _flags=()
            concatTo _flags npmFlags npmRebuildFlags
            npm rebuild ${_flags[@]+"${_flags[@]}"}
            patchShebangs node_modules >/dev/null
        fi
    fi
    popd >/dev/null
}

if [[ -z ${dontNpmConfig:-} ]]; then
    postPatchHooks+=(npmConfigHook)
fi
