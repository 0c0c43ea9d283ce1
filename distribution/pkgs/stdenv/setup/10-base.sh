# The build environment, part 1: shell options, messages, hooks, variables that hold lists.
#
# Every list (phases, flags, inputs, hooks) may be an array, or a string whose words are its elements: structured
# attributes bring the former, plain ones the latter. concatTo is the one place that tells them apart.

if [[ -z ${IN_NIX_SHELL:-} && $- != *i* ]]; then
    set -e -o pipefail
    shopt -s inherit_errexit
fi

: "${NIX_LOG_FD:=}"
if ! declare -p outputs >/dev/null 2>&1; then outputs=out; fi

# --- messages -------------------------------------------------------------------------------------------------------

# A line for whoever reads the log as a machine (the phase a build is in).
nixLog() {
    if [[ -n $NIX_LOG_FD ]]; then printf '@nix %s\n' "$1" >&"$NIX_LOG_FD"; fi
}
nixErrorLog() { echo "ERROR: $*" >&2; }
nixWarnLog() { echo "WARNING: $*" >&2; }
nixInfoLog() { if ((${NIX_DEBUG:-0} >= 3)); then echo "INFO: $*" >&2; fi; }
nixDebugLog() { if ((${NIX_DEBUG:-0} >= 6)); then echo "DEBUG: $*" >&2; fi; }
echoCmd() {
    printf '%s:' "$1"
    shift
    printf ' %q' "$@"
    printf '\n'
}

showPhaseHeader() {
    echo "Running phase: $1"
    nixLog "{ \"action\": \"setPhase\", \"phase\": \"$1\" }"
}

showPhaseFooter() {
    local seconds=$(($3 - $2))
    if ((seconds >= 30)); then
        echo "$1 completed in $((seconds / 60)) minutes $((seconds % 60)) seconds"
    fi
}

# --- lists ----------------------------------------------------------------------------------------------------------

isDeclaredArray() {
    local found
    found=$(declare -p "$1" 2>/dev/null) || return 1
    [[ $found =~ ^declare\ -[a-zA-Z]*[aA] ]]
}

# concatTo ARRAY NAME[=DEFAULT]… appends the elements of the named lists to ARRAY; DEFAULT is for lists that are empty
concatTo() {
    local -n _target=$1
    local _entry _name _default _before
    shift
    for _entry; do
        _name=${_entry%%=*}
        _default=
        [[ $_entry == *=* ]] && _default=${_entry#*=}
        _before=${#_target[@]}
        if isDeclaredArray "$_name"; then
            local -n _source=$_name
            _target+=(${_source[@]+"${_source[@]}"})
            unset -n _source
        elif [[ -n ${!_name:-} ]]; then
            # words of a string: no globbing while splitting
            local _words
            local IFS=$' \t\n'
            set -f
            _words=(${!_name})
            set +f
            _target+=(${_words[@]+"${_words[@]}"})
        fi
        if [[ -n $_default && ${#_target[@]} == "$_before" ]]; then _target+=("$_default"); fi
    done
    unset -n _target
    return 0
}

# concatStringsSep SEPARATOR NAME prints the named list's elements, joined
concatStringsSep() {
    local _list=() _sep=$1 _element _joined=
    concatTo _list "$2"
    for _element in ${_list[@]+"${_list[@]}"}; do _joined+=${_joined:+$_sep}$_element; done
    printf '%s' "$_joined"
}

# appendToVar NAME VALUE… and prependToVar NAME VALUE… work on both kinds of list
appendToVar() {
    local _name=$1
    shift
    if [[ ${__structuredAttrs:-} ]] || isDeclaredArray "$_name"; then
        local -n _list=$_name
        _list+=("$@")
    else
        printf -v "$_name" '%s' "${!_name:+${!_name} }$*"
    fi
}
prependToVar() {
    local _name=$1
    shift
    if [[ ${__structuredAttrs:-} ]] || isDeclaredArray "$_name"; then
        local -n _list=$_name
        _list=("$@" ${_list[@]+"${_list[@]}"})
    else
        printf -v "$_name" '%s' "$*${!_name:+ ${!_name}}"
    fi
}

# addToSearchPathWithCustomDelimiter DELIMITER VARIABLE FOLDER: only folders that exist
addToSearchPathWithCustomDelimiter() {
    if [[ -d $3 ]]; then export "$2=${!2:+${!2}$1}$3"; fi
}
addToSearchPath() { addToSearchPathWithCustomDelimiter : "$@"; }

# mapOffset and getHostRole exist for setup hooks of cross-compiling sets; here every role is the same
getHostRole() { role_post=; }
getTargetRole() { role_post=; }
getHostRoleEnvHook() { role_post=; }
getTargetRoleEnvHook() { role_post=; }

# --- outputs --------------------------------------------------------------------------------------------------------

getAllOutputNames() {
    if isDeclaredArray outputs; then
        local -n _outputs=outputs
        # structured attributes: a map from names to paths
        [[ $(declare -p outputs) == "declare -A"* ]] && echo "${!_outputs[*]}" || echo "${_outputs[*]}"
    else
        echo "$outputs"
    fi
}

# --- hooks ----------------------------------------------------------------------------------------------------------
# A hook NAME is: a function or a string NAME (what the package gives), then every command in the list NAMEHooks.

_callImplicitHook() {
    local _default=$1 _name=$2
    if declare -F "$_name" >/dev/null; then
        "$_name"
    elif type -p "$_name" >/dev/null && [[ $_name == /* ]]; then
        source "$_name"
    elif [[ -n ${!_name:-} ]]; then
        eval "${!_name}"
    else
        return "$_default"
    fi
}

_eval() {
    local _code=$1
    shift
    if [[ $(type -t "$_code") == function ]]; then "$_code" "$@"; else eval "$_code"; fi
}

runHook() {
    local _name=$1 _hook _list=()
    shift
    concatTo _list "${_name%Hook}Hooks"
    _callImplicitHook 0 "$_name"
    for _hook in ${_list[@]+"${_list[@]}"}; do _eval "$_hook" "$@"; done
    return 0
}

# Runs the hooks until the first that succeeds; fails when none does.
runOneHook() {
    local _name=$1 _hook _list=()
    shift
    concatTo _list "${_name%Hook}Hooks"
    if _callImplicitHook 1 "$_name"; then return 0; fi
    for _hook in ${_list[@]+"${_list[@]}"}; do
        if _eval "$_hook" "$@"; then return 0; fi
    done
    return 1
}

# --- leaving --------------------------------------------------------------------------------------------------------

exitHandler() {
    local _code=$?
    set +e
    if ((code != 0)); then
        runHook failureHook
        if [[ -n ${succeedOnFailure:-} ]]; then
            echo "build failed with exit code $_code (ignored)"
            mkdir -p "$out/nix-support"
            printf '%s' "$_code" >"$out/nix-support/failed"
            exit 0
        fi
    else
        runHook exitHook
    fi
    return "$_code"
}
if [[ -z ${IN_NIX_SHELL:-} && $- != *i* ]]; then trap exitHandler EXIT; fi
