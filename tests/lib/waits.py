"""Waiting for what happens, instead of looking again after a while. For the programs that run
tests; cases have t.py."""
import os
import select


class Changes:
    """Sees processes end and mounts come and go, from its making on: look at the state after it was
    made, and wait() misses nothing."""

    def __init__(self):
        self.mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)

    def wait(self, pids, limit_s, *fds):
        """Until one of these processes ends (or has ended), a mount comes or goes, one of the
        descriptors can be read, or the time is over."""
        pidfds = []
        poll = select.poll()
        poll.register(self.mounts, select.POLLPRI)  # proc(5): as mount points change
        for fd in fds:
            poll.register(fd, select.POLLIN)
        try:
            for pid in pids:
                pidfds.append(os.pidfd_open(pid))
                poll.register(pidfds[-1], select.POLLIN)
            poll.poll(max(limit_s, 0) * 1000)
        except ProcessLookupError:
            pass  # It has ended.
        finally:
            for fd in pidfds:
                os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        os.close(self.mounts)
