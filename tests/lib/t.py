"""For mount cases in Python: `from t import *`. The runner sets PYTHONPATH so that it is found.

    #!/usr/bin/env python3
    # One sentence: the property.
    from t import *

    with Broker() as broker:
        os.mkdir(topic("t"))
        append("t/0", b"one\\n")
        assert_eq(b"one\\n", read("t/0"))
        assert_errno("EPERM", os.unlink, topic("t/0"))

A broker that runs when its `with` ends is stopped, and must end with 0. What is left of a case that
failed, the runner kills.
"""
import contextlib
import errno
import json
import os
import pickle
import re
import select
import signal
import subprocess
import sys
import time
import traceback

CASE_DIR = os.environ["CASE_DIR"]
TOPICFS = os.environ["TOPICFS"]
LIB = os.environ["LIB"]
MNT = CASE_DIR + "/mnt"
DATA = CASE_DIR + "/data"
LOG = CASE_DIR + "/log"
READY_S = 20
STOP_S = 10


def fail(sentence):
    raise AssertionError(sentence)


def skip(sentence):
    print(sentence)
    sys.exit(77)


def topic(name):
    return f"{MNT}/topics/{name}"


def read(name):
    """All bytes below topics/, as `cat` gets them."""
    with open(topic(name), "rb", buffering=0) as f:
        return f.readall()


def append(name, what):
    """One write."""
    with opened(topic(name), os.O_WRONLY | os.O_APPEND) as fd:
        assert_eq(len(what), os.write(fd, what), "bytes written")


def make_topic(name, partitions=1, *settings):
    """settings: "segment.bytes=1024" and the like."""
    os.mkdir(topic(name))
    if partitions != 1:
        settings = (f"num.partitions={partitions}", *settings)
    if settings:
        configure(name, *settings)


def configure(name, *settings):
    """Lines of config, in one write."""
    append(name + "/config", "".join(s + "\n" for s in settings).encode())


def group(name):
    return f"{MNT}/groups/{name}"


def make_group(name, *settings):
    os.mkdir(group(name))
    if settings:
        put(name + "/config", "".join(s + "\n" for s in settings))


def put(name, what):
    """One write to a file below groups/."""
    with opened(group(name), os.O_WRONLY) as fd:
        assert_eq(len(what.encode()), os.write(fd, what.encode()), "bytes written")


def get(name):
    """The text of a file below groups/."""
    with open(group(name), encoding="utf-8") as f:
        return f.read()


def state(name):
    return json.loads(get(name + "/state"))


def shares(name):
    """What the members hold: {member id: {topic: partitions}}."""
    return {m["member_id"]: m["assignment"] for m in state(name)["members"]}


def committed(name, topic_name, partition=0):
    """The committed offset, or None."""
    text = get(f"{name}/offsets/{topic_name}/{partition}").split()
    return int(text[0]) if text else None


def records(name):
    """What a json file below topics/ holds, as objects."""
    return [json.loads(line) for line in read(name).splitlines()]


def stored(name, partition=0):
    """The bytes of a partition's .data files, in order."""
    directory = f"{DATA}/{name}-{partition}"
    what = b""
    for file in sorted(f for f in os.listdir(directory) if f.endswith(".data")):
        with open(f"{directory}/{file}", "rb") as f:
            what += f.read()
    return what


def run(*argv, status=0, stdin=b"", cwd=None, limit_s=20, env=None):
    """Runs a program to its end, in topics/; gives its stdout. A single word with blanks is for
    bash. It must end with this status (None: any, and a pair of status and stdout is given)."""
    if len(argv) == 1 and " " in argv[0]:
        argv = ("bash", "-euc", "-o", "pipefail", argv[0])
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=cwd or f"{MNT}/topics", timeout=limit_s, check=False,
                          env=os.environ | (env or {}))
    if status is None:
        return done.returncode, done.stdout
    if done.returncode != status:
        fail(f"{argv!r} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Child:
    """A process that makes one call: Child(os.read, fd, 10).result() is what it gave, or raises
    what it raised. One that is still there when its `with` ends is killed."""

    def __init__(self, call, *args):
        self.status = None
        read_fd, write_fd = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(read_fd)
            try:
                done = (True, call(*args))
            except BaseException as e:  # pylint: disable=broad-except
                done = (False, e)
            try:
                os.write(write_fd, pickle.dumps(done))
            except BaseException:  # pylint: disable=broad-except
                traceback.print_exc()
            os._exit(0)
        os.close(write_fd)
        self.pipe = read_fd

    def result(self, limit_s=10):
        if not select.select([self.pipe], [], [], limit_s)[0]:
            fail(f"process {self.pid} gave nothing within {limit_s} s")
        with open(self.pipe, "rb") as f:
            what = f.read()
        self.wait(limit_s)
        if not what:
            fail(f"process {self.pid} ended with status {self.status} without a result")
        ok, value = pickle.loads(what)
        if not ok:
            raise value
        return value

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def wait(self, limit_s=10):
        """The status of its end, as waitpid gives it."""
        def ended():
            if self.status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = status
            return self.status is not None
        wait_until(ended, limit_s, f"process {self.pid} ends")
        return self.status

    def is_waiting(self):
        return is_waiting(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.status is None:
            self.kill()
            self.wait()


def sleep_in_mount(pid):
    """The number of its sleep, where it sleeps in a request to the mount; else None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            state = f.read().rsplit(")", 1)[1].split()[0]
        with open(f"/proc/{pid}/status") as f:
            number = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M)[1]
    except OSError:
        return None
    if state not in "SD":
        return None
    try:
        with open(f"/proc/{pid}/stack") as f:
            return number if "fuse" in f.read() else None
    except OSError:  # Only root is told what it sleeps in.
        return number


def is_waiting(pid):
    """It waits for the answer to a request that has come to the broker, as a reader that waits for
    records does: one that was made after it is answered, and it has slept all the time. What only
    sleeps may have its request in the kernel's queue still, where a signal takes it back."""
    number = sleep_in_mount(pid)
    if number is None:
        return False
    os.statvfs(MNT)
    return sleep_in_mount(pid) == number


def errors_lines(regex=""):
    """The lines of the mount's errors file that match."""
    with open(MNT + "/errors", encoding="utf-8", errors="replace") as f:
        return [line for line in f.read().splitlines() if re.search(regex, line)]


@contextlib.contextmanager
def opened(path, how):
    fd = os.open(path, how)
    try:
        yield fd
    finally:
        os.close(fd)


def assert_eq(wanted, got, what=""):
    if wanted != got:
        fail(f"{what + ': ' if what else ''}wanted {wanted!r:.300}, got {got!r:.300}")


def assert_errno(name, call, *args):
    """The call fails with this errno. Returns the exception."""
    try:
        result = call(*args)
    except OSError as e:
        assert_eq(name, errno.errorcode.get(e.errno), f"{call.__name__}{args!r:.200}")
        return e
    return fail(f"{call.__name__}{args!r:.200} gave {result!r:.100} and not {name}")


def assert_errors_line(regex):
    """The mount's errors file has a line that matches."""
    with open(MNT + "/errors", encoding="utf-8", errors="replace") as f:
        lines = f.read()
    if not re.search(regex, lines, re.M):
        fail(f"no line of errors matches {regex}: {lines[-500:]}")


def wait_until(condition, limit_s=10, what=""):
    """Looks until condition() is true; returns what it gave."""
    end = time.monotonic() + limit_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            fail(f"not within {limit_s} s: {what or condition}")
        pause()


def pause(seconds=0.005):
    """Between two looks of a loop with a bound."""
    signal.sigtimedwait([], seconds)


def expect_log(regex):
    """A suspicious line of the log that this case causes; it must appear."""
    with open(CASE_DIR + "/expect_log", "a") as f:
        print(regex, file=f)


def allow_log(regex):
    """The same, but it may be absent."""
    with open(CASE_DIR + "/allow_log", "a") as f:
        print(regex, file=f)


def is_mounted():
    with open("/proc/self/mountinfo") as f:
        return any(line.split()[4] == MNT.replace(" ", "\\040") for line in f)


class Broker:
    """A broker on MNT and DATA that serves. Takes more options of `topicfs broker`, and variables
    of the environment: Broker("--set", "log.segment.bytes=4096", env={...}). `under` is a program
    that runs it, such as strace; stop() and kill() speak to that one."""

    binary = TOPICFS

    def __init__(self, *options, env=None, under=()):
        self.options = options
        self.under = under
        self.env = env or {}
        self.process = None
        self.start()

    @property
    def pid(self):
        return self.process.pid

    def rss_kib(self):
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def keeps_what_is_freed(self):
        """An address sanitizer does, to see who uses it all the same."""
        with open(self.binary, "rb") as f:
            return b"__asan_init" in f.read()

    def start(self):
        """Returns when the log says ready."""
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            skip("/dev/fuse is not there for this user")
        with open(LOG, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                [*self.under, self.binary, "broker", "--mount", MNT, "--data", DATA, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | self.env)
        wait_until(lambda: self._is_ready(begin), READY_S, "the broker is ready")

    def _is_ready(self, begin):
        with open(LOG, "rb") as f:
            f.seek(begin)
            said = f.read()
        if re.search(rb": ready( |$)", said, re.M):
            return True
        if self.process.poll() is not None:
            fail(f"the broker ended before it was ready: {said.decode(errors='replace')[-500:]}")
        return False

    def stop(self, number=signal.SIGTERM):
        """It must end within 10 s with exit status 0, and unmount."""
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            status = process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            fail(f"the broker did not end within {STOP_S} s")
        assert_eq(0, status, "exit status of the broker")
        if is_mounted():
            fail("the broker left its mount behind")

    def kill(self):
        """SIGKILL. The mount stays behind, and answers ENOTCONN."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self):
        self.stop()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process and kind is None:
            self.stop()
        elif self.process:
            self.kill()
