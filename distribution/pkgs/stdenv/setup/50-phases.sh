# The build environment, part 5: configure, build, check, install, and the order of all phases.
#
# Variables of functions that run a package's own code have names that start with _, since that code sees them.

# Libtool and old configure scripts record the build's time and search the host's folders; both have switches.
_configureSwitches() {
    if [[ -z ${dontAddDisableDepTrack:-} ]] && grep -q dependency-tracking "$configureScript" 2>/dev/null; then
        prependToVar configureFlags --disable-dependency-tracking
    fi
    if [[ -z ${dontDisableStatic:-} ]] && grep -q enable-static "$configureScript" 2>/dev/null; then
        prependToVar configureFlags --disable-static
    fi
    if [[ -z ${dontPatchShebangsInConfigure:-} && $configureScript == ./* ]]; then patchShebangs --build "$configureScript"; fi
}

# With several outputs, each kind of file has its own place. setOutputFlags = false is for scripts that are not autoconf's.
_outputFlags() { # ARRAY
    local all
    all=$(getAllOutputNames)
    if [[ $all != *" "* || -z ${setOutputFlags-1} || ${setOutputFlags-1} == false ]]; then return 0; fi
    grep -q -e --docdir "$configureScript" 2>/dev/null || return 0
    local -n _places=$1
    _places+=(
        "--bindir=${!outputBin}/bin" "--sbindir=${!outputBin}/sbin" "--libdir=${!outputLib}/lib" "--libexecdir=${!outputLib}/libexec"
        "--includedir=${!outputInclude}/include" "--mandir=${!outputMan}/share/man" "--infodir=${!outputInfo}/share/info"
        "--docdir=${!outputDoc}/share/doc/${pname:-$name}" "--localedir=${!outputLib}/share/locale"
    )
    unset -n _places
}

configurePhase() {
    runHook preConfigure
    : "${configureScript=}"
    if [[ -z $configureScript && -x ./configure ]]; then configureScript=./configure; fi
    if [[ -n $configureScript ]]; then
        local _flags=() _script=()
        if [[ -z ${dontAddPrefix:-} && -n ${prefix:-} ]]; then
            local _key=${prefixKey:---prefix=}
            # a key that ends in a space gives two words
            if [[ $_key == *" " ]]; then _flags+=("${_key% }" "$prefix"); else _flags+=("$_key$prefix"); fi
        fi
        _configureSwitches
        _outputFlags _flags
        concatTo _flags configureFlags configureFlagsArray
        _script=($configureScript)
        echoCmd "configure flags" "${_flags[@]}"
        "${_script[@]}" "${_flags[@]}"
    else
        echo "no configure script, doing nothing"
    fi
    runHook postConfigure
}

_hasMakefile() { [[ -n ${makefile:-} || -e Makefile || -e makefile || -e GNUmakefile ]]; }

# _makeFlags ARRAY NAME…: what every call of make gets, then the named lists
_makeFlags() {
    local -n _result=$1
    shift
    _result=()
    if [[ -n ${makefile:-} ]]; then _result+=(-f "$makefile"); fi
    _result+=("SHELL=$SHELL")
    local -a _named=()
    concatTo _named makeFlags makeFlagsArray "$@"
    _result+=(${_named[@]+"${_named[@]}"})
    unset -n _result
}

buildPhase() {
    runHook preBuild
    if [[ -z ${makeFlags-}${makefile:-} ]] && ! _hasMakefile; then
        echo "no Makefile or custom buildPhase, doing nothing"
    else
        local _flags=()
        _makeFlags _flags buildFlags buildFlagsArray
        if [[ -n ${enableParallelBuilding:-} ]]; then _flags=("-j$NIX_BUILD_CORES" "${_flags[@]}"); fi
        echoCmd "build flags" "${_flags[@]}"
        make "${_flags[@]}"
    fi
    runHook postBuild
}

checkPhase() {
    runHook preCheck
    if ! _hasMakefile; then
        echo "no Makefile or custom checkPhase, doing nothing"
        runHook postCheck
        return 0
    fi
    if [[ -z ${checkTarget:-} ]]; then
        local _candidate
        for _candidate in check test; do
            if make -n "SHELL=$SHELL" ${makefile:+-f "$makefile"} "$_candidate" >/dev/null 2>&1; then
                checkTarget=$_candidate
                break
            fi
        done
    fi
    if [[ -z ${checkTarget:-} ]]; then
        echo "no check/test target in ${makefile:-Makefile}, doing nothing"
    else
        local _flags=()
        _makeFlags _flags checkFlags=VERBOSE=y checkFlagsArray checkTarget
        if [[ -n ${enableParallelChecking:-${enableParallelBuilding:-}} ]]; then _flags=("-j$NIX_BUILD_CORES" "${_flags[@]}"); fi
        echoCmd "check flags" "${_flags[@]}"
        make "${_flags[@]}"
    fi
    runHook postCheck
}

installPhase() {
    runHook preInstall
    if [[ -z ${makeFlags-}${makefile:-} ]] && ! _hasMakefile; then
        echo "no Makefile or custom installPhase, doing nothing"
        runHook postInstall
        return 0
    fi
    if [[ -n ${prefix:-} ]]; then mkdir -p "$prefix"; fi
    local _flags=()
    _makeFlags _flags installFlags installFlagsArray installTargets=install
    if [[ -n ${enableParallelInstalling:-} ]]; then _flags=("-j$NIX_BUILD_CORES" "${_flags[@]}"); fi
    echoCmd "install flags" "${_flags[@]}"
    make "${_flags[@]}"
    runHook postInstall
}

fixupPhase() {
    local output
    for output in $(getAllOutputNames); do
        if [[ -e ${!output} ]]; then chmod -R u+w,u-s,g-s "${!output}"; fi
    done
    runHook preFixup
    for output in $(getAllOutputNames); do
        local prefix=${!output}
        if [[ -e $prefix ]]; then runHook fixupOutput; fi
    done
    _recordPropagated
    runHook postFixup
}

# What users of the package get along with it: lists of store paths, and a setup hook.
_recordPropagated() {
    local entry list target
    for entry in propagatedBuildInputs:propagated-build-inputs propagatedNativeBuildInputs:propagated-native-build-inputs; do
        list=()
        concatTo list "${entry%%:*}"
        if ((${#list[@]})); then
            mkdir -p "${!outputDev}/nix-support"
            printf '%s ' "${list[@]}" >"${!outputDev}/nix-support/${entry#*:}"
        fi
    done
    list=()
    concatTo list setupHooks
    if [[ -n ${setupHook:-} ]]; then list+=("$setupHook"); fi
    if ((${#list[@]})); then
        target=${!outputDev}/nix-support/setup-hook
        mkdir -p "${target%/*}"
        : >"$target"
        for entry in "${list[@]}"; do
            local content
            _readWhole content "$entry"
            local _options
            _allVariables
            substituteStream content "file '$entry'" ${_options[@]+"${_options[@]}"}
            printf '%s\n' "$content" >>"$target"
        done
    fi
    list=()
    concatTo list propagatedUserEnvPkgs
    if ((${#list[@]})); then
        mkdir -p "${!outputBin}/nix-support"
        printf '%s ' "${list[@]}" >"${!outputBin}/nix-support/propagated-user-env-packages"
    fi
}

installCheckPhase() {
    runHook preInstallCheck
    if ! _hasMakefile; then
        echo "no Makefile or custom installCheckPhase, doing nothing"
    elif [[ -z ${installCheckTarget:-} ]] && ! make -n "SHELL=$SHELL" ${makefile:+-f "$makefile"} installcheck >/dev/null 2>&1; then
        echo "no installcheck target in ${makefile:-Makefile}, doing nothing"
    else
        local _flags=()
        _makeFlags _flags installCheckFlags installCheckFlagsArray installCheckTarget=installcheck
        make "${_flags[@]}"
    fi
    runHook postInstallCheck
}

distPhase() {
    runHook preDist
    local _flags=()
    _makeFlags _flags distFlags distFlagsArray distTarget=dist
    make "${_flags[@]}"
    if [[ ${dontCopyDist:-0} != 1 ]]; then
        mkdir -p "$out/tarballs"
        # word splitting and globbing are wanted: a list of patterns
        cp -pvd ${tarballs[*]:-*.tar.gz} "$out/tarballs"
    fi
    runHook postDist
}

runPhase() {
    local curPhase=$1 _start _end
    case $curPhase in
    unpackPhase) [[ -n ${dontUnpack:-} ]] && return 0 ;;
    patchPhase) [[ -n ${dontPatch:-} ]] && return 0 ;;
    configurePhase) [[ -n ${dontConfigure:-} ]] && return 0 ;;
    buildPhase) [[ -n ${dontBuild:-} ]] && return 0 ;;
    checkPhase) [[ -z ${doCheck:-} ]] && return 0 ;;
    installPhase) [[ -n ${dontInstall:-} ]] && return 0 ;;
    fixupPhase) [[ -n ${dontFixup:-} ]] && return 0 ;;
    installCheckPhase) [[ -z ${doInstallCheck:-} ]] && return 0 ;;
    distPhase) [[ -z ${doDist:-} ]] && return 0 ;;
    esac
    showPhaseHeader "$curPhase"
    printf -v _start '%(%s)T' -1
    # a phase is a variable with shell code, or a function
    eval "${!curPhase:-$curPhase}"
    printf -v _end '%(%s)T' -1
    showPhaseFooter "$curPhase" "$_start" "$_end"
    if [[ $curPhase == unpackPhase ]]; then
        if [[ -n ${sourceRoot:-} ]]; then chmod +x -- "$sourceRoot"; fi
        cd -- "${sourceRoot:-.}"
    fi
}

definePhases() {
    if [[ -z ${phases[*]:-} ]]; then
        phases=()
        concatTo phases prePhases
        phases+=(unpackPhase patchPhase)
        concatTo phases preConfigurePhases
        phases+=(configurePhase)
        concatTo phases preBuildPhases
        phases+=(buildPhase checkPhase)
        concatTo phases preInstallPhases
        phases+=(installPhase)
        concatTo phases preFixupPhases
        phases+=(fixupPhase installCheckPhase)
        concatTo phases preDistPhases
        phases+=(distPhase)
        concatTo phases postPhases
    fi
}

genericBuild() {
    # gzip writes no time of its own
    export GZIP_NO_TIMESTAMPS=1
    if [[ -f ${buildCommandPath:-} ]]; then
        # not sourced, for the reason that default-builder.sh gives
        local _command
        _readWhole _command "$buildCommandPath"
        eval "$_command"
        return
    fi
    if [[ -n ${buildCommand:-} ]]; then
        eval "$buildCommand"
        return
    fi
    local _list=() _phase
    definePhases
    concatTo _list phases
    for _phase in "${_list[@]}"; do runPhase "$_phase"; done
}
