// f16, bf16 and fp8.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

extern "C" __global__ void half_axpy(const __half2 *x, __half2 *y, __half a, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __hfma2(__half2half2(a), x[i], y[i]);
}

extern "C" __global__ void half_compare(const __half *x, const __half *y, __half *out, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    out[i] = __hmin(x[i], y[i]);
    out[n + i] = __hmax_nan(x[i], y[i]);
    out[2 * n + i] = __hlt(x[i], y[i]) ? __habs(x[i]) : __hneg(y[i]);
    out[3 * n + i] = __hisnan(x[i]) ? __float2half(1) : __hadd_sat(x[i], y[i]);
}

extern "C" __global__ void half_exact(const __half *x, __half *out, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    out[i] = hfloor(x[i]);
    out[n + i] = hrint(x[i]);
    out[2 * n + i] = __int2half_rn(__half2int_rz(x[i]) * 3);
    out[3 * n + i] = __hmul(x[i], x[i]);
}

extern "C" __global__ void bfloat(const __nv_bfloat162 *x, __nv_bfloat162 *y, float *z, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __nv_bfloat162 one = __float2bfloat162_rn(1.0f), zero = __float2bfloat162_rn(0.0f);
    y[i] = __hmax2(__hfma2(x[i], x[i], __hneg2(one)), zero);
    float2 both = __bfloat1622float2(x[i]);
    z[i] = both.x - both.y;
}

// To eight bits and back.
extern "C" __global__ void fp8(const float *x, unsigned char *e4m3, unsigned char *e5m2, __half *back, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    __nv_fp8_e4m3 a(x[i]);
    __nv_fp8_e5m2 b(x[i]);
    e4m3[i] = a.__x;
    e5m2[i] = b.__x;
    back[i] = __half(a);
    back[n + i] = __half(b);
}

extern "C" __global__ void half_dot(const __half2 *a, const __half2 *b, float *y)
{
    float2 products = __half22float2(__hmul2(a[threadIdx.x], b[threadIdx.x]));
    float sum = products.x + products.y;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    __half2 swapped = __shfl_xor_sync(~0u, __lowhigh2highlow(a[threadIdx.x]), 1);
    if (threadIdx.x == 0) {
        y[0] = sum;
        y[1] = __low2float(swapped);
    }
}
