#!/usr/bin/env python3
"""A second reader of a data directory, written from docs/disk-format.md and nothing else.

    reader.py DIR     prints what `topicfs dump DIR` prints: batches, records, commands, snapshots

It recovers in memory where the directory was not shut down cleanly. A check that fails ends it with
a sentence. For small directories: everything is held in memory.
"""
import base64
import json
import os
import re
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from xxh3 import xxh3_64  # noqa: E402

NULL = 0xFFFFFFFF
METADATA_ID = bytes(15) + b"\1"
ATTRIBUTES = ["plain", "log_append_time", "transactional", "control"]
PLAIN, CONTROL = 1, 8


class Bad(Exception):
    pass


def need(condition, *what):
    if not condition:
        raise Bad(": ".join(str(w) for w in what))


def get_id(text):
    need(re.fullmatch(r"[A-Za-z0-9_-]{22}", text), "id", text)
    return base64.urlsafe_b64decode(text + "==")


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), "too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def get(self, fmt):
        values = struct.unpack("<" + fmt, self.take(struct.calcsize("<" + fmt)))
        return values[0] if len(values) == 1 else values

    def str8(self):
        return self.take(self.get("B")).decode()

    def left(self):
        return len(self.data) - self.at


# ---- Text files ----

def read_properties(text):
    lines = text.decode().splitlines()
    need(len(lines) in (3, 4) and text.endswith(b"\n"), "meta.properties")
    if len(lines) == 4:  # Early files have none.
        above = text[:text.rindex(b"checksum=")]
        need(lines[3] == f"checksum={xxh3_64(above):016x}", "meta.properties", "checksum")
    values = dict(line.split("=", 1) for line in lines)
    need(values["version"] == "1", "version", values["version"])
    return get_id(values["cluster.id"]), get_id(values["directory.id"])


# ---- Checkpoint ----

def read_slot(slot):
    magic, version, _, check, sequence, incarnation = struct.unpack_from("<4sHHQQQ", slot)
    if magic != b"TFCP" or version != 1:
        return None
    boot, (cnt,) = slot[32:48], struct.unpack_from("<I", slot, 48)
    if 64 + 88 * cnt > len(slot) or check != xxh3_64(slot[16:64 + 88 * cnt]):
        return None
    entries = {}
    for i in range(cnt):
        e = slot[64 + 88 * i:64 + 88 * (i + 1)]
        partition, flags, start, start_pos = struct.unpack_from("<IIqQ", e, 16)
        entries[e[:16], partition] = {"flags": flags, "start": start, "start_pos": start_pos,
                                      "point": struct.unpack_from("<qQQqQq", e, 40)}
    return {"sequence": sequence, "incarnation": incarnation, "boot": boot, "entries": entries}


def read_checkpoint(data):
    half = len(data) // 2
    slots = [s for s in (read_slot(data[:half]), read_slot(data[half:])) if s]
    need(slots, "checkpoint: no slot holds")
    return max(slots, key=lambda s: s["sequence"])


# ---- Journal ----

BLOCK = 4096


def read_journal_head(data):
    heads = []
    for copy in (data[:BLOCK], data[BLOCK:2 * BLOCK]):
        magic, version, _, check, seed, sequence, cnt = struct.unpack_from("<4sHHQQQQ", copy)
        if magic == b"TFJH" and version == 1 and check == xxh3_64(copy[16:]):
            heads.append((sequence, seed, cnt))
    need(heads, "journal: no head holds")
    return max(heads)[1:]


class Ring:
    def __init__(self, data):
        self.seed, self.cnt = read_journal_head(data)
        self.slots = [self.good(data[(i + 2) * BLOCK:(i + 3) * BLOCK], i) for i in range(self.cnt)]

    def good(self, b, slot):
        fields = dict(zip(("hash", "prev", "number", "write", "idx", "of", "start", "len"),
                          struct.unpack_from("<QQQQIIQI", b)))
        if fields["number"] % self.cnt != slot or not any(b) or \
                fields["hash"] != xxh3_64(b[8:], self.seed):
            return None
        fields["payload"] = b[64:64 + fields["len"]]
        return fields

    def block(self, n):
        b = self.slots[n % self.cnt]
        return b if b and b["number"] == n else None

    def write_at(self, n):
        """The blocks of the write that begins at n, or the number of its first bad one."""
        blocks = []
        while not blocks or len(blocks) < blocks[0]["of"]:
            b = self.block(n + len(blocks))
            if not b or b["idx"] != len(blocks) or (
                    b["prev"] != (blocks[-1]["hash"] if blocks else b["prev"])):
                return None, n + len(blocks)
            blocks.append(b)
        return blocks, n + len(blocks)

    def payloads(self):
        good = [b for b in self.slots if b]
        if not good:
            return
        newest = max(good, key=lambda b: b["number"])
        at = newest["start"]
        while at <= newest["number"]:
            blocks, following = self.write_at(at)
            if not blocks:
                need(not any(b["number"] - b["idx"] > following for b in good),
                     "journal: damaged before its end")
                return
            yield b"".join(b["payload"] for b in blocks)
            at = following

    def entries(self):
        for payload in self.payloads():
            while payload:
                length, kind, file = struct.unpack_from("<IBB", payload)
                partition, _generation = struct.unpack_from("<II", payload, 24)
                yield {"kind": kind, "file": "data" if file else "meta", "id": payload[8:24],
                       "partition": partition, "bytes": payload[80:length],
                       "numbers": struct.unpack_from("<qQQqQq", payload, 32)}
                payload = payload[length:]


# ---- Segments ----

def read_head(data):
    magic, version, length, check = struct.unpack_from("<4sHHQ", data)
    need((magic, version, length) == (b"TFSH", 1, 256), "segment head")
    need(check == xxh3_64(data[16:256]), "segment head: hash")
    names = ("partition", "generation", "base_offset", "base_pos", "prev_max_timestamp", "seed",
             "created")
    head = dict(zip(names, struct.unpack_from("<IIqQqQq", data, 32)))
    head["topic_id"] = data[16:32]
    head["data_name"] = data[80:144].rstrip(b"\0").decode()
    return head


BATCH = struct.Struct("<4sHHQIIIIQQqQQIIqqqihHiI")


def read_batch(meta, at, seed):
    """The description at `at`, or None."""
    if len(meta) - at < 120:
        return None
    (magic, version, length, check, total, table, keys, cnt, own, values_hash, base, plain_pos,
     data_pos, plain_len, data_len, base_ts, max_ts, producer, sequence, epoch, attr, leader,
     zero) = BATCH.unpack_from(meta, at)
    if (magic, version, length, own) != (b"TFSB", 1, 120, at) or total != 120 + table + keys or \
            at + total > len(meta) or plain_len != data_len or zero or not cnt:
        return None
    if check != xxh3_64(meta[at + 16:at + total], seed):
        return None
    return {"attr": attr, "total": total, "cnt": cnt, "meta_pos": at, "values_hash": values_hash,
            "base": base, "plain_pos": plain_pos, "data_pos": data_pos, "data_len": data_len,
            "base_ts": base_ts, "max_ts": max_ts, "producer": producer, "sequence": sequence,
            "epoch": epoch, "leader": leader, "table": meta[at + 120:at + 120 + table],
            "keys": meta[at + 120 + table:at + total]}


def headers_json(data):
    c, pairs = Cursor(data), []
    while c.left():
        n, v = c.get("II")
        pairs.append((c.take(n).decode(), None if v == NULL else c.take(v).decode()))
    need(len({name for name, _ in pairs}) == len(pairs), "headers of one name are for dump alone")
    return dict(pairs)


def put_bytes(record, name, data):
    if data is None:
        record[name] = None
        return
    try:
        record[name] = data.decode()
    except UnicodeDecodeError:
        record[name + "_base64"] = base64.b64encode(data).decode()


def records_of(b, values):
    """(value, key, headers, timestamp) of each record."""
    if b["attr"] & PLAIN:
        lines = values.split(b"\n")
        need(lines.pop() == b"" and len(lines) == b["cnt"], "plain lines")
        return [(line, None, b"", b["base_ts"]) for line in lines]
    table, keys, data = Cursor(b["table"]), Cursor(b["keys"]), Cursor(values)
    out = []
    for _ in range(b["cnt"]):
        value_len, key_len, headers_len, zero, delta = table.get("IIIIq")
        need(not zero, "record table")
        key = None if key_len == NULL else keys.take(key_len)
        headers = keys.take(headers_len)
        value = None
        if not b["attr"] & CONTROL:
            value = data.take(0 if value_len == NULL else value_len)
            need(data.take(1) == b"\n", "a value without its line feed")
            value = None if value_len == NULL else value
        stamp = (b["base_ts"] + delta + 2 ** 63) % 2 ** 64 - 2 ** 63
        out.append((value, key, headers, stamp))
    need(not keys.left() and not data.left() and max(r[3] for r in out) == b["max_ts"] and
         min(r[3] for r in out) == b["base_ts"], "batch")
    return out


def check_indexes(files, base, batches, head):
    """Entries of what index files there are, against the batches."""
    at = {b["meta_pos"]: b for b in batches}
    shapes = (("index", b"TFSI", "<IIIII"), ("timeindex", b"TFST", "<qII"))
    stored = {}
    for suffix, magic, shape in shapes:
        data = files.get(f"{base:020}.{suffix}", b"")
        if len(data) < 16:
            return
        need(data[:8] == magic + struct.pack("<HH", 1, 16), suffix)
        need(struct.unpack_from("<Q", data, 8)[0] == xxh3_64(data[:8], head["seed"]), suffix)
        size = struct.calcsize(shape)
        stored[suffix] = []
        for i in range((len(data) - 16) // size):
            entry = data[16 + i * size:16 + (i + 1) * size]
            fields = struct.unpack(shape, entry)
            need(fields[-1] == xxh3_64(entry[:-4], head["seed"] + i) & NULL, suffix, i, "check")
            stored[suffix].append(fields)
    for (offset, meta_pos, data_pos, plain, _), (stamp, again, _) in zip(stored["index"],
                                                                      stored["timeindex"]):
        b = at.get(meta_pos)
        need(b and offset == again == b["base"] - base and data_pos == b["data_pos"] and
             plain == b["plain_pos"] - head["base_pos"], "index entry")
        before = [x["max_ts"] for x in batches if x["meta_pos"] < meta_pos]
        need(stamp == max(before, default=-2 ** 63), "timeindex entry")


# ---- A partition ----

class Partition:
    def __init__(self, name, files):
        self.name, self.files = name, files
        self.topic, number = name.rsplit("-", 1)
        self.number = int(number)
        metas = sorted(n for n in files if n.endswith(".meta"))
        text = files.get("partition.metadata", b"").decode()
        lines = text.splitlines()
        self.id = get_id(lines[1].removeprefix("topic_id: ")) if len(lines) == 2 else None
        self.settle_cleaning()
        if metas:
            head = read_head(files[metas[0]])
            need(self.id in (None, head["topic_id"]), name, "topic id")
            self.id = head["topic_id"]
            need(head["partition"] == self.number, name, "partition")

    def settle_cleaning(self):
        """Values of a cleaned segment get their name where its .meta has its own; else they go."""
        for name in sorted(self.files):
            left = re.fullmatch(r"(\d{20})\.data\.([1-9]\d*)", name)
            if left and f"{left[1]}.meta" in self.files:
                data = self.files.pop(name)
                if read_head(self.files[f"{left[1]}.meta"])["generation"] == int(left[2]):
                    self.files[f"{left[1]}.data"] = data
            elif re.fullmatch(r"\d{20}\.meta\.new", name):
                del self.files[name]

    def put_back(self, base, file, pos, data):
        name = f"{base:020}.{file}"
        if name not in self.files:
            return
        have = self.files[name].ljust(pos, b"\0")
        self.files[name] = have[:pos] + data + have[pos + len(data):]

    def segments(self, start):
        bases = sorted(int(n[:20]) for n in self.files if n.endswith(".meta"))
        below = [b for b in bases if b <= start]
        return [b for b in bases if not below or b >= below[-1]]

    def describe_owed(self, base, meta_pos, data_pos, offset, plain_pos, debts):
        """The batch that a slot vouches for, as a description would say it, or None."""
        data = self.files[f"{base:020}.data"]
        for d in sorted(debts, key=lambda d: -d["sequence"]):
            owed = data[data_pos:data_pos + d["len"]]
            if (d["id"], d["partition"], d["segment"], d["offset"], d["pos"]) == (
                    self.id, self.number, base, offset, data_pos) and len(owed) == d["len"] and \
                    d["cnt"] and owed.endswith(b"\n") and xxh3_64(owed) == d["hash"]:
                return {"attr": d["attr"], "total": 120, "cnt": d["cnt"], "meta_pos": meta_pos,
                        "values_hash": d["hash"], "base": offset, "plain_pos": plain_pos,
                        "data_pos": data_pos, "data_len": d["len"], "base_ts": d["stamp"],
                        "max_ts": d["stamp"], "producer": -1, "sequence": -1, "epoch": -1,
                        "leader": d["leader"], "table": b"", "keys": b""}
        return None

    def walk(self, start, floor, exact, debts):
        """Yields (base, head, batches); the rules of recovery decide where the log ends."""
        offset = plain = None
        follows = int.__eq__  # behind and in a cleaned segment there may be gaps
        for base in self.segments(start):
            meta, data = self.files[f"{base:020}.meta"], self.files.get(f"{base:020}.data", b"")
            head = read_head(meta)
            need(head["base_offset"] == base and head["topic_id"] == self.id, self.name, base)
            if offset is not None and not (follows(base, offset) and
                                           follows(head["base_pos"], plain)):
                need(not floor or base > floor[0], self.name, base, "does not follow on")
                return
            offset, plain, at, data_at, batches = base, head["base_pos"], 256, 0, []
            follows = int.__ge__ if head["generation"] else int.__eq__
            while True:
                b = read_batch(meta, at, head["seed"])
                whole = b and follows(b["base"], offset) and follows(b["plain_pos"], plain) and \
                    b["data_pos"] == data_at and xxh3_64(
                        data[data_at:data_at + b["data_len"]]) == b["values_hash"]
                if not whole:
                    break
                batches.append(b)
                offset, plain = b["base"] + b["cnt"], b["plain_pos"] + b["data_len"]
                at, data_at = at + b["total"], data_at + b["data_len"]
            below = floor and (base < floor[0] and at != len(meta) or
                               base == floor[0] and at < floor[1])
            need(not below, self.name, base, "damage at", at)
            torn = at != len(meta) or data_at != len(data)
            if torn:
                need(not exact, self.name, base, "does not end at the checkpoint")
                while b := self.describe_owed(base, at, data_at, offset, plain, debts):
                    batches.append(b)
                    offset, plain = b["base"] + b["cnt"], b["plain_pos"] + b["data_len"]
                    at, data_at = at + 120, data_at + b["data_len"]
            yield base, head, batches, at, data_at
            if torn:
                return


# ---- Printing ----

def hexed(data):
    return data.hex()


def batch_json(p, base, b):
    out = {"type": "batch", "topic": p.topic, "partition": p.number, "segment": base,
           "meta_pos": b["meta_pos"], "total_len": b["total"], "base_offset": b["base"],
           "count": b["cnt"], "plain_pos": b["plain_pos"], "data_pos": b["data_pos"],
           "data_len": b["data_len"],
           "attributes": [a for i, a in enumerate(ATTRIBUTES) if b["attr"] >> i & 1],
           "base_timestamp": b["base_ts"], "max_timestamp": b["max_ts"],
           "leader_epoch": b["leader"], "producer_id": b["producer"],
           "producer_epoch": b["epoch"], "base_sequence": b["sequence"],
           "values_hash": f"{b['values_hash']:016x}", "crc_ok": True}
    return out


CHOICES = {"acks": ["0", "1", "all"], "message.timestamp.type": ["CreateTime", "LogAppendTime"],
           "cleanup.policy": ["delete", "compact"], "compression.type": ["uncompressed"],
           "unclean.leader.election.enable": ["false"],
           "assignment.strategy": ["range", "roundrobin", "sticky", "cooperative-sticky"],
           "auto.offset.reset": ["earliest", "latest", "none"],
           "commit": ["next-read", "on-read", "manual"]}


def settings(c):
    out = {}
    for _ in range(c.get("B")):
        name, reset, number = c.str8(), c.get("B"), c.get("q")
        text = c.take(c.get("H"))
        if not reset and name in CHOICES:
            number = CHOICES[name][number]
        out[name] = None if reset else text.decode() if text else number
    return out


KINDS = ["noop", "broker", "create", "delete", "config", "perms", "group-create", "group-delete",
         "group-config", "group-perms", "create-internal"]


def command_json(value, offset, b, stamp):
    c = Cursor(value)
    version, kind = c.get("BB")
    origin, incarnation, number = c.take(16), *c.get("QQ")
    need(version == 1 and (any(origin) or not (incarnation or number)), "command")
    out = {"type": "command", "index": offset + 1, "term": b["leader"], "timestamp": stamp,
           "kind": KINDS[kind - 1], "time": c.get("q")}
    if kind > 2:
        object_id = c.take(16)
    if kind == 2:
        out["node"], out["directory_id"], out["incarnation"] = c.get("I"), hexed(c.take(16)), \
            c.get("Q")
        out["address"], out["rack"] = c.str8(), c.str8()
    elif kind in (3, 7, 11):
        if kind != 7:
            out["partitions"] = c.get("I")
        out["uid"], out["gid"], mode = c.get("IIH")
        out.update(mode=f"{mode:04o}", name=c.str8())
    if kind in (5, 9, 11):
        out["settings"] = settings(c)
    elif kind in (6, 10):
        mask, uid, gid, mode = c.get("BIIH")
        if mask & 2:
            out["uid"] = uid
        if mask & 4:
            out["gid"] = gid
        if mask & 1:
            out["mode"] = f"{mode:04o}"
    if kind > 2:
        out["group_id" if 7 <= kind <= 10 else "topic_id"] = hexed(object_id)
    need(not c.left(), "command: bytes left")
    return out


def snapshot_json(path, data):
    c = Cursor(data)
    need(c.take(4) == b"TFMD", path)
    version, groups = c.get("I"), 0
    need(version in (1, 2), path, "version")
    length = c.get("Q")
    need(length == len(data) - 24, path, "length")
    need(struct.unpack("<Q", data[-8:])[0] == xxh3_64(data[:-8]), path, "hash")
    c = Cursor(data[16:-8])
    cluster, (index, term, _generation) = c.take(16), c.get("QQQ")
    topics = c.get("I")
    for _ in range(topics):
        c.str8()
        c.take(16)
        c.get("IIIHqqq")
        settings(c)
    for _ in range(c.get("I")):
        c.get("I")
        c.take(16)
        c.get("Qq")
        c.str8()
        c.str8()
    for _ in range(c.get("I")):
        c.take(16)
        for _ in range(c.get("QQQI")[3]):
            c.get("Qi")
            c.take(16)
            c.take(c.get("H"))
    if version > 1:
        groups = c.get("I")
    for _ in range(groups):
        c.str8()
        c.take(16)
        c.get("IIHqqq")
        settings(c)
    need(not c.left(), path, "bytes left")
    return {"type": "snapshot", "file": path, "cluster_id": hexed(cluster), "index": index,
            "term": term, "topics": topics, "groups": groups}


def print_partition(p, walk):
    emit = lambda o: print(json.dumps(o, ensure_ascii=False))  # noqa: E731
    for name in sorted(p.files):
        if p.id == METADATA_ID and re.fullmatch(r"\d{20}-\d{10}\.checkpoint", name):
            emit(snapshot_json(f"{p.name}/{name}", p.files[name]))
    for base, head, batches, meta_len, data_len in walk:
        check_indexes(p.files, base, batches, head)
        emit({"type": "segment", "topic": p.topic, "partition": p.number, "segment": base,
              "topic_id": hexed(head["topic_id"]), "generation": head["generation"],
              "base_offset": head["base_offset"], "base_pos": head["base_pos"],
              "prev_max_timestamp": head["prev_max_timestamp"], "seed": f"{head['seed']:016x}",
              "created": head["created"], "data_name": head["data_name"],
              "meta_bytes": meta_len, "data_bytes": data_len})
        data = p.files[head["data_name"]]
        for b in batches:
            emit(batch_json(p, base, b))
            values = data[b["data_pos"]:b["data_pos"] + b["data_len"]]
            for i, (value, key, headers, stamp) in enumerate(records_of(b, values)):
                if p.id == METADATA_ID:
                    emit(command_json(value, b["base"] + i, b, stamp))
                    continue
                record = {"type": "record", "topic": p.topic, "partition": p.number,
                          "offset": b["base"] + i, "timestamp": stamp}
                put_bytes(record, "key", key)
                put_bytes(record, "value", value)
                record["headers"] = headers_json(headers)
                emit(record)


# ---- The directory ----

def read_debts(data):
    out = []
    for at in range(0, len(data), 128):
        copy = data[at:at + 128]
        if not any(copy) or struct.unpack_from("<Q", copy)[0] != xxh3_64(copy[8:]):
            continue
        (sequence, topic_id, partition, generation, segment, offset, pos, length, cnt, stamp, h,
         leader, attr) = struct.unpack_from("<Q16sIIqqQQQqQiH", copy, 8)
        if sequence:
            out.append({"sequence": sequence, "id": topic_id, "partition": partition,
                        "segment": segment, "offset": offset, "pos": pos, "len": length,
                        "cnt": cnt, "stamp": stamp, "hash": h, "generation": generation,
                        "leader": leader, "attr": attr})
    return out


def read_dir(path):
    top, partitions = {}, []
    for name in sorted(os.listdir(path)):
        full = os.path.join(path, name)
        if os.path.isfile(full):
            with open(full, "rb") as f:
                top[name] = f.read()
        elif re.fullmatch(r".+-(0|[1-9]\d*)", name):
            files = {}
            for file in os.listdir(full):
                with open(os.path.join(full, file), "rb") as f:
                    files[file] = f.read()
            partitions.append(Partition(name, files))
    return top, partitions


def put_back(ring, partitions, floors):
    entries, forgotten = list(ring.entries()), {}
    for e in entries:
        if e["kind"] == 3:
            key = e["id"], e["partition"]
            forgotten[key] = max(forgotten.get(key, 0), e["numbers"][0])
    for e in entries:
        key = e["id"], e["partition"]
        if e["kind"] == 1 and e["numbers"][0] < forgotten.get(key, 0):
            continue
        if e["kind"] == 2 and (key not in floors or floors[key][3] < e["numbers"][3]):
            floors[key] = e["numbers"]
        for p in partitions:
            if e["kind"] == 1 and (p.id, p.number) == key:
                p.put_back(e["numbers"][0], e["file"], e["numbers"][1], e["bytes"])


def main(path):
    top, partitions = read_dir(path)
    read_properties(top["meta.properties"])
    checkpoint = read_checkpoint(top["checkpoint"])
    marker = top.get("clean-shutdown")
    if marker is not None:
        need(marker.decode() == f"incarnation={checkpoint['incarnation']}\n"
             f"boot.id={hexed(checkpoint['boot'])}\n", "clean-shutdown")
    floors = {k: e["point"] for k, e in checkpoint["entries"].items() if e["flags"] & 2}
    if len(top["journal"]) >= 1 << 20:
        ring = Ring(top["journal"])
        if marker is None:
            put_back(ring, partitions, floors)
    debts = read_debts(top["debts"]) if marker is None else []
    for p in partitions:
        entry = checkpoint["entries"].get((p.id, p.number), {"flags": 0, "start": 0})
        exact = marker is not None and entry["flags"] & 1
        print_partition(p, p.walk(entry["start"], floors.get((p.id, p.number)), exact, debts))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Bad as e:
        print(f"reader.py: {e}", file=sys.stderr)
        sys.exit(1)
