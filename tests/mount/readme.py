#!/usr/bin/env python3
# README teaches a newcomer on one page: it names every file, and its commands work as they stand.
from t import *

with Broker():
    with open(MNT + "/README") as f:
        text = f.read()
    assert len(text.splitlines()) <= 66, "one page"
    assert max(map(len, text.splitlines())) <= 110, "columns"
    for word in ("mkdir", ">>", "cat ", "tail -f", "rmdir", "all", "by-key/KEY", "config",
                 "status", "errors", "metrics", "earliest", "latest", "-N", "json", "msg",
                 "1044480", "fsync", "ESTALE", "cluster/", "groups/", "lag"):
        assert word in text, word
    # A command stands behind two blanks, what it does behind two more.
    commands = re.findall(r"^  ((?:mkdir|echo|cat|tail|rmdir|ls|grep) .*?)(?:  +\S.*)?$", text,
                          re.M)
    assert len(commands) >= 6, commands
    commands.sort(key=lambda c: c.startswith("rmdir"))
    for command in commands:
        if "tail -f" in command or "@latest" in command:
            continue
        run(command + " ", cwd=MNT)
    assert_eq(["__consumer_offsets"], os.listdir(topic("")), "the tour ends with rmdir")
