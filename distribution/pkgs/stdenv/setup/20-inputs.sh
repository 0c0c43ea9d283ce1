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
    local role=$1 package=$2
    if [[ -f $package ]]; then
        # a file that is an input is a setup hook itself
        source "$package"
        return 0
    fi
    if [[ $role == native || -z ${strictDeps:-} ]]; then addToPath "$package/bin"; fi
    addToSearchPath HOST_PATH "$package/bin"
    if [[ -f $package/nix-support/setup-hook ]]; then
        # offsets as in a native build of a cross-compiling set
        local hostOffset=0 targetOffset=0
        if [[ $role == native ]]; then hostOffset=-1; fi
        source "$package/nix-support/setup-hook"
    fi
}

_setupInputs() {
    local list name package hook entry
    for name in ${defaultNativeBuildInputs:-}; do _findInput "$name" native; done
    for entry in native:depsBuildBuild native:nativeBuildInputs native:depsBuildTarget \
        native:depsBuildBuildPropagated native:propagatedNativeBuildInputs native:depsBuildTargetPropagated \
        host:depsHostHost host:buildInputs host:depsTargetTarget \
        host:depsHostHostPropagated host:propagatedBuildInputs host:depsTargetTargetPropagated; do
        list=()
        concatTo list "${entry#*:}"
        for package in ${list[@]+"${list[@]}"}; do _findInput "$package" "${entry%%:*}"; done
    done
    # what the package itself asks for comes first in PATH, the default tools last
    local -a order=() defaults=()
    for entry in ${allInputs[@]+"${allInputs[@]}"}; do
        if [[ " ${defaultNativeBuildInputs:-} " == *" ${entry#* } "* ]]; then defaults+=("$entry"); else order+=("$entry"); fi
    done
    for entry in ${order[@]+"${order[@]}"} ${defaults[@]+"${defaults[@]}"}; do
        _activateInput "${entry%% *}" "${entry#* }"
    done
    for hook in ${envBuildHostHooks[@]+"${envBuildHostHooks[@]}"}; do
        for package in ${pkgsBuildHost[@]+"${pkgsBuildHost[@]}"}; do "$hook" "$package"; done
    done
    for hook in ${envHostTargetHooks[@]+"${envHostTargetHooks[@]}"} ${envHostHostHooks[@]+"${envHostHostHooks[@]}"}; do
        local -A called=()
        for package in ${pkgsHostTarget[@]+"${pkgsHostTarget[@]}"} ${pkgsBuildHost[@]+"${pkgsBuildHost[@]}"}; do
            # with strictDeps, programs for the build are not libraries of the result
            [[ -n ${called[$package]:-} ]] && continue
            called[$package]=1
            if [[ -n ${strictDeps:-} && -z ${_seenInputs[host:$package]:-} ]]; then continue; fi
            "$hook" "$package"
        done
        unset called
    done
}

_setupEnvironment() {
    local name output
    # structured attributes: outputs is a map, and nothing was exported
    if isDeclaredArray outputs; then
        local -n map=outputs
        if [[ $(declare -p outputs) == "declare -A"* ]]; then
            for output in "${!map[@]}"; do export "$output=${map[$output]}"; done
        fi
        unset -n map
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
    for name in ${initialPath:-}; do addToSearchPath PATH "$name/bin"; done
    local initial=$PATH
    _setupInputs
    PATH=$_PATH${initial:+${_PATH:+:}$initial}
    HOST_PATH=${HOST_PATH:+$HOST_PATH:}$initial
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
        output=$(_firstOutput out)
        prefix=${!output:-}
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
