// Products of matrices by the instructions themselves.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cstdint>

__device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// 16x16 by 16x8, loaded by ldmatrix.
extern "C" __global__ void __launch_bounds__(32) mma_f16(const uint4 *a, const uint4 *b, float2 *c)
{
    __shared__ uint4 ta[32], tb[16];
    int lane = threadIdx.x;
    ta[lane] = a[lane];
    if (lane < 16) tb[lane] = b[lane];
    __syncwarp();
    uint32_t fa[4], fb[2];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                 : "r"(shared_address(&ta[lane % 16 * 2 + lane / 16])));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(fb[0]), "=r"(fb[1])
                 : "r"(shared_address(&tb[lane % 16])));
    float fc[4] = {1, 2, 3, 4};
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(fc[0]), "+f"(fc[1]), "+f"(fc[2]), "+f"(fc[3])
                 : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    c[lane] = make_float2(fc[0], fc[1]);
    c[lane + 32] = make_float2(fc[2], fc[3]);
}

extern "C" __global__ void mma_bf16(const uint32_t *a, const uint32_t *b, float2 *c)
{
    int row = threadIdx.x / 4, column = threadIdx.x % 4;
    uint32_t fa[2] = {a[4 * row + column], a[4 * (row + 8) + column]}, fb = b[4 * row + column];
    float fc[4] = {};
    asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(fc[0]), "+f"(fc[1]), "+f"(fc[2]), "+f"(fc[3])
        : "r"(fa[0]), "r"(fa[1]), "r"(fb));
    c[threadIdx.x] = make_float2(fc[0], fc[1]);
    c[threadIdx.x + 32] = make_float2(fc[2], fc[3]);
}

// 16x32 by 32x8 bytes, which saturate.
extern "C" __global__ void mma_s8(const uint32_t *a, const uint32_t *b, int2 *c)
{
    int row = threadIdx.x / 4, column = threadIdx.x % 4;
    uint32_t fa[4], fb[2] = {b[8 * row + column], b[8 * row + column + 4]};
    for (int i = 0; i < 4; i++) fa[i] = a[8 * (row + i % 2 * 8) + column + i / 2 * 4];
    int fc[4] = {0x7fffffff, 0, 0, 0};
    asm("mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.u8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+r"(fc[0]), "+r"(fc[1]), "+r"(fc[2]), "+r"(fc[3])
        : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
    c[threadIdx.x] = make_int2(fc[0], fc[1]);
    c[threadIdx.x + 32] = make_int2(fc[2], fc[3]);
}

extern "C" __global__ void mma_f64(const double *a, const double *b, double2 *c)
{
    double fc[2] = {};
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(fc[0]), "+d"(fc[1])
        : "d"(a[threadIdx.x]), "d"(b[threadIdx.x]));
    c[threadIdx.x] = make_double2(fc[0], fc[1]);
}

// A transposed tile of 8x8, by movmatrix.
extern "C" __global__ void move_matrix(const uint32_t *x, uint32_t *y)
{
    uint32_t v;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(v) : "r"(x[threadIdx.x]));
    y[threadIdx.x] = v;
}
