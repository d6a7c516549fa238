#!/usr/bin/env python3
# Where a service manager asks for it the broker says READY=1 when the mount can be used, and
# STOPPING=1 when it ends.
import socket
from t import *

for path in (CASE_DIR + "/notify", "\0topicfs-test-%d" % os.getpid()):
    if len(path) > 100:
        os.chdir(CASE_DIR)
        path = "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        broker = Broker(env={"NOTIFY_SOCKET": path.replace("\0", "@")})
        assert b"READY=1" in manager.recv(1000).splitlines()
        assert is_mounted()
        os.mkdir(topic("t" + str(len(path))))
        broker.stop()
        assert b"STOPPING=1" in manager.recv(1000).splitlines()
