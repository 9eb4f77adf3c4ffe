// Products of matrices by `nvcuda::wmma`, one tile each.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
using namespace nvcuda::wmma;

template <int M, int N, int K, typename A, typename C, typename LayoutB, typename T>
__device__ void product(const T *a, const T *b, C *c)
{
    fragment<matrix_a, M, N, K, A, row_major> fa;
    fragment<matrix_b, M, N, K, A, LayoutB> fb;
    fragment<accumulator, M, N, K, C> fc;
    fill_fragment(fc, C(0));
    load_matrix_sync(fa, a, K);
    load_matrix_sync(fb, b, __is_same(LayoutB, row_major) ? N : K);
    mma_sync(fc, fa, fb, fc);
    store_matrix_sync(c, fc, N, mem_row_major);
}

extern "C" __global__ void wmma_f16(const half *a, const half *b, float *c)
{
    product<16, 16, 16, half, float, row_major>(a, b, c);
}

extern "C" __global__ void wmma_f16_wide(const half *a, const half *b, half *c)
{
    product<8, 32, 16, half, half, col_major>(a, b, c);
}

extern "C" __global__ void wmma_bf16(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c)
{
    product<32, 8, 16, __nv_bfloat16, float, row_major>(a, b, c);
}

extern "C" __global__ void wmma_tf32(const float *a, const float *b, float *c)
{
    product<16, 16, 8, precision::tf32, float, col_major>(a, b, c);
}

extern "C" __global__ void wmma_s8(const signed char *a, const signed char *b, int *c)
{
    product<16, 16, 16, signed char, int, row_major>(a, b, c);
}

extern "C" __global__ void wmma_f64(const double *a, const double *b, double *c)
{
    product<8, 8, 4, double, double, col_major>(a, b, c);
}

// Bits: how many are set in both.
extern "C" __global__ void wmma_b1(const unsigned *a, const unsigned *b, int *c)
{
    using experimental::precision::b1;
    fragment<matrix_a, 8, 8, 128, b1, row_major> fa;
    fragment<matrix_b, 8, 8, 128, b1, col_major> fb;
    fragment<accumulator, 8, 8, 128, int> fc;
    fill_fragment(fc, 0);
    load_matrix_sync(fa, a, 128);
    load_matrix_sync(fb, b, 128);
    bmma_sync(fc, fa, fb, fc, experimental::bmmaBitOpAND, experimental::bmmaAccumulateOpPOPC);
    store_matrix_sync(c, fc, 8, mem_row_major);
}

// Tiles along a row, through shared memory, with a scale for each element.
extern "C" __global__ void __launch_bounds__(32) wmma_tiles(const half *a, const half *b, float *c, int k)
{
    __shared__ half tile[16 * 16];
    fragment<matrix_a, 16, 16, 16, half, row_major> fa;
    fragment<matrix_b, 16, 16, 16, half, row_major> fb;
    fragment<accumulator, 16, 16, 16, float> fc;
    load_matrix_sync(fc, c, 16, mem_row_major);
    for (int at = 0; at < k; at += 16) {
        for (int i = threadIdx.x; i < 256; i += 32) tile[i] = __hadd(a[i / 16 * k + at + i % 16], __float2half(1));
        __syncwarp();
        load_matrix_sync(fa, tile, 16);
        load_matrix_sync(fb, b + 16 * at, 16);
        mma_sync(fc, fa, fb, fc);
        __syncwarp();
    }
    for (int i = 0; i < fc.num_elements; i++) fc.x[i] *= 0.5f;
    store_matrix_sync(c, fc, 16, mem_row_major);
}
