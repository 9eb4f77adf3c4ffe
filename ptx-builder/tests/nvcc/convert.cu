// arch: sm_80
// Conversions among the integers, f16, bf16, f32 and f64, with each rounding.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void convert_f32(const float *x, int *i32, unsigned *u32, long long *i64, unsigned char *u8, __half *h)
{
    int i = threadIdx.x;
    float v = x[i];
    i32[i] = __float2int_rn(v) + __float2int_rz(v) + __float2int_ru(v) + __float2int_rd(v);
    u32[i] = __float2uint_rz(v) + (unsigned)floorf(v) + (unsigned)ceilf(v) + (unsigned)rintf(v) + (unsigned)truncf(v);
    i64[i] = __float2ll_rn(v) + (long long)__float2ull_rz(v);
    u8[i] = (unsigned char)__saturatef(v);
    h[i] = __float2half_rz(v);
}

extern "C" __global__ void convert_int(const signed char *i8, const short *i16, const unsigned short *u16, const int *i32,
                                       const unsigned long long *u64, float *f, double *d, __half *h, __nv_bfloat16 *b)
{
    int i = threadIdx.x;
    f[i] = (float)i8[i] + (float)i16[i] + __int2float_rz(i32[i]) + __uint2float_rn(u16[i]) + (float)u64[i];
    d[i] = (double)i32[i] + (double)u64[i] + (double)f[i] + (double)i16[i];
    h[i] = __int2half_rn(i32[i]);
    h[i + 32] = __ushort2half_rn(u16[i]);
    b[i] = __float2bfloat16_rn((float)i16[i]);
    b[i + 32] = __double2bfloat16(d[i]);
}

extern "C" __global__ void convert_narrow(const double *d, const __half *h, const __nv_bfloat16 *b, float *f, int *i32,
                                          short *i16, __half2 *h2, __nv_bfloat162 *b2, long long *i64)
{
    int i = threadIdx.x;
    f[i] = (float)d[i] + __double2float_rz(d[i]) + __half2float(h[i]) + __bfloat162float(b[i]);
    i32[i] = (int)d[i] + __double2int_rn(d[i]) + __half2int_rz(h[i]) + __float_as_int(f[i]);
    i16[i] = (short)i32[i];
    h2[i] = __floats2half2_rn(f[i], f[i + 1]);
    b2[i] = __floats2bfloat162_rn(f[i], f[i + 1]);
    i64[i] = __double_as_longlong(d[i]) + (long long)d[i] + __double2hiint(d[i]) + __double2loint(d[i]);
    i64[i + 32] = (long long)i32[i] + __half_as_short(__double2half(d[i]));
}
