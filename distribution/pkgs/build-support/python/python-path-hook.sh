# Building, installing and wrapping Python projects.

_addPythonPath() { addToSearchPath PYTHONPATH "$1/lib/python3.11/site-packages"; }
addEnvHooks "$hostOffset" _addPythonPath
# with strict inputs, what the build itself imports is not among those that the result uses
envBuildHostHooks+=(_addPythonPath)

pythonBuildPhase() {
    runHook preBuild
    export HOME=$NIX_BUILD_TOP
    python3 -m pip wheel --no-index --no-deps --no-build-isolation --no-cache-dir --disable-pip-version-check --wheel-dir dist .
    runHook postBuild
}

pythonInstallPhase() {
    runHook preInstall
    local _wheel
    for _wheel in dist/*.whl; do
        # the folder is the one that every Python but Debian's has
        python3 -m pip install --no-index --no-deps --no-cache-dir --disable-pip-version-check --no-warn-script-location \
            --root-user-action=ignore --no-compile --target "$out/lib/python3.11/site-packages" "$_wheel"
    done
    # pip puts programs into that folder too
    if [[ -d $out/lib/python3.11/site-packages/bin ]]; then mv "$out/lib/python3.11/site-packages/bin" "$out/bin"; fi
    # where the project was built is no part of it
    rm -f "$out"/lib/python3.11/site-packages/*.dist-info/direct_url.json
    runHook postInstall
}

pythonCheckPhase() {
    runHook preCheck
    runHook preInstallCheck
    local _module
    local -a _modules=()
    concatTo _modules pythonImportsCheck
    for _module in ${_modules[@]+"${_modules[@]}"}; do
        echo "importing $_module"
        (cd "$NIX_BUILD_TOP" && PYTHONPATH=$out/lib/python3.11/site-packages:${PYTHONPATH:-} python3 -c "import $_module")
    done
    if [[ -d tests || -d test ]]; then
        local _folder=tests
        [[ -d tests ]] || _folder=test
        PYTHONPATH=$out/lib/python3.11/site-packages:${PYTHONPATH:-} python3 -m unittest discover -s "$_folder" -t .
    fi
    runHook postInstallCheck
    runHook postCheck
}

# Programs find the packages they import, whoever calls them.
wrapPythonPrograms() {
    local _program _path=$out/lib/python3.11/site-packages _package _next
    local -a _arguments=() _queue=()
    local -A _seen=()
    concatTo _queue propagatedBuildInputs
    while ((${#_queue[@]})); do
        _package=${_queue[0]}
        _queue=("${_queue[@]:1}")
        [[ -n ${_seen[$_package]:-} ]] && continue
        _seen[$_package]=1
        if [[ -d $_package/lib/python3.11/site-packages ]]; then _path+=:$_package/lib/python3.11/site-packages; fi
        if [[ -f $_package/nix-support/propagated-build-inputs ]]; then
            for _next in $(<"$_package/nix-support/propagated-build-inputs"); do _queue+=("$_next"); done
        fi
    done
    concatTo _arguments makeWrapperArgs
    for _program in "$out"/bin/*; do
        if [[ -f $_program && -x $_program && ${_program##*/} != .* ]]; then
            wrapProgram "$_program" --prefix PYTHONPATH : "$_path" ${_arguments[@]+"${_arguments[@]}"}
        fi
    done
}
