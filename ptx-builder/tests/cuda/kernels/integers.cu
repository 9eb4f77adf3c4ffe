// Whole numbers of every width.
#include <cstdint>

extern "C" __global__ void divisions(const int64_t *x, const int64_t *d, int64_t *y, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    y[i] = x[i] / d[i];
    y[n + i] = x[i] % d[i];
    y[2 * n + i] = (int32_t)x[i] / 7 + (uint32_t)x[i] % 1000u;
    y[3 * n + i] = (uint64_t)x[i] / (uint64_t)d[i];
}

extern "C" __global__ void wide_products(const uint64_t *x, uint64_t *y)
{
    uint64_t a = x[2 * threadIdx.x], b = x[2 * threadIdx.x + 1];
    unsigned __int128 product = (unsigned __int128)a * b + a;
    y[2 * threadIdx.x] = (uint64_t)product;
    y[2 * threadIdx.x + 1] = (uint64_t)(product >> 64);
}

extern "C" __global__ void bit_tricks(const uint32_t *x, uint32_t *y)
{
    uint32_t v = x[threadIdx.x], s = v % 37;
    uint32_t bits = __brev(v) ^ __popc(v) ^ (__clz(v) << 8) ^ (__ffs(v) << 16);
    uint32_t shifted = __funnelshift_l(v, bits, s) + __funnelshift_rc(v, bits, s);
    uint32_t bytes = __byte_perm(v, bits, 0x5140) ^ __uhadd(v, bits) ^ __usad(v, bits, s);
    y[threadIdx.x] = bits + 3 * shifted + 5 * bytes + 7 * __umulhi(v, bits);
}

extern "C" __global__ void dot_bytes(const uint32_t *a, const uint32_t *b, int *y)
{
    int i = threadIdx.x;
    y[i] = __dp4a((int)a[i], (int)b[i], i) + __dp2a_lo((int)a[i], (int)b[i], 0) - (int)__dp2a_hi(a[i], b[i], 1u);
}

// 256 bits and a carry, in one chain.
extern "C" __global__ void carries(const uint32_t *a, const uint32_t *b, uint32_t *y)
{
    const uint32_t *p = a + 4 * threadIdx.x, *q = b + 4 * threadIdx.x;
    uint32_t r[4], c, d;
    asm volatile("add.cc.u32 %0, %5, %9;\n\taddc.cc.u32 %1, %6, %10;\n\taddc.cc.u32 %2, %7, %11;\n\t"
                 "addc.cc.u32 %3, %8, %12;\n\taddc.u32 %4, 0, 0;"
                 : "=&r"(r[0]), "=&r"(r[1]), "=&r"(r[2]), "=&r"(r[3]), "=&r"(c)
                 : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(q[0]), "r"(q[1]), "r"(q[2]), "r"(q[3]));
    asm volatile("mad.lo.cc.u32 %0, %1, %2, %3;\n\tmadc.hi.u32 %0, %1, %2, %0;" : "=&r"(d) : "r"(p[0]), "r"(q[0]), "r"(c));
    uint32_t *out = y + 6 * threadIdx.x;
    for (int i = 0; i < 4; i++) out[i] = r[i];
    out[4] = c;
    out[5] = d;
}

// Each lane as long as it takes.
extern "C" __global__ void collatz(const uint32_t *x, uint32_t *steps, uint32_t *divisor)
{
    uint64_t v = x[threadIdx.x];
    uint32_t count = 0, a = x[threadIdx.x], b = 5040;
    while (v != 1) {
        v = v % 2 ? 3 * v + 1 : v / 2;
        count++;
    }
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    steps[threadIdx.x] = count;
    divisor[threadIdx.x] = a;
}

extern "C" __global__ void crc32(const unsigned char *x, uint32_t *y, int length)
{
    uint32_t crc = ~0u;
    for (int i = 0; i < length; i++) {
        crc ^= x[threadIdx.x * length + i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    y[threadIdx.x] = ~crc;
}

extern "C" __global__ void philox(uint4 *y, uint32_t seed)
{
    uint4 c = make_uint4(threadIdx.x, 0, 0, 0);
    uint2 key = make_uint2(seed, ~seed);
#pragma unroll 1
    for (int round = 0; round < 10; round++) {
        uint32_t h0 = __umulhi(0xd2511f53, c.x), l0 = 0xd2511f53 * c.x, h1 = __umulhi(0xcd9e8d57, c.z), l1 = 0xcd9e8d57 * c.z;
        c = make_uint4(h1 ^ c.y ^ key.x, l1, h0 ^ c.w ^ key.y, l0);
        key.x += 0x9e3779b9;
        key.y += 0xbb67ae85;
    }
    y[threadIdx.x] = c;
}
