# The build environment, part 5: configure, build, check, install, and the order of all phases.

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
    local -n _flags=$1
    _flags+=(
        "--bindir=${!outputBin}/bin" "--sbindir=${!outputBin}/sbin" "--libdir=${!outputLib}/lib" "--libexecdir=${!outputLib}/libexec"
        "--includedir=${!outputInclude}/include" "--mandir=${!outputMan}/share/man" "--infodir=${!outputInfo}/share/info"
        "--docdir=${!outputDoc}/share/doc/${pname:-$name}" "--localedir=${!outputLib}/share/locale"
    )
    unset -n _flags
}

configurePhase() {
    runHook preConfigure
    : "${configureScript=}"
    if [[ -z $configureScript && -x ./configure ]]; then configureScript=./configure; fi
    if [[ -n $configureScript ]]; then
        local flags=() script=()
        if [[ -z ${dontAddPrefix:-} && -n ${prefix:-} ]]; then
            local key=${prefixKey:---prefix=}
            # a key that ends in a space gives two words
            if [[ $key == *" " ]]; then flags+=("${key% }" "$prefix"); else flags+=("$key$prefix"); fi
        fi
        _configureSwitches
        _outputFlags flags
        concatTo flags configureFlags configureFlagsArray
        script=($configureScript)
        echoCmd "configure flags" "${flags[@]}"
        "${script[@]}" "${flags[@]}"
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
        local flags=()
        _makeFlags flags buildFlags buildFlagsArray
        if [[ -n ${enableParallelBuilding:-} ]]; then flags=("-j$NIX_BUILD_CORES" "${flags[@]}"); fi
        echoCmd "build flags" "${flags[@]}"
        make "${flags[@]}"
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
        local candidate
        for candidate in check test; do
            if make -n "SHELL=$SHELL" ${makefile:+-f "$makefile"} "$candidate" >/dev/null 2>&1; then
                checkTarget=$candidate
                break
            fi
        done
    fi
    if [[ -z ${checkTarget:-} ]]; then
        echo "no check/test target in ${makefile:-Makefile}, doing nothing"
    else
        local flags=()
        _makeFlags flags checkFlags=VERBOSE=y checkFlagsArray checkTarget
        if [[ -n ${enableParallelChecking:-${enableParallelBuilding:-}} ]]; then flags=("-j$NIX_BUILD_CORES" "${flags[@]}"); fi
        echoCmd "check flags" "${flags[@]}"
        make "${flags[@]}"
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
    local flags=()
    _makeFlags flags installFlags installFlagsArray installTargets=install
    if [[ -n ${enableParallelInstalling:-} ]]; then flags=("-j$NIX_BUILD_CORES" "${flags[@]}"); fi
    echoCmd "install flags" "${flags[@]}"
    make "${flags[@]}"
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
        local flags=()
        _makeFlags flags installCheckFlags installCheckFlagsArray installCheckTarget=installcheck
        make "${flags[@]}"
    fi
    runHook postInstallCheck
}

distPhase() {
    runHook preDist
    local flags=()
    _makeFlags flags distFlags distFlagsArray distTarget=dist
    make "${flags[@]}"
    if [[ ${dontCopyDist:-0} != 1 ]]; then
        mkdir -p "$out/tarballs"
        # word splitting and globbing are wanted: a list of patterns
        cp -pvd ${tarballs[*]:-*.tar.gz} "$out/tarballs"
    fi
    runHook postDist
}

runPhase() {
    local curPhase=$1 start end
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
    printf -v start '%(%s)T' -1
    # a phase is a variable with shell code, or a function
    eval "${!curPhase:-$curPhase}"
    printf -v end '%(%s)T' -1
    showPhaseFooter "$curPhase" "$start" "$end"
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
        local command
        _readWhole command "$buildCommandPath"
        eval "$command"
        return
    fi
    if [[ -n ${buildCommand:-} ]]; then
        eval "$buildCommand"
        return
    fi
    local list=() phase
    definePhases
    concatTo list phases
    for phase in "${list[@]}"; do runPhase "$phase"; done
}
