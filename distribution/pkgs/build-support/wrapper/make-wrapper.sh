# makeWrapper PROGRAM WRAPPER OPTIONS…: a script that sets up the environment and runs PROGRAM.
# wrapProgram PROGRAM OPTIONS…: puts such a script in PROGRAM's place; the program itself becomes .NAME-wrapped.
#
#   --argv0 NAME, --inherit-argv0, --resolve-argv0
#   --set VAR VALUE, --set-default VAR VALUE, --unset VAR
#   --prefix VAR SEP VALUE, --suffix VAR SEP VALUE, --prefix-each VAR SEP VALUES, --suffix-each VAR SEP VALUES,
#   --prefix-contents VAR SEP FILES, --suffix-contents VAR SEP FILES
#   --chdir FOLDER, --run COMMAND, --add-flags FLAGS, --append-flags FLAGS, --add-flag FLAG, --append-flag FLAG

assertExecutable() {
    if [[ ! -f $1 || ! -x $1 ]]; then
        echo "Cannot wrap '$1' because it is not an executable file" >&2
        exit 1
    fi
}

# code that puts VALUE in front of (or behind) VAR, unless it is there already
_wrapperPath() { # prefix|suffix VAR SEP VALUE
    printf 'value=%q separator=%q\n' "$4" "$3"
    printf 'case "$separator${%s-}$separator" in *"$separator$value$separator"*) ;; *)\n' "$2"
    if [[ $1 == prefix ]]; then
        printf '  export %s="$value${%s:+$separator$%s}" ;;\nesac\n' "$2" "$2" "$2"
    else
        printf '  export %s="${%s:+$%s$separator}$value" ;;\nesac\n' "$2" "$2" "$2"
    fi
}
# a prefix is wanted in front even when it is there further behind
_wrapperPrefix() { # VAR SEP VALUE
    printf 'export %s=%q"${%s:+%q$%s}"\n' "$1" "$3" "$1" "$2" "$1"
}

makeShellWrapper() {
    local original=$1 wrapper=$2 option file values
    local argv0= flagsBefore= flagsAfter=
    assertExecutable "$original"
    shift 2
    mkdir -p "$(dirname "$wrapper")"
    # a wrapper may replace the very file that it wraps
    rm -f "$wrapper"
    {
        echo "#!@wrapperShell@ -e"
        while (($#)); do
            option=$1
            case $option in
            --set)
                printf 'export %s=%q\n' "$2" "$3"
                shift 3
                ;;
            --set-default)
                printf 'export %s=${%s-%q}\n' "$2" "$2" "$3"
                shift 3
                ;;
            --unset)
                printf 'unset %s\n' "$2"
                shift 2
                ;;
            --prefix)
                if [[ -n $4 ]]; then _wrapperPrefix "$2" "$3" "$4"; fi
                shift 4
                ;;
            --suffix)
                if [[ -n $4 ]]; then _wrapperPath suffix "$2" "$3" "$4"; fi
                shift 4
                ;;
            --prefix-each | --suffix-each)
                for values in $4; do _wrapperPath "${option:2:6}" "$2" "$3" "$values"; done
                shift 4
                ;;
            --prefix-contents | --suffix-contents)
                for file in $4; do _wrapperPath "${option:2:6}" "$2" "$3" "$(cat "$file")"; done
                shift 4
                ;;
            --chdir)
                printf 'cd %q\n' "$2"
                shift 2
                ;;
            --run)
                echo "$2"
                shift 2
                ;;
            --add-flags)
                # the words are the wrapper's own shell code: variables in them are expanded when it runs
                flagsBefore+=" $2"
                shift 2
                ;;
            --append-flags)
                flagsAfter+=" $2"
                shift 2
                ;;
            --add-flag)
                flagsBefore+=" $(printf %q "$2")"
                shift 2
                ;;
            --append-flag)
                flagsAfter+=" $(printf %q "$2")"
                shift 2
                ;;
            --argv0)
                argv0=$(printf %q "$2")
                shift 2
                ;;
            --inherit-argv0)
                argv0='"$0"'
                shift
                ;;
            --resolve-argv0) shift ;;
            *)
                echo "makeWrapper doesn't understand the arg $option" >&2
                exit 1
                ;;
            esac
        done
        echo "exec ${argv0:+-a $argv0 }$(printf %q "$original")$flagsBefore \"\$@\"$flagsAfter"
    } >"$wrapper"
    chmod +x "$wrapper"
}
makeWrapper() { makeShellWrapper "$@"; }
makeBinaryWrapper() { makeShellWrapper "$@"; }

wrapProgramShell() {
    local program=$1 hidden
    assertExecutable "$program"
    shift
    hidden=$(dirname "$program")/.$(basename "$program")-wrapped
    while [[ -e $hidden ]]; do hidden=${hidden}_; done
    mv "$program" "$hidden"
    makeShellWrapper "$hidden" "$program" --inherit-argv0 "$@"
}
wrapProgram() { wrapProgramShell "$@"; }
wrapProgramBinary() { wrapProgramShell "$@"; }
