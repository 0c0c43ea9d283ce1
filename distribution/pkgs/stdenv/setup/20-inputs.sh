# The build environment, part 2: finding the inputs, what they propagate, and what their setup hooks want to do.
#
# A store path is an input once. nativeBuildInputs are programs for the build (their bin goes in PATH); buildInputs are what the
# result links with (found by the environment hooks of the compiler, pkg-config and others). Without strictDeps the
# programs of buildInputs are found too.

declare -a pkgsBuildHost=() pkgsHostTarget=() allInputs=()
declare -a envBuildHostHooks=() envHostTargetHooks=() envHostHostHooks=()
declare -A _seenInputs=()

# addEnvHooks OFFSET FUNCTION…: called with each input, once all are known. The offset is that of a cross-compiling set.
addEnvHooks() {
    shift
    envHostTargetHooks+=("$@")
}

addToPath() { # FOLDER: programs
    if [[ -d $1 ]]; then _PATH=${_PATH:+$_PATH:}$1; fi
}

_findInput() { # PATH native|host
    local package=$1 role=$2 file next
    [[ -n ${_seenInputs[$role:$package]:-} ]] && return 0
    if [[ ! -e $package ]]; then
        nixErrorLog "the build input $package does not exist"
        exit 1
    fi
    _seenInputs[$role:$package]=1
    if [[ $role == native ]]; then pkgsBuildHost+=("$package"); else pkgsHostTarget+=("$package"); fi
    allInputs+=("$role $package")
    [[ -d $package/nix-support ]] || return 0
    for file in propagated-native-build-inputs propagated-build-inputs; do
        [[ -f $package/nix-support/$file ]] || continue
        local words=()
        read -r -d '' -a words <"$package/nix-support/$file" || true
        for next in ${words[@]+"${words[@]}"}; do
            if [[ $file == propagated-native-build-inputs || $role == native ]]; then
                _findInput "$next" native
            else
                _findInput "$next" host
            fi
        done
    done
}

_activateInput() { # ROLE PATH: its programs and its setup hook
    local _role=$1 _package=$2
    if [[ -f $_package ]]; then
        # a file that is an input is a setup hook itself
        source "$_package"
        return 0
    fi
    if [[ $_role == native || -z ${strictDeps:-} ]]; then addToPath "$_package/bin"; fi
    addToSearchPath HOST_PATH "$_package/bin"
    if [[ -f $_package/nix-support/setup-hook ]]; then
        # offsets as in a native build of a cross-compiling set
        local hostOffset=0 targetOffset=0
        if [[ $_role == native ]]; then hostOffset=-1; fi
        source "$_package/nix-support/setup-hook"
    fi
}

_setupInputs() {
    local _list _name _package _hook _entry
    for _name in ${defaultNativeBuildInputs:-}; do _findInput "$_name" native; done
    for _entry in native:depsBuildBuild native:nativeBuildInputs native:depsBuildTarget \
        native:depsBuildBuildPropagated native:propagatedNativeBuildInputs native:depsBuildTargetPropagated \
        host:depsHostHost host:buildInputs host:depsTargetTarget \
        host:depsHostHostPropagated host:propagatedBuildInputs host:depsTargetTargetPropagated; do
        _list=()
        concatTo _list "${_entry#*:}"
        for _package in ${_list[@]+"${_list[@]}"}; do _findInput "$_package" "${_entry%%:*}"; done
    done
    # what the package itself asks for comes first in PATH, the default tools last
    local -a _order=() _defaults=()
    for _entry in ${allInputs[@]+"${allInputs[@]}"}; do
        if [[ " ${defaultNativeBuildInputs:-} " == *" ${_entry#* } "* ]]; then _defaults+=("$_entry"); else _order+=("$_entry"); fi
    done
    for _entry in ${_order[@]+"${_order[@]}"} ${_defaults[@]+"${_defaults[@]}"}; do
        _activateInput "${_entry%% *}" "${_entry#* }"
    done
    for _hook in ${envBuildHostHooks[@]+"${envBuildHostHooks[@]}"}; do
        for _package in ${pkgsBuildHost[@]+"${pkgsBuildHost[@]}"}; do "$_hook" "$_package"; done
    done
    for _hook in ${envHostTargetHooks[@]+"${envHostTargetHooks[@]}"} ${envHostHostHooks[@]+"${envHostHostHooks[@]}"}; do
        local -A _called=()
        for _package in ${pkgsHostTarget[@]+"${pkgsHostTarget[@]}"} ${pkgsBuildHost[@]+"${pkgsBuildHost[@]}"}; do
            # with strictDeps, programs for the build are not libraries of the result
            [[ -n ${_called[$_package]:-} ]] && continue
            _called[$_package]=1
            if [[ -n ${strictDeps:-} && -z ${_seenInputs[host:$_package]:-} ]]; then continue; fi
            "$_hook" "$_package"
        done
        unset _called
    done
}

_setupEnvironment() {
    local _name _output
    # structured attributes: outputs is a map, and nothing was exported
    if isDeclaredArray outputs; then
        local -n map=outputs
        if [[ $(declare -p outputs) == "declare -A"* ]]; then
            for _output in "${!map[@]}"; do export "$_output=${map[$_output]}"; done
        fi
        unset -n map
    fi
    # nor was what the package wants in its environment
    if [[ $(declare -p env 2>/dev/null) == "declare -A"* ]]; then
        for _name in "${!env[@]}"; do export "$_name=${env[$_name]}"; done
    fi
    export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-315532800}
    export ZERO_AR_DATE=1
    export TZ=${TZ:-UTC}
    : "${NIX_BUILD_TOP:=${TMPDIR:-/tmp}}"
    : "${NIX_STORE:=/nix/store}"
    : "${NIX_BUILD_CORES:=1}"
    if ((NIX_BUILD_CORES <= 0)); then NIX_BUILD_CORES=$(nproc 2>/dev/null || echo 1); fi
    export NIX_BUILD_CORES NIX_STORE
    # configure scripts and the like ask for HOME; one that does not exist shows who writes there
    if [[ -z ${IN_NIX_SHELL:-} && -z ${HOME:-} ]]; then export HOME=/homeless-shelter; fi

    _PATH=
    HOST_PATH=
    PATH=
    XDG_DATA_DIRS=${XDG_DATA_DIRS:-}
    for _name in ${initialPath:-}; do addToSearchPath PATH "$_name/bin"; done
    local _initial=$PATH
    _setupInputs
    PATH=$_PATH${_initial:+${_PATH:+:}$_initial}
    HOST_PATH=${HOST_PATH:+$HOST_PATH:}$_initial
    export PATH HOST_PATH
    unset _PATH

    # where files go: the usual outputs, or the first one
    : "${outputBin:=$(_firstOutput bin out)}"
    : "${outputLib:=$(_firstOutput lib out)}"
    : "${outputDev:=$(_firstOutput dev out)}"
    : "${outputDoc:=$(_firstOutput doc out)}"
    : "${outputDevdoc:=$(_firstOutput devdoc doc out)}"
    : "${outputMan:=$(_firstOutput man "$outputBin")}"
    : "${outputDevman:=$(_firstOutput devman devdoc "$outputMan")}"
    : "${outputInfo:=$(_firstOutput info "$outputBin")}"
    : "${outputInclude:=$outputDev}"
    if [[ -z ${prefix:-} ]]; then
        _output=$(_firstOutput out)
        prefix=${!_output:-}
    fi
}

_firstOutput() { # NAME…: the first that is an output; else the first output there is
    local all name
    all=" $(getAllOutputNames) "
    for name; do
        if [[ $all == *" $name "* ]]; then
            echo "$name"
            return 0
        fi
    done
    all=${all# }
    echo "${all%% *}"
}
