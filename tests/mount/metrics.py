#!/usr/bin/env python3
# metrics is OpenMetrics text: every sample belongs to a family that is described once, counters
# only rise, and it ends with # EOF.
from t import *

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(\{{(?:{NAME}="(?:[^"\\\n]|\\[\\"n])*",?)*\}})? '
                    r"(-?[0-9.]+(?:e[+-]?\d+)?|\+Inf|-Inf|NaN)")
SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "info": ("_info",),
            "histogram": ("_bucket", "_count", "_sum"), "unknown": ("",)}


def metrics():
    """Checks the text; {sample with its labels: value}."""
    with open(MNT + "/metrics") as f:
        text = f.read()
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1, text[-100:]
    values, types, family = {}, {}, None
    for line in text.splitlines()[:-1]:
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            assert what in ("TYPE", "UNIT", "HELP"), line
            if name != family:
                assert name not in types, f"{name} is described twice"
                family = name
                types[name] = None
            if what == "TYPE":
                assert rest in SUFFIXES and types[name] is None, line
                types[name] = rest
            if what == "UNIT":
                assert name.endswith("_" + rest), line
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert family and match[1] in [family + s for s in SUFFIXES[types[family]]], \
            f"{line} in {family}"
        assert match[1] + (match[2] or "") not in values, f"twice: {line}"
        values[match[1] + (match[2] or "")] = float(match[3])
    for name, kind in types.items():
        if kind == "histogram":
            buckets = [(float("inf") if "+Inf" in k else float(re.search(r'le="([^"]+)"', k)[1]), v)
                       for k, v in values.items() if k.startswith(name + "_bucket")]
            assert_eq(sorted(buckets), buckets, name)
            assert_eq([v for _, v in buckets], sorted(v for _, v in buckets), "cumulative")
            assert_eq(values[name + "_count"], buckets[-1][1], name)
    return values, types


with Broker():
    make_topic("t", 2)
    before, types = metrics()
    append("t/0", b"one\ntwo\n")
    append("t/by-key/k", b"three\n")
    assert read("t/all.json")
    assert read("t/0")
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        os.write(fd, b"x\n")
        os.fsync(fd)
    assert_errno("EPERM", os.unlink, topic("t/0"))
    with opened(topic("t/0@latest"), os.O_RDONLY) as fd, Child(os.read, fd, 10) as child:
        wait_until(child.is_waiting)
        assert_eq(1, metrics()[0]["topicfs_requests_parked"])
    after, _ = metrics()
    for name, value in before.items():
        family = re.match(NAME, name)[0]
        if family.endswith(("_total", "_count", "_bucket", "_sum")):
            assert after[name] >= value, f"{name} fell"

    def rose(name):
        return after[name] - before.get(name, 0)

    assert_eq(4, rose('topicfs_topic_records_in_total{topic="t"}'))
    assert_eq(15, rose('topicfs_topic_in_bytes_total{topic="t"}'))
    assert_eq(3, rose('topicfs_topic_records_out_total{topic="t"}'))
    assert rose('topicfs_topic_out_bytes_total{topic="t"}') > 0
    assert_eq(3, rose("topicfs_append_seconds_count"))
    assert_eq(1, rose("topicfs_fsync_seconds_count"))
    assert_eq(1, rose('topicfs_refusals_total{errno="EPERM"}'))
    assert after["topicfs_disk_free_bytes"] > after["topicfs_disk_reserve_bytes"] > 0
    for word in ("parked", "damage", "recovery", "disk_free", "reserve"):
        assert any(word in name for name in types), word
    # Groups, whatever their names.
    make_topic("few")
    append("few/0", b"1\n2\n3\n")
    for number, name in enumerate(('a"b\\c {d} é', "g")):
        make_group(name)
        with opened(group(f"{name}/topics/few"), os.O_RDONLY) as fd:
            os.read(fd, 5000)
            put(f"{name}/commit", f"few 0 {number + 1}\n")
            values, _ = metrics()
        label = name.replace("\\", "\\\\").replace('"', '\\"')
        assert_eq(1, values[f'topicfs_group_members{{group="{label}"}}'])
        assert_eq(2 - number, values[
            f'topicfs_group_lag_records{{group="{label}",topic="few",partition="0"}}'])
    # It is not small, and read in pieces it is one text.
    with open(MNT + "/metrics", "rb", buffering=0) as f:
        assert b"".join(iter(lambda: f.read(100), b"")).endswith(b"# EOF\n")
