"""XXH3-64 (https://xxhash.com, doc/xxhash_spec.md) in plain Python, for small data."""
import struct

M = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MX1, MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def u32(b, at):
    return struct.unpack_from("<I", b, at)[0]


def u64(b, at):
    return struct.unpack_from("<Q", b, at)[0]


def rotl(x, n):
    return (x << n | x >> (64 - n)) & M


def swap32(x):
    return int.from_bytes(x.to_bytes(4, "little"), "big")


def swap64(x):
    return int.from_bytes(x.to_bytes(8, "little"), "big")


def fold(a, b):
    p = a * b
    return (p ^ p >> 64) & M


def avalanche(h):
    h ^= h >> 37
    h = h * MX1 & M
    return h ^ h >> 32


def avalanche64(h):
    h ^= h >> 33
    h = h * P64_2 & M
    h ^= h >> 29
    h = h * P64_3 & M
    return h ^ h >> 32


def mix16(b, at, secret_at, seed):
    return fold(u64(b, at) ^ (u64(SECRET, secret_at) + seed) & M,
                u64(b, at + 8) ^ (u64(SECRET, secret_at + 8) - seed) & M)


def small(b, seed):
    n = len(b)
    if n == 0:
        return avalanche64(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))
    if n <= 3:
        c = b[n - 1] | n << 8 | b[0] << 16 | b[n >> 1] << 24
        return avalanche64(c ^ (u32(SECRET, 0) ^ u32(SECRET, 4)) + seed & M)
    if n <= 8:
        seed ^= swap32(seed & 0xFFFFFFFF) << 32
        both = u32(b, n - 4) + (u32(b, 0) << 32)
        h = both ^ ((u64(SECRET, 8) ^ u64(SECRET, 16)) - seed) & M
        h ^= rotl(h, 49) ^ rotl(h, 24)
        h = h * MX2 & M
        h ^= (h >> 35) + n
        h = h * MX2 & M
        return h ^ h >> 28
    lo = u64(b, 0) ^ ((u64(SECRET, 24) ^ u64(SECRET, 32)) + seed) & M
    hi = u64(b, n - 8) ^ ((u64(SECRET, 40) ^ u64(SECRET, 48)) - seed) & M
    return avalanche((n + swap64(lo) + hi + fold(lo, hi)) & M)


def medium(b, seed):
    n = len(b)
    acc = n * P64_1 & M
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            acc += mix16(b, 16 * i, 32 * i, seed) + mix16(b, n - 16 * (i + 1), 32 * i + 16, seed)
        return avalanche(acc & M)
    for i in range(8):
        acc += mix16(b, 16 * i, 16 * i, seed)
    acc = avalanche(acc & M)
    for i in range(8, n // 16):
        acc += mix16(b, 16 * i, 16 * (i - 8) + 3, seed)
    acc += mix16(b, n - 16, 136 - 17, seed)
    return avalanche(acc & M)


def seeded_secret(seed):
    out = bytearray()
    for i in range(0, len(SECRET), 16):
        out += struct.pack("<QQ", (u64(SECRET, i) + seed) & M, (u64(SECRET, i + 8) - seed) & M)
    return bytes(out)


def stripe(acc, data, key):
    for i in range(8):
        value = data[i]
        mixed = value ^ key[i]
        acc[i ^ 1] = (acc[i ^ 1] + value) & M
        acc[i] = (acc[i] + (mixed & 0xFFFFFFFF) * (mixed >> 32)) & M


def large(b, seed):
    secret = seeded_secret(seed) if seed else SECRET
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    keys = [struct.unpack_from("<8Q", secret, 8 * i) for i in range(17)]
    per_block = (len(secret) - 64) // 8
    stripes = (len(b) - 1) // 64
    scramble = struct.unpack_from("<8Q", secret, len(secret) - 64)
    for i in range(stripes):
        stripe(acc, struct.unpack_from("<8Q", b, 64 * i), keys[i % per_block])
        if i % per_block == per_block - 1:
            for j in range(8):
                acc[j] = ((acc[j] ^ acc[j] >> 47 ^ scramble[j]) * P32_1) & M
    stripe(acc, struct.unpack_from("<8Q", b, len(b) - 64),
           struct.unpack_from("<8Q", secret, len(secret) - 64 - 7))
    h = len(b) * P64_1 & M
    for i in range(4):
        h += fold(acc[2 * i] ^ u64(secret, 11 + 16 * i), acc[2 * i + 1] ^ u64(secret, 19 + 16 * i))
    return avalanche(h & M)


def xxh3_64(data, seed=0):
    data = bytes(data)
    seed &= M
    if len(data) <= 16:
        return small(data, seed)
    return medium(data, seed) if len(data) <= 240 else large(data, seed)
