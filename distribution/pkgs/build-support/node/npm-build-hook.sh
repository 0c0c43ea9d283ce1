# The build phase of an npm project: one of its scripts.

npmBuildHook() {
    runHook preBuild
    local _script=${npmBuildScript:-build}
    if ! jq -e --arg s "$_script" '.scripts[$s]' "${npmRoot:-.}/package.json" >/dev/null; then
        echo "package.json has no script '$_script'; set npmBuildScript to another one, or dontNpmBuild = true where nothing is to be built"
        exit 1
    fi
    local -a _flags=() _arguments=()
    concatTo _flags npmFlags npmBuildFlags npmBuildFlagsArray
    concatTo _arguments npmBuildArguments
    if [[ -n ${npmWorkspace:-} ]]; then _flags+=("--workspace=$npmWorkspace"); fi
    (cd "${npmRoot:-.}" && npm run "$_script" ${_flags[@]+"${_flags[@]}"} ${_arguments[@]+-- "${_arguments[@]}"})
    runHook postBuild
}

if [[ -z ${dontNpmBuild:-} && -z ${buildPhase:-} ]]; then
    buildPhase=npmBuildHook
fi
