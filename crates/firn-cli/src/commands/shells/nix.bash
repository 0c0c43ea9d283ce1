# Completion of 'nix' in bash: asks nix itself, see NIX_GET_COMPLETIONS.
_firn_nix() {
    # words as they are, not divided at ':', '=' and '#'
    local cur words cword
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n ':=&#' cur words cword
    else
        cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    local kinds='' line
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ -z $kinds ]]; then
            kinds=$line
            case $kinds in
                filenames) compopt -o filenames 2>/dev/null ;;
                attrs) compopt -o nospace 2>/dev/null ;;
            esac
        else
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <(NIX_GET_COMPLETIONS=$cword "${words[@]}" 2>/dev/null)
    # bash puts the answer behind the last ':' of the word
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _firn_nix nix
