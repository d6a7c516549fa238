#!/usr/bin/env python3
# Processes that the broker cannot see, since it is in a pid namespace of its own, are not taken for
# one: nobody's lines count as another one's, and words say who it is.
from t import *

if os.geteuid():
    skip("only root makes a pid namespace")

IN_NAMESPACE = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
if libc.unshare(0x20000000):
    sys.exit("no pid namespace")
pid = os.fork()
if not pid:
    libc.prctl(1, signal.SIGKILL)
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def refuse(name, file, what):
    with opened(group(file), os.O_WRONLY) as fd:
        assert_errno(name, os.write, fd, what.encode())


with Broker(under=(sys.executable, "-c", IN_NAMESPACE)):
    make_topic("t")
    append("t/0", b"x\n" * 10)
    make_group("g", "commit=manual")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"x\n" * 10, os.read(fd, 100))
        put("g/commit", "t 0 5")
        for call in (refuse, lambda *args: Child(refuse, *args).result()):
            call("ESTALE", "g/commit", "t 0 4")
            call("EBUSY", "g/seek", "t 0 4")
        assert_errno("ENOENT", os.stat, group("g/members/self"))
        me = json.loads(get("g/members/m-1"))
        put("g/commit", f"member=m-1 generation={me['generation']} t 0 4")
        assert_eq(4, committed("g", "t"))
    put("g/seek", "t 0 2")
    assert_eq(2, committed("g", "t"))
