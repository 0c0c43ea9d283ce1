# The build environment, part 3: replacing text in files.
#   substitute IN OUT  [--replace-fail|--replace-warn|--replace-quiet|--replace FROM TO]… [--subst-var NAME] [--subst-var-by NAME TEXT]
#   substituteInPlace FILE… OPTIONS…          the same, in place
#   substituteAll IN OUT, substituteAllInPlace FILE…   every @name@ of an environment variable

_readWhole() { # VARIABLE FILE
    IFS= read -r -d '' "$1" <"$2" || true
}

substituteStream() { # VARIABLE DESCRIPTION OPTIONS…: works on the text in VARIABLE
    local variable=$1 description=$2 from to how text
    shift 2
    text=${!variable}
    while (($#)); do
        how=fail
        case $1 in
        --replace | --replace-warn | --replace-quiet | --replace-fail)
            case $1 in
            --replace | --replace-warn) how=warn ;;
            --replace-quiet) how=quiet ;;
            esac
            from=$2 to=$3
            shift 3
            ;;
        --subst-var)
            if [[ ! $2 =~ ^[a-zA-Z_][a-zA-Z0-9_]*$ ]]; then
                nixErrorLog "substitute: --subst-var $2: not a variable's name"
                return 1
            fi
            from=@$2@ to=${!2-} how=quiet
            shift 2
            ;;
        --subst-var-by)
            from=@$2@ to=$3 how=quiet
            shift 3
            ;;
        *)
            nixErrorLog "substituteStream(): invalid command line argument: $1"
            return 1
            ;;
        esac
        if [[ $text != *"$from"* ]]; then
            if [[ $how == warn ]]; then
                nixWarnLog "substituteStream() in derivation ${name:-?}: pattern $from doesn't match anything in $description"
            elif [[ $how == fail ]]; then
                nixErrorLog "substituteStream() in derivation ${name:-?}: pattern $from doesn't match anything in $description"
                return 1
            fi
        else
            text=${text//"$from"/"$to"}
        fi
    done
    printf -v "$variable" '%s' "$text"
}

substitute() { # IN OUT OPTIONS…
    local _input=$1 _output=$2 _text
    shift 2
    if [[ ! -f $_input ]]; then
        nixErrorLog "substitute(): file '$_input' does not exist"
        return 1
    fi
    _readWhole _text "$_input"
    substituteStream _text "file '$_input'" "$@" || return 1
    # keeps the mode of a file that is there
    printf '%s' "$_text" >"$_output"
}

substituteInPlace() {
    local _files=() _file
    while (($#)) && [[ $1 != --* ]]; do
        _files+=("$1")
        shift
    done
    if ((${#_files[@]} == 0)); then
        nixErrorLog "substituteInPlace called without any file to operate on"
        return 1
    fi
    for _file in "${_files[@]}"; do substitute "$_file" "$_file" "$@" || return 1; done
}

_allVariables() { # every exported variable whose name a @…@ may have, as options
    local _name
    _options=()
    for _name in $(compgen -e); do
        [[ $_name =~ ^[a-z][a-zA-Z0-9_]*$ ]] && _options+=(--subst-var-by "$_name" "${!_name}")
    done
    return 0
}
substituteAll() {
    local _options
    _allVariables
    substitute "$1" "$2" ${_options[@]+"${_options[@]}"}
}
substituteAllInPlace() {
    local _options
    _allVariables
    substituteInPlace "$@" ${_options[@]+"${_options[@]}"}
}
substituteAllStream() {
    local _options
    _allVariables
    substituteStream "$1" "$2" ${_options[@]+"${_options[@]}"}
}

# stripHash PATH: the name without folder and store hash
stripHash() {
    local base
    base=$(basename -- "$1")
    if [[ $base =~ ^[a-z0-9]{32}- ]]; then base=${base:33}; fi
    echo "$base"
}
