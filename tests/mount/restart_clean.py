#!/usr/bin/env python3
# After a clean stop, by SIGTERM or SIGINT, everything is there: topics, settings, owners, records
# with keys, headers and times; and nothing is recovered.
from t import *

with Broker() as broker:
    make_topic("a", 3, "segment.bytes=4096", "max.message.bytes=5000")
    make_topic("b")
    for i in range(200):
        append(f"a/{i % 3}", b"%d\n" % i)
    append("a/by-key/k", b"keyed\n")
    append("b/0.json", b'{"key":"k","value":"v","headers":{"h":"x"},"timestamp":77}\n')
    append("b/0.msg", b"m\nm")
    os.mkdir(topic("gone"))
    os.rmdir(topic("gone"))
    os.mkdir(topic("empty"))

    def everything():
        names = sorted(os.listdir(topic("")))
        seen = {"names": names}
        for name in names:
            for file in sorted(os.listdir(topic(name))):
                if file != "by-key":
                    seen[f"{name}/{file}"] = re.sub(rb"epoch=\d+", b"", read(f"{name}/{file}"))
            seen[name] = [r["timestamp"] for r in records(name + "/all.json")]
            st = os.stat(topic(name))
            seen[name + " stat"] = (st.st_mode, st.st_uid, st.st_gid)
            st = os.stat(topic(name + "/0"))
            seen[name + "/0 stat"] = (st.st_size, st.st_ino)
            seen[name + "/0 mtime"] = st.st_mtime
            assert abs(st.st_mtime - time.time()) < 60, name
        return seen

    before = everything()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        broker.stop(number)
        with open(LOG, "rb") as f:
            f.seek(0, 2)
            end = f.tell()
        broker.start()
        after = everything()
        assert_eq(list(before), list(after))
        for what in before:
            if "mtime" in what:  # Of a file system that counts in ticks.
                assert abs(before[what] - after[what]) < 0.05, (what, before[what], after[what])
            else:
                assert_eq(before[what], after[what], what)
        with open(LOG, "rb") as f:
            f.seek(end)
            said = f.read()
        assert b"unclean" not in said and b"cut" not in said, said
    # An empty data directory is not needed, nor a mount point that exists.
    broker.stop()
    os.rmdir(MNT)
    broker.start()
    assert_eq(before["names"], sorted(os.listdir(topic(""))))
