#!/usr/bin/env python3
# less shows a partition in a terminal, goes to its end and follows it, and lets go of a waiting
# stream at Ctrl-C.
import fcntl
import pty
import struct
import termios
from t import *


class Terminal:
    def __init__(self, *argv):
        self.screen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm", LESS="", LESSHISTFILE="-")
            os.execvp(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def sees(self, what):
        def look():
            while select.select([self.fd], [], [], 0.02)[0]:
                try:
                    more = os.read(self.fd, 65536)
                except OSError:
                    break
                if not more:
                    break
                self.screen += more
            return what in self.screen
        wait_until(look, 10, f"the terminal shows {what!r}")
        self.screen = b""

    def types(self, what):
        os.write(self.fd, what)

    def quits(self):
        """Typed until it counts: less forgets what was typed before an interrupt."""
        def gone():
            with contextlib.suppress(OSError):
                self.types(b"q")
                if select.select([self.fd], [], [], 0)[0]:
                    os.read(self.fd, 65536)
            return os.waitpid(self.pid, os.WNOHANG)[0]
        wait_until(gone, 10, "less ends")
        os.close(self.fd)


if run("bash", "-c", "command -v less || :", cwd="/") == b"":
    skip("no less here")
with Broker():
    make_topic("t")
    append("t/0", b"".join(b"line %d.\n" % i for i in range(1, 2001)))
    less = Terminal("less", topic("t/0"))
    less.sees(b"line 10.")
    less.types(b"G")
    less.sees(b"line 2000.")
    less.types(b"?line 777\n")
    less.sees(b"line 777")
    less.types(b"F")
    less.sees(b"Waiting for data")
    append("t/0", b"newest.\n")
    less.sees(b"newest.")
    less.types(b"\x03")
    less.quits()

    # On a stream it waits for a screen, and for an end that never comes, until it is interrupted.
    less = Terminal("less", "-f", topic("t/0@1000"))
    less.sees(b"line 1010.")
    less.types(b"G")
    append("t/0", b"streamed.\n")
    wait_until(lambda: is_waiting(less.pid))
    less.types(b"\x03")
    less.quits()
