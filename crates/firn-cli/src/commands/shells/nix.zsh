#compdef nix
# Completion of 'nix' in zsh: asks nix itself, see NIX_GET_COMPLETIONS.
_firn_nix() {
    local -a answer names shown
    local kinds line name about
    answer=("${(@f)$(NIX_GET_COMPLETIONS=$((CURRENT - 1)) "${(@Q)words}" 2>/dev/null)}")
    kinds=$answer[1]
    for line in "${(@)answer[2,-1]}"; do
        name=${line%%$'\t'*} about=${line#*$'\t'}
        names+=("$name")
        shown+=("${name}${about:+  -- $about}")
    done
    case $kinds in
        filenames) compadd -f -a names ;;
        attrs) compadd -S '' -a names ;;
        *) compadd -l -d shown -a names ;;
    esac
}
if [[ $funcstack[1] == _nix ]]; then
    _firn_nix "$@"
else
    compdef _firn_nix nix
fi
