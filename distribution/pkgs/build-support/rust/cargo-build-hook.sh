# The build phase of a Cargo project.

cargoBuildHook() {
    runHook preBuild
    local _top=$PWD
    local -a _common=() _own=()
    _cargoFlags _common "${cargoBuildFeatures[*]:-}" "${cargoBuildNoDefaultFeatures:-}" "${cargoBuildType:-release}"
    concatTo _own cargoBuildFlags
    if [[ -n ${buildAndTestSubdir:-} ]]; then pushd "$buildAndTestSubdir" >/dev/null; fi
    # one place for results, wherever the project is in its tree
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$_top/target}
    echoCmd "cargo build flags" "${_common[@]}" ${_own[@]+"${_own[@]}"}
    cargo build "${_common[@]}" ${_own[@]+"${_own[@]}"}
    if [[ -n ${buildAndTestSubdir:-} ]]; then popd >/dev/null; fi
    runHook postBuild
}

if [[ -z ${dontCargoBuild:-} && -z ${buildPhase:-} ]]; then
    buildPhase=cargoBuildHook
fi
