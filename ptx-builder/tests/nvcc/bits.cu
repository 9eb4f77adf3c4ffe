// arch: sm_75
// Bit tricks in 32 and 64 bits.
extern "C" __global__ void bits32(const unsigned *x, unsigned *y, unsigned s)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned a = x[i], b = x[i + 1], c = x[i + 2];
    unsigned r = __popc(a) + __clz(b) + __ffs(c);
    r ^= __brev(a);
    r += (a & b) | (~a & c);
    r ^= __funnelshift_l(a, b, s) + __funnelshift_rc(b, c, s);
    r += __byte_perm(a, b, 0x3715) + __byte_perm(a, c, s);
    r ^= (a >> 5) & 0x3f;
    r += (a ^ b ^ c);
    r += (unsigned)((int)a >> (s & 31));
    r ^= ~(b << 7);
    r += a / 10 + b % 7 + c / s;
    unsigned field, inserted, parity;
    asm("bfe.u32 %0, %1, 4, 9;" : "=r"(field) : "r"(a));
    asm("bfi.b32 %0, %1, %2, %3, 5;" : "=r"(inserted) : "r"(a), "r"(b), "r"(s));
    asm("lop3.b32 %0, %1, %2, %3, 0x96;" : "=r"(parity) : "r"(a), "r"(b), "r"(c));
    y[i] = r + field - inserted + parity;
}

extern "C" __global__ void bits64(const unsigned long long *x, long long *y, int s)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned long long a = x[i], b = x[i + 1];
    long long r = __popcll(a) - __clzll(b) + __ffsll(a);
    r ^= (long long)__brevll(b);
    r += (long long)(a >> s) - ((long long)b >> 3);
    r = r * (long long)b + (long long)(a & ~b);
    r += __umul64hi(a, b) ^ __mul64hi((long long)a, r);
    r = a > b ? r : -r;
    r += min((long long)a, (long long)b) + (long long)max(a, b);
    r += llabs(r) + (long long)((unsigned long long)(unsigned)a * (unsigned)b) + (long long)(int)a * (int)b;
    y[i] = r;
}
