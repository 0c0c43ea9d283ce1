# Completion of 'nix' in fish: asks nix itself, see NIX_GET_COMPLETIONS.
function __firn_nix
    set -l before (commandline --current-process --tokenize --cut-at-cursor)
    set -l word (commandline --current-token --cut-at-cursor)
    set -l answer (env NIX_GET_COMPLETIONS=(count $before) $before $word 2>/dev/null)
    # the first line says what they are; each other one is what fish expects
    string join \n -- $answer[2..-1]
end
complete --command nix --no-files --arguments '(__firn_nix)'
