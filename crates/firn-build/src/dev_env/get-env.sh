# Runs in place of a derivation's builder: brings up the build environment as the builder would, then writes
# the shell's variables and functions as JSON to the first output. The other outputs become empty files.
set -e
if [ -e "$NIX_ATTRS_SH_FILE" ]; then source "$NIX_ATTRS_SH_FILE"; fi

export IN_NIX_SHELL=impure
export dontAddDisableDepTrack=1

if [ -n "$stdenv" ]; then source "$stdenv/setup"; fi

# Taken before anything of this script is defined, so that none of it shows.
__firn_declared="$(declare -p)"
__firn_defined="$(declare -F)"

# Prints $1 as a JSON string. Only builtins: PATH may lead nowhere.
__firn_string() {
    local text="$1" rest char code
    text="${text//\\/\\\\}"
    text="${text//\"/\\\"}"
    text="${text//$'\n'/\\n}"
    text="${text//$'\r'/\\r}"
    text="${text//$'\t'/\\t}"
    if [[ $text == *[[:cntrl:]]* ]]; then
        rest="$text" text=
        while [ -n "$rest" ]; do
            char="${rest:0:1}" rest="${rest:1}"
            if [[ $char == [[:cntrl:]] ]]; then
                printf -v code '%d' "'$char"
                if (( code >= 0 && code < 32 )); then printf -v char '\\u%04x' "$code"; fi
            fi
            text+="$char"
        done
    fi
    printf '"%s"' "$text"
}

# What bash keeps for itself, and what is true only of this moment.
__firn_is_own() {
    case "$1" in
        BASH_*|COMP_*|_|DIRSTACK|EUID|FUNCNAME|HISTCMD|HOSTNAME|GROUPS|PIPESTATUS|PWD|RANDOM|SHLVL|SECONDS) ;;
        EPOCHREALTIME|EPOCHSECONDS) ;;
        *) return 1 ;;
    esac
}

# The elements of the array $1; of an associative one ($2 is A) with their keys. Names are long here and below
# because a local variable hides the one of that name that is to be printed.
__firn_elements() {
    local -n __firn_array="$1"
    local __firn_key __firn_sep=
    for __firn_key in "${!__firn_array[@]}"; do
        printf '%s' "$__firn_sep"
        __firn_sep=', '
        if [ "$2" = A ]; then
            __firn_string "$__firn_key"
            printf ': '
        fi
        __firn_string "${__firn_array[$__firn_key]}"
    done
}

__firn_variables() {
    local __firn_line __firn_flags __firn_name __firn_comma=
    while IFS= read -r __firn_line; do
        # `declare -x name="value"`; values go on over several lines, which begin otherwise
        [[ $__firn_line =~ ^declare\ -([-aAx])\ ([a-zA-Z_][a-zA-Z_0-9]*)(=|$) ]] || continue
        __firn_flags="${BASH_REMATCH[1]}" __firn_name="${BASH_REMATCH[2]}"
        if __firn_is_own "$__firn_name"; then continue; fi
        printf '%s\n    ' "$__firn_comma"
        __firn_comma=,
        __firn_string "$__firn_name"
        # where a script is says nothing about the environment; this is what C++ Nix's prints
        if [ "$__firn_name" = LINENO ]; then __firn_flags=line; fi
        case "$__firn_flags" in
            line) printf ': {"type": "var", "value": "79"' ;;
            x) printf ': {"type": "exported", "value": '; __firn_string "${!__firn_name}" ;;
            -) printf ': {"type": "var", "value": '; __firn_string "${!__firn_name}" ;;
            a) printf ': {"type": "array", "value": ['; __firn_elements "$__firn_name" a; printf ']' ;;
            A) printf ': {"type": "associative", "value": {'; __firn_elements "$__firn_name" A; printf '}' ;;
        esac
        printf '}'
    done <<< "$__firn_declared"
}

__firn_functions() {
    local line name text comma=
    while IFS= read -r line; do
        [[ $line =~ ^declare\ -f\ (.+)$ ]] || continue
        name="${BASH_REMATCH[1]}"
        text="$(declare -f "$name")"
        if [[ $text != *"{"*"}"* ]]; then
            printf "Cannot parse definition of function '%s'.\n" "$name" >&2
            return 1
        fi
        text="${text#*\{}"
        text="${text%\}*}"
        printf '%s\n    ' "$comma"
        comma=,
        __firn_string "$name"
        printf ': '
        __firn_string "$text"
    done <<< "$__firn_defined"
}

__firn_environment() {
    printf '{\n  "bashFunctions": {'
    __firn_functions
    printf '\n  },\n  "variables": {'
    __firn_variables
    printf '\n  }'
    if [ -e "$NIX_ATTRS_SH_FILE" ]; then
        printf ',\n  "structuredAttrs": {\n    ".attrs.sh": '
        __firn_string "$(<"$NIX_ATTRS_SH_FILE")"
        printf ',\n    ".attrs.json": '
        __firn_string "$(<"$NIX_ATTRS_JSON_FILE")"
        printf '\n  }'
    fi
    printf '\n}\n'
}

# With structured attributes `outputs` maps names to paths, otherwise it lists the names of variables.
__firn_places=()
if [ -e "$NIX_ATTRS_SH_FILE" ]; then
    __firn_places=("${outputs[@]}")
else
    for __firn_output in $outputs; do __firn_places+=("${!__firn_output}"); done
fi
__firn_written=
for __firn_output in "${__firn_places[@]}"; do
    if [ -z "$__firn_written" ]; then
        __firn_environment > "$__firn_output"
        __firn_written=1
    else
        : > "$__firn_output"
    fi
done
