// arch: sm_80
// Vector loads and stores and the cache operators.
extern "C" __global__ void vectors(const float4 *x, const double2 *d, const ushort4 *h, const uchar4 *b, const uint2 *u, float4 *y,
                                   double2 *e, ushort4 *g, uchar4 *c, uint2 *v)
{
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float4 p = __ldg(&x[i]);
    float4 q = __ldcs(&x[i + 1]);
    float4 r = __ldcg(&x[i + 2]);
    y[i] = make_float4(p.x + q.x, p.y - q.y, p.z * r.z, p.w);
    __stcs(&y[i + 7], r);
    double2 m = __ldg(&d[i]);
    e[i] = make_double2(m.y, m.x);
    ushort4 s = h[i];
    g[i] = make_ushort4(s.w, s.z, s.y, s.x + 1);
    uchar4 k = __ldca(&b[i]);
    c[i] = make_uchar4(k.y, k.x, k.w, k.z);
    uint2 w = __ldlu(&u[i]);
    __stcg(&v[i], make_uint2(w.y, w.x));
    __stwt(&v[i + 1], __ldcv(&u[i + 1]));
}

extern "C" __global__ void bytes(const signed char *__restrict__ x, short *y, long long *z, bool *flag)
{
    unsigned i = threadIdx.x;
    signed char v = __ldg(&x[i]);
    short w = (short)(v * 3);
    y[i] = w;
    z[i] = v;
    flag[i] = w > 4;
}
