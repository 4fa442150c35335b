"""The tools that must simply work, as data: one line for each.

Every tool is run twice, on a plain file and on the mounted document, and both must end alike. A command sees

    $F  the document        $D  its folder        $T  a work folder elsewhere        $HERE  the folder of these tests
    $N  the document with the edit made ($T/metadata.json)
    $P  the same, padded with newlines, never shorter than $F
    $OLD $NEW  what the edit replaces and by what

`keys` are typed into a terminal. `commits` are the numbers of commits that are right: one, but for tools that save more
than one complete text. `late`: the save is only seen when the process is gone, so the commit may come just after it.
"""

from typing import NamedTuple, Tuple


class Tool(NamedTuple):
    name: str
    command: str
    keys: Tuple[str, ...] = ()
    commits: Tuple[int, ...] = (1,)
    late: bool = False


VI_KEYS = (":%s#$OLD#$NEW#\r", ":wq\r")
NANO_KEYS = ("\x1c", "$OLD\r", "$NEW\r", "a", "\x0f", "\r", "\x18")
EMACS_KEYS = ("\x1bx", "replace-string\r", "$OLD\r", "$NEW\r", "\x18\x13", "\x18\x03")

WRITERS = [
    Tool("vim", "vim $F", VI_KEYS),
    Tool("vim with backupcopy=yes", "vim -c 'set backupcopy=yes' $F", VI_KEYS),
    Tool("vim with nobackup nowritebackup", "vim -c 'set nobackup nowritebackup' $F", VI_KEYS),
    Tool("nvim", "nvim $F", VI_KEYS),
    Tool("nano", "nano $F", NANO_KEYS),
    Tool("nano -B", "nano -B $F", NANO_KEYS),
    Tool("emacs", "emacs -nw -Q $F", EMACS_KEYS),
    Tool("ed", r"printf '%s\n' ',s#'$OLD'#'$NEW'#' w q | ed -s $F"),
    Tool("micro", "micro $F", (" ", "\x13", "\x11")),
    Tool("mcedit", "mcedit $F", (" ", "\x1bOQ", "\r", "\x1b0")),
    Tool("Visual Studio Code", "python3 $HERE/vscode.py $F $N"),
    Tool("Visual Studio Code, atomic", "python3 $HERE/vscode.py $F $N --atomic"),
    Tool("sed -i", "sed -i s#$OLD#$NEW# $F"),
    Tool("sed -i.bak", "sed -i.bak s#$OLD#$NEW# $F"),
    Tool("busybox sed -i", "busybox sed -i s#$OLD#$NEW# $F"),
    Tool("perl -i", "perl -i -pe 's#$ENV{OLD}#$ENV{NEW}#' $F"),
    Tool("jq > t && mv t", """jq --arg new $NEW '.config.dataloader.dataset = $new' $F > $D/t && mv $D/t $F"""),
    Tool("jq | sponge", """jq -c --arg new $NEW '.config.dataloader.dataset = $new' $F | sponge $F"""),
    Tool("python open('w')", """python3 -c 'import sys
open(sys.argv[1], "w").write(open(sys.argv[2]).read())' $F $N"""),
    Tool("python json.dump", """python3 -c 'import json, sys
with open(sys.argv[1]) as file: document = json.load(file)
document["config"]["dataloader"]["dataset"] = sys.argv[2]
with open(sys.argv[1], "w") as file: json.dump(document, file, indent=1)' $F $NEW"""),
    Tool("mkstemp and os.replace", """python3 -c 'import os, sys, tempfile
fd, name = tempfile.mkstemp(dir=os.path.dirname(sys.argv[1]))
with open(fd, "w") as file: file.write(open(sys.argv[2]).read())
os.replace(name, sys.argv[1])' $F $N"""),
    Tool("cp", "cp $N $F"),
    Tool("cp -p", "cp -p $N $F"),
    Tool("cp -a", "cp -a $N $F"),
    Tool("cp -b", "cp -b $N $F"),
    Tool("cp --remove-destination", "cp --remove-destination $N $F"),
    Tool("install", "install -m 644 $N $F"),
    Tool("mv from another filesystem", "mv $N $F"),
    Tool("mv -b", "mv -b $N $F"),
    Tool("mv -b from scratch", "cp $N $D/t && mv -b $D/t $F"),
    Tool("ln -f", "cp $N $D/t && ln -f $D/t $F && rm $D/t"),
    Tool("rsync", "rsync $N $F"),
    Tool("rsync -a", "rsync -a $N $D/"),
    Tool("rsync --inplace", "rsync --inplace $N $F"),
    Tool("rsync --delay-updates", "rsync --delay-updates $N $D/"),
    Tool("tee", "tee $F < $N > $T/out"),
    Tool("tee -a", "echo | tee -a $F > $T/out"),
    Tool(">", "cat $N > $F"),
    Tool("{ ...; } >", "{ head -c 40 $N; tail -c +41 $N; } > $F"),
    Tool("a loop >", """while IFS= read -r line; do printf '%s\\n' "$line"; done < $N > $F"""),
    Tool(">>", "echo >> $F", commits=(1,)),
    Tool("exec 3>", "exec 3> $F; head -c 40 $N >&3; tail -c +41 $N >&3; exec 3>&-", commits=(1,)),
    Tool("exec 3> with two complete texts", "exec 3> $F; cat $N >&3; echo >&3; exec 3>&-", commits=(1, 2)),
    Tool("truncate", "truncate -s -1 $F"),
    Tool("dd", "dd if=$N of=$F status=none"),
    Tool("dd conv=notrunc", "dd if=$P of=$F conv=notrunc status=none"),
    Tool("dd bs=7 conv=fsync", "dd if=$N of=$F bs=7 conv=fsync status=none"),
    Tool("patch", "diff -u $F $N > $T/edit; patch -s $F $T/edit"),
    Tool("patch -b", "diff -u $F $N > $T/edit; patch -sb $F $T/edit"),
    Tool("unix2dos", "unix2dos -q $F"),
    Tool("dos2unix", "dos2unix -q $F"),
    Tool("git apply", """diff -u --label a/metadata.json --label b/metadata.json $F $N > $T/edit
cd $D && GIT_CEILING_DIRECTORIES=${D%/*} git apply $T/edit"""),
    Tool("tar x", "tar -C $T -cf $T/a.tar metadata.json && tar -C $D -xf $T/a.tar"),
    Tool("tar x --overwrite", "tar -C $T -cf $T/a.tar metadata.json && tar -C $D --overwrite -xf $T/a.tar"),
    Tool("unzip -o", "(cd $T && zip -q a.zip metadata.json) && unzip -qo $T/a.zip -d $D"),
    Tool("cpio", "(cd $T && echo metadata.json | cpio -o --quiet > a.cpio) && cd $D && cpio -iu --quiet < $T/a.cpio"),
    Tool("a shared writable mapping", """python3 -c 'import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
    at = view.find(sys.argv[2].encode())
    view[at:at + len(sys.argv[2])] = sys.argv[2].swapcase().encode()
    view.flush()' $F $OLD"""),
    Tool("a shared mapping used after close", """python3 -c 'import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR); view = mmap.mmap(fd, 0); os.close(fd)
at = view.find(sys.argv[2].encode())
view[at:at + len(sys.argv[2])] = sys.argv[2].swapcase().encode()' $F $OLD""", late=True),
    Tool("cp over it again", "cp $N $F"),
]

# Each writes $A, arrays/latitudes.npy, from the float64 array in $N.
ARRAY_WRITERS = [
    Tool("np.save", "python3 -c 'import numpy, sys; numpy.save(sys.argv[1], numpy.load(sys.argv[2]))' $A $N"),
    Tool("cp", "cp $N $A"),
    Tool("cp -p", "cp -p $N $A"),
    Tool("cp --remove-destination", "cp --remove-destination $N $A"),
    Tool("mv", "mv $N $A"),
    Tool("install", "install -m 644 $N $A"),
    Tool("rsync", "rsync $N $A"),
    Tool("dd bs=100", "dd if=$N of=$A bs=100 status=none"),
    Tool("tee", "tee $A < $N > $T/out"),
]

# Each prints the same in the mount and in a copy of it, and changes nothing.
READERS = [
    Tool("cat", "cat metadata.json arrays/latitudes.npy metadata.path kind"),
    Tool("less", "less metadata.json", keys=(" ", "q")),
    Tool("grep -r", "grep -r dataset . | sort"),
    Tool("rg", "rg -u --sort path dataset"),
    Tool("find", "find . -type f -size +0 -newermt 2000-01-01 | sort"),
    Tool("ls -l", "ls -l --time-style=+ metadata | awk '{print $1, $5, $NF}' | grep -v ^total"),
    Tool("ls -lR", "ls -lR --time-style=+%s . | awk '{print $1, $5, $6, $NF}' | grep -v ^total"),
    Tool("du", "du --apparent-size -b -S metadata arrays | sed 's/^[0-9]* *$//' | wc -l"),
    Tool("tar c", "tar c --sort=name --owner=0 --group=0 --mtime=@0 metadata.json metadata arrays | md5sum"),
    Tool("cp -a", "cp -a metadata $T/copy && diff -r metadata $T/copy && cp -a arrays kind $T/ && ls -R $T"),
    Tool("rsync -a", "rsync -a ./ $T/copy/ && diff -r . $T/copy && ls -R $T"),
    Tool("tail -f", "timeout 0.5 tail -f metadata.json; test $? = 124"),
    Tool("md5sum", "find . -type f -print0 | sort -z | xargs -0 md5sum"),
    Tool("np.load(mmap_mode='r')", """python3 -c 'import numpy
a = numpy.load("arrays/latitudes.npy", mmap_mode="r"); print(a.dtype, a.shape, a[:5], a.sum(), type(a))'"""),
    Tool("dd iflag=direct", "dd if=metadata.json iflag=direct bs=4096 status=none"),
    Tool("jq", "jq -r .config.dataloader.dataset metadata.json"),
    Tool("head and tail", "head -c 100 metadata.json; tail -c 100 metadata.json; wc -c metadata.json"),
    Tool("python json", "python3 -c 'import json; print(json.load(open(\"metadata.json\"))[\"version\"])'"),
]
