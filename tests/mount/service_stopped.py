#!/usr/bin/env python3
# A start on the mount point of a broker that is stopped, so that nobody answers there, is refused
# with a sentence, and a signal ends it whatever it waits for; the stopped one goes on unharmed.
from t import *


def second(mount, data):
    with open(LOG, "ab") as log:
        return subprocess.Popen([TOPICFS, "broker", "--mount", mount, "--data", data],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def has_child(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().strip()


def has_open(pid, name):
    with contextlib.suppress(OSError):
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").endswith(name)
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    return False


def ended(process, number):
    """It is not the end of what it waits for: that would be an error."""
    process.send_signal(number)
    assert_eq(0, process.wait(10), "exit status")


with Broker() as broker:
    make_topic("t")
    append("t/0", b"one\n")
    broker.process.send_signal(signal.SIGSTOP)
    expect_log("ERROR mount: .*is stopped or waits")
    assert_eq(1, second(MNT + "/.", CASE_DIR + "/other").wait(20), "exit status")
    for number in (signal.SIGTERM, signal.SIGINT):
        start = second(MNT, CASE_DIR + "/other")
        wait_until(lambda: has_child(start.pid), what="it asks the mount")  # pylint: disable=W0640
        ended(start, number)
    # It waits for the lock of the data directory.
    start = second(CASE_DIR + "/elsewhere", DATA)
    wait_until(lambda: has_open(start.pid, "/journal"), what="it asks for the lock")
    ended(start, signal.SIGTERM)
    broker.process.send_signal(signal.SIGCONT)
    append("t/0", b"two\n")
    assert_eq(b"one\ntwo\n", read("t/0"))
