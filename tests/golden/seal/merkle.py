#!/usr/bin/env python3
"""Writes merkle.txt: the record of a segment, and trees as in RFC 9162 section 2.1 with BLAKE2b-256, by its recursive definitions word for word.

Shares nothing with the code that it judges. Leaf i is the text "leaf i".

    python3 tests/golden/seal/merkle.py > tests/golden/seal/merkle.txt
"""

from hashlib import blake2b
from struct import pack


def digest(data):
    return blake2b(data, digest_size=32).digest()


def split(count):
    """The largest power of two smaller than count."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def root(leaves):
    """MTH, section 2.1.1."""
    if not leaves:
        return digest(b"")
    if len(leaves) == 1:
        return digest(b"\x00" + leaves[0])
    k = split(len(leaves))
    return digest(b"\x01" + root(leaves[:k]) + root(leaves[k:]))


def path(m, leaves):
    """PATH, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def subproof(m, leaves, complete):
    """SUBPROOF, section 2.1.4.1."""
    if m == len(leaves):
        return [] if complete else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], complete) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def line(*words):
    print(*(word.hex() if isinstance(word, bytes) else word for word in words))


LEAVES = [b"leaf %d" % i for i in range(1000)]

def name(text):
    return pack(">B", len(text)) + text


def record(previous):
    """The record of a segment, field by field."""
    head = b"perch segment record\0" + pack(">B", 1) + name(b"front-door") + name(b"audio-very_low")
    numbers = pack(">QQqI", 3, 4711, 1795336200123, 2000)
    return head + numbers + name(blake2b(b"segment").digest()) + (b"\1" + previous if previous else b"\0")


print("# Written by merkle.py. Hashes in hex.")
print("# record PREVIOUS|none BYTES LEAF_HASH")
line("record", "none", record(None), digest(b"\x00" + record(None)))
line("record", bytes(range(32)), record(bytes(range(32))), digest(b"\x00" + record(bytes(range(32)))))
print("# root SIZE HASH | inclusion SIZE INDEX HASH... | consistency OLD_SIZE SIZE HASH...")
for size in (0, 1, 2, 3, 4, 5, 6, 7, 8, 255, 256, 257, 511, 512, 513, 1000):
    line("root", size, root(LEAVES[:size]))
for size, index in ((1, 0), (2, 1), (3, 2), (7, 0), (7, 3), (7, 6), (8, 5), (257, 256), (1000, 0), (1000, 767), (1000, 999)):
    line("inclusion", size, index, *path(index, LEAVES[:size]))
for old, size in ((1, 1), (1, 2), (3, 7), (4, 7), (6, 7), (6, 8), (7, 8), (256, 257), (255, 1000), (768, 1000), (999, 1000)):
    line("consistency", old, size, *subproof(old, LEAVES[:size], True))
