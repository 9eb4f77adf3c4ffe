// `cuda::pipeline` and the primitives below it.
#include <cooperative_groups.h>
#include <cuda/pipeline>
#include <cuda_pipeline_primitives.h>
namespace cg = cooperative_groups;

extern "C" __global__ void __launch_bounds__(64) own_pipeline(const int4 *x, int *y)
{
    __shared__ int4 tile[64];
    auto pipe = cuda::make_pipeline();
    pipe.producer_acquire();
    cuda::memcpy_async(&tile[threadIdx.x], &x[threadIdx.x], cuda::aligned_size_t<16>(16), pipe);
    pipe.producer_commit();
    pipe.consumer_wait();
    __syncthreads();
    int4 v = tile[threadIdx.x ^ 1];
    y[threadIdx.x] = v.x - v.y + v.z - v.w;
    pipe.consumer_release();
}

// Two stages of a block.
extern "C" __global__ void __launch_bounds__(32) staged(const int *x, int *y, int tiles)
{
    using State = cuda::pipeline_shared_state<cuda::thread_scope_block, 2>;
    __shared__ alignas(State) char place[sizeof(State)];
    __shared__ int stage[2][32];
    auto block = cg::this_thread_block();
    auto pipe = cuda::make_pipeline(block, reinterpret_cast<State *>(place));
    int sum = 0;
    for (int next = 0, i = 0; i < tiles; i++) {
        for (; next < tiles && next < i + 2; next++) {
            pipe.producer_acquire();
            cuda::memcpy_async(block, stage[next % 2], x + 32 * next, sizeof(int) * 32, pipe);
            pipe.producer_commit();
        }
        pipe.consumer_wait();
        sum += stage[i % 2][31 - threadIdx.x] * (i + 1);
        pipe.consumer_release();
    }
    y[threadIdx.x] = sum;
}

// The first warp only copies, the others only compute.
extern "C" __global__ void __launch_bounds__(96) roles(const int *x, int *y, int tiles)
{
    using State = cuda::pipeline_shared_state<cuda::thread_scope_block, 2>;
    __shared__ alignas(State) char place[sizeof(State)];
    __shared__ int stage[2][64];
    auto block = cg::this_thread_block();
    auto role = threadIdx.x < 32 ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer;
    auto pipe = cuda::make_pipeline(block, reinterpret_cast<State *>(place), role);
    if (threadIdx.x < 32) {
        for (int i = 0; i < tiles; i++) {
            pipe.producer_acquire();
            for (int j = threadIdx.x; j < 64; j += 32)
                cuda::memcpy_async(&stage[i % 2][j], &x[64 * i + j], sizeof(int), pipe);
            pipe.producer_commit();
        }
    } else {
        int t = threadIdx.x - 32, sum = 0;
        for (int i = 0; i < tiles; i++) {
            pipe.consumer_wait();
            sum += stage[i % 2][63 - t];
            pipe.consumer_release();
        }
        y[t] = sum;
    }
}

// Bytes beyond the end are zeros.
extern "C" __global__ void __launch_bounds__(64) filled(const int *x, int *y, int n)
{
    extern __shared__ int words[];
    int t = threadIdx.x;
    __pipeline_memcpy_async(&words[t], x + (t < n ? t : 0), 4, t < n ? 0 : 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    y[t] = words[t ^ 3];
}

// Three tiles are on their way while one is summed.
extern "C" __global__ void __launch_bounds__(32) ring(const float2 *x, float *y, int tiles)
{
    __shared__ float2 stage[4][32];
    int t = threadIdx.x;
    for (int i = 0; i < 3; i++) {
        if (i < tiles) __pipeline_memcpy_async(&stage[i][t], x + 32 * i + t, 8);
        __pipeline_commit();
    }
    float sum = 0;
    for (int i = 0; i < tiles; i++) {
        __pipeline_wait_prior(2);
        __syncwarp();
        float2 v = stage[i % 4][t ^ 1];
        sum += v.x * v.y;
        __syncwarp();
        if (i + 3 < tiles) __pipeline_memcpy_async(&stage[(i + 3) % 4][t], x + 32 * (i + 3) + t, 8);
        __pipeline_commit();
    }
    y[t] = sum;
}
