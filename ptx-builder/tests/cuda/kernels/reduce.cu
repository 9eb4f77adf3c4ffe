// Sums, extremes and moments: by shared memory, shuffles, redux and atomics, in a block and across blocks.
#include <cuda_runtime.h>

constexpr int THREADS = 128;

extern "C" __global__ void __launch_bounds__(THREADS) sum_shared(const float *x, float *y)
{
    __shared__ float part[THREADS];
    int t = threadIdx.x;
    part[t] = x[blockIdx.x * THREADS + t];
    __syncthreads();
    for (int step = THREADS / 2; step > 0; step /= 2) {
        if (t < step) part[t] += part[t + step];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = part[0];
}

__device__ __forceinline__ float warp_sum(float v)
{
    for (int step = 16; step > 0; step /= 2) v += __shfl_down_sync(~0u, v, step);
    return v;
}

extern "C" __global__ void __launch_bounds__(THREADS) sum_shuffles(const float *x, float *y, int n)
{
    __shared__ float warps[THREADS / 32];
    float sum = 0;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < n; i += gridDim.x * THREADS) sum += x[i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < THREADS / 32 ? warps[threadIdx.x] : 0;
        sum = warp_sum(sum);
        if (threadIdx.x == 0) y[blockIdx.x] = sum;
    }
}

// The warp's reductions of integers are one instruction.
extern "C" __global__ void __launch_bounds__(64) redux(const int *x, int *y)
{
    int v = x[threadIdx.x], warp = threadIdx.x / 32;
    int results[6] = {__reduce_add_sync(~0u, v),
                      __reduce_min_sync(~0u, v),
                      __reduce_max_sync(~0u, v),
                      (int)__reduce_and_sync(~0u, (unsigned)v),
                      (int)__reduce_or_sync(~0u, (unsigned)v),
                      (int)__reduce_xor_sync(~0u, (unsigned)v)};
    if (threadIdx.x % 32 == 0)
        for (int i = 0; i < 6; i++) y[6 * warp + i] = results[i];
}

extern "C" __global__ void dot_f64(const double *a, const double *b, double *sum, int n)
{
    double s = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) s += a[i] * b[i];
    for (int step = 16; step > 0; step /= 2) s += __shfl_xor_sync(~0u, s, step);
    if (threadIdx.x % 32 == 0) atomicAdd(sum, s);
}

struct Least {
    float value;
    int at;
};

__device__ __forceinline__ Least less(Least a, Least b)
{
    return b.value < a.value || (b.value == a.value && b.at < a.at) ? b : a;
}

extern "C" __global__ void __launch_bounds__(THREADS) argmin(const float *x, int *y, int n)
{
    __shared__ Least least[THREADS];
    int t = threadIdx.x;
    Least mine{__int_as_float(0x7f800000), 0x7fffffff};
    for (int i = t; i < n; i += THREADS) mine = less(mine, Least{x[i], i});
    least[t] = mine;
    for (int step = THREADS / 2; step > 0; step /= 2) {
        __syncthreads();
        if (t < step) least[t] = less(least[t], least[t + step]);
    }
    if (t == 0) *y = least[0].at;
}

// Count, sum and sum of squares in integers.
extern "C" __global__ void moments(const short *x, long long *sums, int n)
{
    __shared__ unsigned long long block[2];
    if (threadIdx.x < 2) block[threadIdx.x] = 0;
    __syncthreads();
    long long sum = 0, squares = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        long long v = x[i];
        sum += v;
        squares += v * v;
    }
    atomicAdd(&block[0], (unsigned long long)sum);
    atomicAdd(&block[1], (unsigned long long)squares);
    __syncthreads();
    if (threadIdx.x < 2) sums[threadIdx.x] = (long long)block[threadIdx.x];
}

__device__ unsigned arrived = 0;

// The block that arrives last sums what the others have left in memory.
extern "C" __global__ void __launch_bounds__(THREADS) last_block(const int *x, volatile int *parts, int *sum)
{
    __shared__ bool last;
    int v = __reduce_add_sync(~0u, x[blockIdx.x * THREADS + threadIdx.x]);
    __shared__ int warps[THREADS / 32];
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        int total = 0;
        for (int i = 0; i < THREADS / 32; i++) total += warps[i];
        parts[blockIdx.x] = total;
        __threadfence();
        last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        int total = 0;
        for (unsigned i = 0; i < gridDim.x; i++) total += parts[i];
        *sum = total;
    }
}

// One reduction for any type and operator.
template <typename T, typename Op, int N>
__device__ void reduce_block(const T *x, T *y, Op op)
{
    __shared__ T part[N];
    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int step = N / 2; step > 0; step /= 2) {
        if (threadIdx.x < step) part[threadIdx.x] = op(part[threadIdx.x], part[threadIdx.x + step]);
        __syncthreads();
    }
    if (threadIdx.x == 0) *y = part[0];
}

extern "C" __global__ void __launch_bounds__(64) reduce_templates(const double *x, double *largest, const int *n, int *product)
{
    reduce_block<double, double (*)(double, double), 64>(x, largest, fmax);
    reduce_block<int, int (*)(int, int), 64>(n, product, [](int a, int b) { return a * b; });
}
