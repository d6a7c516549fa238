#!/usr/bin/env python3
# A shared mapping is refused, clearly; a private one of the plain file shows its bytes; sendfile
# and copy_file_range of a partition give all of it.
import mmap
from t import *

with Broker():
    make_topic("t")
    text = b"".join(b"%d\n" % i for i in range(20000))
    append("t/0", text)
    with opened(topic("t/0"), os.O_RDONLY) as fd:
        assert_errno("ENODEV", mmap.mmap, fd, 100, mmap.MAP_SHARED, mmap.PROT_READ)
        with mmap.mmap(fd, len(text), mmap.MAP_PRIVATE, mmap.PROT_READ) as m:
            assert m[:] == text
    with opened(topic("t/0"), os.O_RDWR) as fd:
        assert_errno("ENODEV", mmap.mmap, fd, 100, mmap.MAP_SHARED,
                     mmap.PROT_READ | mmap.PROT_WRITE)
    with opened(topic("t/0"), os.O_RDONLY) as fd, open(CASE_DIR + "/out", "wb") as out:
        sent = 0
        while n := os.sendfile(out.fileno(), fd, sent, 1 << 20):
            sent += n
        assert_eq(len(text), sent, "sendfile")
    with open(CASE_DIR + "/out", "rb") as f:
        assert f.read() == text
