// arch: sm_75
// Integer dot products of packed bytes and half-words.
extern "C" __global__ void dot_i8(const int4 *__restrict__ a, const int4 *__restrict__ b, int *out, int n)
{
    int s = 0;
    for (int i = threadIdx.x; i < n; i += 32) {
        int4 p = a[i], q = b[i];
        s = __dp4a(p.x, q.x, s);
        s = __dp4a(p.y, q.y, s);
        s = __dp4a(p.z, q.z, s);
        s = __dp4a(p.w, q.w, s);
    }
    for (int d = 16; d > 0; d >>= 1)
        s += __shfl_down_sync(0xffffffffu, s, d);
    if (threadIdx.x == 0)
        out[blockIdx.x] = s;
}

extern "C" __global__ void dot_mixed(const unsigned *a, const unsigned *b, unsigned *out)
{
    unsigned i = threadIdx.x;
    unsigned u = __dp4a(a[i], b[i], 3u);
    unsigned lo = __dp2a_lo(a[i], b[i], u);
    int hi = __dp2a_hi((int)a[i], (int)b[i], (int)lo);
    int m = __mulhi((int)u, hi) + __mul24((int)lo, 77);
    out[i] = __usad(u, lo, (unsigned)m) + __umulhi(u, lo);
}
