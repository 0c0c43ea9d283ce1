# The check phase of a Cargo project: its tests.

cargoCheckHook() {
    runHook preCheck
    local -a _common=() _own=() _tests=()
    _cargoFlags _common "${cargoCheckFeatures[*]:-}" "${cargoCheckNoDefaultFeatures:-}" "${cargoCheckType:-release}"
    concatTo _own cargoTestFlags
    _tests=("--test-threads=$NIX_BUILD_CORES")
    concatTo _tests checkFlags checkFlagsArray
    if [[ -n ${buildAndTestSubdir:-} ]]; then pushd "$buildAndTestSubdir" >/dev/null; fi
    echoCmd "cargo test flags" "${_common[@]}" ${_own[@]+"${_own[@]}"} -- "${_tests[@]}"
    cargo test "${_common[@]}" ${_own[@]+"${_own[@]}"} -- "${_tests[@]}"
    if [[ -n ${buildAndTestSubdir:-} ]]; then popd >/dev/null; fi
    runHook postCheck
}

if [[ -z ${dontCargoCheck:-} && -z ${checkPhase:-} ]]; then
    checkPhase=cargoCheckHook
fi
