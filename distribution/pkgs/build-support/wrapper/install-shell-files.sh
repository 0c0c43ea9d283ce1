# installManPage FILE…, installBin FILE…, installShellCompletion [--bash|--fish|--zsh] [--name NAME] FILE… or
# installShellCompletion --cmd NAME [--bash FILE] [--fish FILE] [--zsh FILE]: files into their usual places.

installManPage() {
    local file name section
    for file; do
        [[ $file == -- ]] && continue
        name=$(basename "$file")
        section=${name%.gz}
        section=${section##*.}
        if [[ -z $section || ! -e $file ]]; then
            echo "installManPage: error: '$file' is not a manual page" >&2
            return 1
        fi
        install -Dm644 -T "$file" "${!outputMan}/share/man/man${section:0:1}/$name"
    done
}

installBin() {
    local file
    for file; do install -Dm755 -T "$file" "${!outputBin}/bin/$(basename "$file")"; done
}

installShellCompletion() {
    local shell= name= command= file kind
    while (($#)); do
        case $1 in
        --bash | --fish | --zsh | --nushell)
            shell=${1#--}
            shift
            continue
            ;;
        --name) name=$2 && shift 2 && continue ;;
        --cmd) command=$2 && shift 2 && continue ;;
        --) shift && continue ;;
        esac
        file=$1
        shift
        kind=$shell
        if [[ -z $kind ]]; then
            case $file in
            *.bash) kind=bash ;;
            *.fish) kind=fish ;;
            *.zsh) kind=zsh ;;
            *)
                echo "installShellCompletion: error: cannot tell the shell of '$file'" >&2
                return 1
                ;;
            esac
        fi
        local base=${name:-$(basename "$file")}
        if [[ -n $command && -z $name ]]; then base=$command; fi
        local target
        case $kind in
        bash) target=share/bash-completion/completions/${base%.bash} ;;
        fish) target=share/fish/vendor_completions.d/${base%.fish}.fish ;;
        zsh)
            base=${base%.zsh}
            target=share/zsh/site-functions/_${base#_}
            ;;
        nushell) target=share/nushell/vendor/autoload/${base%.nu}.nu ;;
        esac
        # the file may be a pipe: <(program completions bash)
        mkdir -p "$(dirname "${!outputBin}/$target")"
        cat "$file" >"${!outputBin}/$target"
        chmod 644 "${!outputBin}/$target"
        name=
        if [[ -n $command ]]; then shell=; fi
    done
}
