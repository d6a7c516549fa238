#!/usr/bin/env python3
# A stream's handle can be read again where it has been, at least its last MiB, and nowhere else:
# that is ESPIPE.
from t import *

MIB = 1 << 20
text = b"".join(b"line %08d\n" % i for i in range(300000))  # 4.2 MB

with Broker():
    make_topic("t")
    append("t/0", text)
    assert read("t/0") == text
    for view in ("0@0", "0@earliest", "all@earliest", "0@0..", "all", "0@0.json", "all.json"):
        want = text if "json" not in view else read("t/0.json")
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            assert_errno("ESPIPE", os.pread, fd, 10, 1)
            assert_errno("ESPIPE", os.pread, fd, 10, 5000)
            assert_eq(want[:100], os.read(fd, 100), view)
            assert_eq(want[10:60], os.pread(fd, 50, 10))
            assert_eq(want[0:10], os.pread(fd, 10, 0))
            assert_errno("ESPIPE", os.pread, fd, 10, 101)
            at = 100
            while at < 3 * MIB:
                got = os.read(fd, min(300000, 3 * MIB - at))
                assert got == want[at:at + len(got)], f"{view} at {at}"
                at += len(got)
                # Also right after what lies further behind was forgotten.
                if at >= MIB:
                    assert os.pread(fd, 9, at - MIB) == want[at - MIB:at - MIB + 9], \
                        f"{view}: a MiB behind {at}"
            for back in (1, 1000, MIB - 1, MIB):
                length = min(back, 500)
                assert os.pread(fd, length, at - back) == want[at - back:at - back + length], \
                    f"{view}: {back} back"
            assert_errno("ESPIPE", os.pread, fd, 10, at + 1)
            os.lseek(fd, at - MIB, os.SEEK_SET)
            again = b""
            while len(again) < MIB + 500:
                again += os.read(fd, MIB + 500 - len(again))
            assert again == want[at - MIB:at + 500], view
            os.lseek(fd, 1 << 40, os.SEEK_SET)
            assert_errno("ESPIPE", os.read, fd, 10)
            os.lseek(fd, at + 500, os.SEEK_SET)
            got = os.read(fd, 10)
            assert got and want.startswith(got, at + 500), "and it goes on"
            assert_eq(0, os.fstat(fd).st_size)
    assert_errors_line(r" ESPIPE uid=\d+ pid=\d+ topics/t/0@0: ")
    # The plain file is an ordinary one: any position, however far apart.
    with opened(topic("t/0"), os.O_RDONLY) as fd:
        for at in (len(text) - 10, 3 * MIB + 7, 5, 0, len(text) // 2):
            assert_eq(text[at:at + 10], os.pread(fd, 10, at))
        assert_eq(b"", os.pread(fd, 10, len(text)))
        assert_eq(b"", os.pread(fd, 10, len(text) + 5000))
        assert_eq(len(text), os.lseek(fd, 0, os.SEEK_END))
        assert_eq(0, os.lseek(fd, 0, os.SEEK_DATA))
        assert_eq(len(text), os.lseek(fd, 0, os.SEEK_HOLE))
        assert_errno("ENXIO", os.lseek, fd, len(text), os.SEEK_DATA)
