# bash completion for ckptree                                                              -*- shell-script -*-

_ckptree_options='ro edit= kind= name= folder= remove= missing= migrations= nodata data checkpointable= rank= world_size=
  level= edits= mode= history_size= create sweep flush_interval= links= scratch_limit= allow_other
  allow_root umask= uid= gid= attr_timeout= entry_timeout= fsname= subtype='

# The names below DIRECTORY/ in the tree of a checkpoint, directories with a slash.
_ckptree_paths() {
  local source=$1 below=${2%"${2##*/}"} kind name
  ckptree ls -l "$source" "$below" 2>/dev/null | while IFS=' ' read -r kind _ _ _ name; do
    case $kind in d*) name=$name/ ;; esac
    printf '%s\n' "$below$name"
  done
}

_ckptree() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= source= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      umount | ls | cat | write | run | migration) [[ $i -eq 1 ]] && command=${COMP_WORDS[i]} || source=${COMP_WORDS[i]} ;;
      -o) ((i++)) ;;
      -*) ;;
      *) [[ -n $source ]] || source=${COMP_WORDS[i]} ;;
    esac
  done

  # bash splits words at "=": the value stands alone behind it.
  if [[ $previous == '=' || $current == '=' ]]; then
    local option=${COMP_WORDS[COMP_CWORD - 2]}
    [[ $current == '=' ]] && option=$previous current=
    case ${option##*,} in
      edit) COMPREPLY=($(compgen -W 'documents all' -- "$current")) ;;
      kind) COMPREPLY=($(compgen -W 'torch earth2studio orbax orbax-steps collection' -- "$current")) ;;
      remove) COMPREPLY=($(compgen -W 'metadata all' -- "$current")) ;;
      flush_interval) COMPREPLY=($(compgen -W 'auto 1 none' -- "$current")) ;;
      level) COMPREPLY=($(compgen -W '0 1 2' -- "$current")) ;;
      edits) COMPREPLY=($(compgen -W 'replace append' -- "$current")) ;;
      mode) COMPREPLY=($(compgen -W 'append overwrite' -- "$current")) ;;
      links) COMPREPLY=($(compgen -W 'keep split' -- "$current")) ;;
    esac
    return
  fi
  if [[ $previous == -o ]]; then
    local before=${current%"${current##*,}"}
    COMPREPLY=($(compgen -P "$before" -W "$_ckptree_options" -- "${current##*,}"))
    compopt -o nospace
    return
  fi
  if [[ $current == -* ]]; then
    local flags='-o --help'
    case $command in
      '') flags='-f --foreground -o --help --version' ;;
      ls) flags='-l -o --help' ;;
      umount) flags='--help' ;;
      migration) flags='--dir --with-setup --final --dry-run --check --help' ;;
    esac
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
    return
  fi

  case $command in
    umount) compopt -o filenames && COMPREPLY=($(compgen -d -- "$current")) ;;
    ls | cat | write)
      if [[ -n $source ]]; then
        local IFS=$'\n'
        COMPREPLY=($(compgen -W "$(_ckptree_paths "$source" "$current")" -- "$current"))
        compopt -o nospace -o filenames
      else
        compopt -o filenames && COMPREPLY=($(compgen -f -- "$current"))
      fi
      ;;
    migration)
      if [[ $COMP_CWORD -eq 2 ]]; then
        COMPREPLY=($(compgen -W 'create inspect sync fix-order' -- "$current"))
      else
        compopt -o filenames && COMPREPLY=($(compgen -f -- "$current"))
      fi
      ;;
    run) compopt -o filenames && COMPREPLY=($(compgen -f -- "$current")) ;;
    *)
      compopt -o filenames
      if [[ -n $source ]]; then
        COMPREPLY=($(compgen -d -- "$current"))
      else
        COMPREPLY=($(compgen -f -- "$current"))
        [[ $COMP_CWORD -eq 1 ]] && COMPREPLY+=($(compgen -W 'umount ls cat write run migration' -- "$current"))
      fi
      ;;
  esac
}

complete -F _ckptree ckptree
