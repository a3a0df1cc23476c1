#!/usr/bin/env python3
"""Prints the frozen vectors of ../geo/placement.rs: key and slot, by hashlib alone."""
import hashlib

KEYS = ["9", "9x", "9xj", "9xjq8zs6", "dpc5u6", "030222", "02310101", "gcpvj", "00000",
        "zzzzzzzzzzzz", "0", "3", "33333333333333333333333", "run:ndvi", "global:ndvi"]

for key in KEYS:
    digest = hashlib.sha1(key.encode("ascii")).digest()
    print(f'("{key}", {int.from_bytes(digest, "big") >> (160 - 14)}),')

# All geohash-3 in text order: the SHA-1 of their slots, two big-endian bytes each.
ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
every = hashlib.sha1()
for a in ALPHABET:
    for b in ALPHABET:
        for c in ALPHABET:
            key = (a + b + c).encode("ascii")
            slot = int.from_bytes(hashlib.sha1(key).digest(), "big") >> 146
            every.update(slot.to_bytes(2, "big"))
print("all 32,768 geohash-3:", every.hexdigest())
