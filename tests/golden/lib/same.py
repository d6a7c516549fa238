#!/usr/bin/env python3
"""Compares two files of JSON lines: same.py DUMP READER. Members may stand in any order."""
import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


dump, reader = lines(sys.argv[1]), lines(sys.argv[2])
for i, (a, b) in enumerate(zip(dump, reader)):
    if a != b:
        sys.exit(f"line {i + 1} differs:\n  dump   {a}\n  reader {b}")
if len(dump) != len(reader) or not dump:
    sys.exit(f"{len(dump)} lines of dump, {len(reader)} of reader")
print(f"{len(dump)} lines agree")
