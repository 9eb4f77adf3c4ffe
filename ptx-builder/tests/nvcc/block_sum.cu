// arch: sm_75
// A block reduction: butterflies in each warp, then the warps' sums through shared memory.
__device__ __forceinline__ float warp_sum(float v)
{
    for (int d = 16; d > 0; d >>= 1)
        v += __shfl_xor_sync(0xffffffffu, v, d);
    return v;
}

extern "C" __global__ void __launch_bounds__(256) block_sum(const float *__restrict__ x, float *out, int n)
{
    __shared__ float partial[8];
    float v = 0.0f;
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256)
        v += x[i];
    v = warp_sum(v);
    if ((threadIdx.x & 31) == 0)
        partial[threadIdx.x >> 5] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = warp_sum(threadIdx.x < 8 ? partial[threadIdx.x] : 0.0f);
        if (threadIdx.x == 0)
            out[blockIdx.x] = v;
    }
}

// An inclusive prefix sum in a warp (shfl.up), a broadcast (shfl.idx) and a shift down, in 32 and 64 bits.
extern "C" __global__ void warp_scan(const int *x, int *sums, double *shifted, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int lane = threadIdx.x & 31;
    int v = i < n ? x[i] : 0;
    for (int d = 1; d < 32; d <<= 1) {
        int below = __shfl_up_sync(0xffffffffu, v, d);
        if (lane >= d)
            v += below;
    }
    int total = __shfl_sync(0xffffffffu, v, 31);
    double down = __shfl_down_sync(0xffffffffu, (double)v, 1, 8);
    if (i < n) {
        sums[i] = total - v;
        shifted[i] = down;
    }
}
