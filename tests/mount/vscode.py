"""The system calls of Visual Studio Code when it saves, each from another thread, as node's pool issues them.

vscode.py FILE NEW_TEXT [--atomic]
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor


def main(path, source, atomic):
    pool = ThreadPoolExecutor(4)

    def call(function, *arguments):
        # A call from a thread that was not the last one to be used.
        return pool.submit(function, *arguments).result()

    with open(source, "rb") as file:
        text = file.read()
    mode = call(os.stat, path).st_mode & 0o777
    target = f"{path}.vsctmp" if atomic else path
    fd = call(os.open, target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    for at in range(0, len(text), 256):
        call(os.pwrite, fd, text[at : at + 256], at)
    call(os.fdatasync, fd)
    call(os.close, fd)
    if atomic:
        call(os.rename, target, path)
    if call(os.stat, path).st_size != len(text):
        sys.exit(f"{path}: the size after saving is not that of the text")


main(sys.argv[1], sys.argv[2], "--atomic" in sys.argv)
