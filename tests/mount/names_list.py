#!/usr/bin/env python3
# A listing is complete however long it is, ls sees topics come and go, and rewinddir starts again
# with what is there now.
import ctypes
from t import *

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.rewinddir.argtypes = libc.readdir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]


def names(directory):
    """What readdir gives until it says no more."""
    found = set()
    while entry := libc.readdir(directory):
        found.add(ctypes.string_at(entry + 19).decode())
    return found - {".", ".."}


with Broker() as broker:
    want = {f"topic-with-a-name-of-some-length-{i:04}" for i in range(700)}
    for name in sorted(want):
        os.mkdir(topic(name))
    assert_eq(want, set(os.listdir(topic(""))))
    directory = libc.opendir(os.fsencode(topic("")))
    assert_eq(want, names(directory))
    for name in sorted(want)[::7]:
        os.rmdir(topic(name))
        want.remove(name)
    os.mkdir(topic("new"))
    want.add("new")
    libc.rewinddir(directory)
    assert_eq(want, names(directory), "after rewinddir")
    libc.closedir(directory)
    assert_eq(want, set(os.listdir(topic(""))))
    # A directory that is open when its topic goes.
    fd = os.open(topic("new"), os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir(topic("new"))
    assert_errno("ESTALE", os.listdir, fd)
    os.close(fd)
    broker.restart()
    assert_eq(want - {"new"}, set(os.listdir(topic(""))))
    make_topic("wide", 5000)
    assert_eq(5004, len(os.listdir(topic("wide"))))
