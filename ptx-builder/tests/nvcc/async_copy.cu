// arch: sm_80
// Two stages of cp.async into shared memory.
#include <cuda_pipeline_primitives.h>

extern "C" __global__ void __launch_bounds__(128) async_copy(const float4 *__restrict__ in, float *out, int tiles)
{
    __shared__ float4 stage[2][128];
    int t = threadIdx.x;
    const float4 *source = in + (size_t)blockIdx.x * tiles * 128 + t;
    __pipeline_memcpy_async(&stage[0][t], source, 16);
    __pipeline_commit();
    float s = 0.0f;
    for (int i = 0; i < tiles; i++) {
        if (i + 1 < tiles) {
            __pipeline_memcpy_async(&stage[(i + 1) & 1][t], source + (i + 1) * 128, 16);
            __pipeline_commit();
            __pipeline_wait_prior(1);
        } else {
            __pipeline_wait_prior(0);
        }
        __syncthreads();
        float4 v = stage[i & 1][t ^ 1];
        s += v.x + v.y + v.z + v.w;
        __syncthreads();
    }
    out[blockIdx.x * 128 + t] = s;
}

extern "C" __global__ void async_copy_small(const float *in, float *out, int n)
{
    extern __shared__ float words[];
    int t = threadIdx.x;
    __pipeline_memcpy_async(&words[t], in + t, 4, t < n ? 0 : 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    out[t] = words[t ^ 3];
}
