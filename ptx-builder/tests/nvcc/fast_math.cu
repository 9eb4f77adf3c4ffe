// arch: sm_75
// Approximate functions beside the exactly rounded ones.
extern "C" __global__ void fast_math(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    float v = x[i];
    float r = __expf(v) + __logf(v) + __sinf(v) + __cosf(v);
    r += rsqrtf(v) + __fdividef(r, v) + __frcp_rn(v) + __fsqrt_rn(v) + __fdiv_rn(v, 3.0f);
    r += exp2f(v) + __log2f(v) + __powf(v, 1.5f) + __tanf(v);
    r = fmaxf(fminf(r, 88.0f), -88.0f);
    r += __fadd_rz(r, v) + __fmul_ru(r, v) + __fmaf_rd(r, v, 1.0f) + __frsqrt_rn(v);
    y[i] = fabsf(r) > 1e-5f ? r : copysignf(v, -1.0f);
}

extern "C" __global__ void softmax_row(const float *__restrict__ x, float *__restrict__ y, int columns)
{
    const float *row = x + (size_t)blockIdx.x * columns;
    float top = __int_as_float(0xff800000);
    for (int c = threadIdx.x; c < columns; c += 32)
        top = fmaxf(top, row[c]);
    for (int d = 16; d > 0; d >>= 1)
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, d));
    float sum = 0.0f;
    for (int c = threadIdx.x; c < columns; c += 32)
        sum += expf(row[c] - top);
    for (int d = 16; d > 0; d >>= 1)
        sum += __shfl_xor_sync(0xffffffffu, sum, d);
    for (int c = threadIdx.x; c < columns; c += 32)
        y[(size_t)blockIdx.x * columns + c] = expf(row[c] - top) / sum;
}
