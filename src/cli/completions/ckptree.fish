# fish completion for ckptree

function __ckptree_needs_command
    test (count (commandline -opc)) -eq 1
end

function __ckptree_in
    set -l words (commandline -opc)
    test (count $words) -gt 1; and contains -- $words[2] $argv
end

# The names below a directory of a checkpoint's tree, directories with a slash.
function __ckptree_paths
    set -l words (commandline -opc)
    set -l below (string replace -r '[^/]*$' '' -- (commandline -ct))
    ckptree ls -l $words[3] $below 2>/dev/null | while read -l kind size date time name
        string match -q 'd*' -- $kind; and set name $name/
        echo $below$name
    end
end

function __ckptree_options
    set -l before (string replace -r '[^,]*$' '' -- (commandline -ct))
    set -l options ro\t'nothing can be edited' \
        edit=documents\t'edit documents and arrays' \
        edit=all\t'edit everything' \
        kind=torch\t'take the source for this kind' \
        name=\t'file name of the metadata member' \
        folder=\t'where in the archive new metadata goes' \
        remove=metadata\t'rm metadata.json leaves the arrays' \
        remove=all\t'rm metadata.json takes the arrays too' \
        missing=\t'what stands for a removed class' \
        migrations=\t'the scripts that migrations/ is compared with' \
        nodata\t'hide the data of tensors' \
        data\t'show the data of tensors' \
        kind=earth2studio\t'take the source for this kind' \
        kind=orbax\t'take the source for this kind' \
        kind=orbax-steps\t'take the source for this kind' \
        kind=collection\t'take the source for this kind' \
        checkpointable=\t'what pytree leads to' \
        rank=\t'of a store with ranks, this one alone' \
        world_size=\t'how many ranks the run has' \
        level=0\t'hide the states of rows' \
        level=\t'0 hides the states of rows' \
        edits=replace\t'an edited row takes the place of the old one' \
        edits=append\t'an edited row becomes the last' \
        mode=append\t'a new row joins those of equal labels' \
        mode=overwrite\t'a new row replaces those of equal labels' \
        history_size=\t'how many rows of equal labels stay' \
        create\t'make a store that is not there yet' \
        sweep\t'remove unused commits at unmount' \
        flush_interval=auto\t'documents at once, single values together' \
        flush_interval=none\t'commit on request and at unmount' \
        flush_interval=\t'how many saves make a commit' \
        links=keep\t'refuse to commit to a file with several hard links' \
        links=split\t'split a file off its other hard links' \
        scratch_limit=\t'how much temporary files may hold' \
        allow_other\t'let other users in' \
        allow_root\t'let root in, and nobody else' \
        umask=\t'permission bits to take away' \
        uid=\t'show this owner' \
        gid=\t'show this group' \
        attr_timeout=\t'how long attributes may be reused' \
        entry_timeout=\t'how long names may be reused' \
        fsname=\t'name of the source in mount tables' \
        subtype=\t'file system type in mount tables'
    for option in $options
        echo $before$option
    end
end

complete -c ckptree -n __ckptree_needs_command -a umount -d 'unmount, and tell whether everything was committed'
complete -c ckptree -n __ckptree_needs_command -a ls -d 'list a directory of the tree, without a mount'
complete -c ckptree -n __ckptree_needs_command -a cat -d 'print a file of the tree, without a mount'
complete -c ckptree -n __ckptree_needs_command -a write -d 'store standard input as a file of the tree'
complete -c ckptree -n __ckptree_needs_command -a run -d 'run a command in a mount of its own'
complete -c ckptree -n __ckptree_needs_command -a migration -d 'scripts that migrate checkpoints'
complete -c ckptree -n '__ckptree_in migration; and test (count (commandline -opc)) -eq 2' -f -a 'create inspect sync fix-order'
complete -c ckptree -n '__ckptree_in migration' -l dir -r -d 'the scripts'
complete -c ckptree -n '__ckptree_in migration' -l with-setup -l final -l dry-run -l check
complete -c ckptree -n 'not __ckptree_in umount ls cat write run migration' -s f -l foreground -d 'stay in the foreground'
complete -c ckptree -n '__ckptree_in ls' -s l -d 'the long form'
complete -c ckptree -n 'not __ckptree_in umount' -s o -x -a '(__ckptree_options)' -d 'options of the view'
complete -c ckptree -n '__ckptree_in ls cat write; and test (count (commandline -opc)) -ge 3' -f -a '(__ckptree_paths)'
complete -c ckptree -n '__ckptree_in umount' -x -a '(__fish_complete_directories)'
complete -c ckptree -s h -l help -d 'print a summary'
complete -c ckptree -s V -l version -d 'print the version'
