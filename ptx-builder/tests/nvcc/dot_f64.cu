// arch: sm_75
// An f64 dot product with explicit roundings, division and square root.
extern "C" __global__ void dot_f64(const double *__restrict__ x, const double *__restrict__ y, double *out, int n)
{
    double s = 0.0;
    for (int i = threadIdx.x; i < n; i += 32)
        s = fma(x[i], y[i], s);
    for (int d = 16; d > 0; d >>= 1)
        s = __dadd_rn(s, __shfl_xor_sync(0xffffffffu, s, d));
    if (threadIdx.x == 0)
        out[blockIdx.x] = s;
}

extern "C" __global__ void norm_f64(const double *x, const float *w, double *out)
{
    int i = threadIdx.x;
    double v = __dmul_rn(x[i], (double)w[i]);
    double r = __dsqrt_rn(__ddiv_rn(v, 3.0)) + __drcp_rn(x[i] - 1e-300);
    r = fmax(fmin(r, 1e300), -fabs(v));
    out[i] = r > 0.0 ? r : __dsub_rn(v, r);
    out[i + 32] = __fma_rz(v, r, 1.0) + __dadd_ru(v, r) + __dmul_rd(v, r);
}
