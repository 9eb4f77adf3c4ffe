// arch: sm_80
// Packed f16 and bf16 arithmetic.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void half2_axpy(const __half2 *__restrict__ x, __half2 *y, float a, int n)
{
    __half2 k = __float2half2_rn(a);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        __half2 v = __hfma2(k, x[i], y[i]);
        v = __hmax2(__hadd2(v, x[i]), __hmul2(v, k));
        v = __hsub2(__hmin2(v, __habs2(x[i])), __hneg2(k));
        if (__hbgt2(v, k))
            v = k;
        y[i] = v;
    }
}

extern "C" __global__ void bf16_dot(const __nv_bfloat162 *__restrict__ x, const __nv_bfloat162 *__restrict__ y,
                                    float *out, __nv_bfloat16 *low, int n)
{
    float s = 0.0f;
    __nv_bfloat162 packed = __float2bfloat162_rn(0.0f);
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float2 p = __bfloat1622float2(x[i]), q = __bfloat1622float2(y[i]);
        s = fmaf(p.x, q.x, fmaf(p.y, q.y, s));
        packed = __hfma2(x[i], y[i], packed);
        packed = __hmax2(packed, __hneg2(x[i]));
    }
    out[threadIdx.x] = s;
    low[threadIdx.x] = __low2bfloat16(packed);
    low[threadIdx.x + blockDim.x] = __float2bfloat16(s);
}

extern "C" __global__ void half_scalar(const __half *x, __half *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    __half a = x[i];
    __half b = y[i];
    __half c = __hlt(a, b) ? __hadd(a, b) : __hfma(a, b, a);
    y[i] = __float2half_rn(__half2float(c) * 0.5f);
}
