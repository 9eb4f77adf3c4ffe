// arch: sm_90
// flags: -lineinfo
// .file and .loc directives, as a profiler reads them, and memory-ordered accesses.
#include <cuda/atomic>

__device__ __forceinline__ float square(float v)
{
    return v * v;
}

extern "C" __global__ void line_info(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = square(x[i]) + square(x[n - 1 - i]);
}

extern "C" __global__ void ordered(int *flag, int *data)
{
    cuda::atomic_ref<int, cuda::thread_scope_device> ready(*flag);
    if (threadIdx.x == 0) {
        data[0] = 17;
        ready.store(1, cuda::std::memory_order_release);
    } else {
        while (ready.load(cuda::std::memory_order_acquire) == 0) {
        }
        ready.fetch_add(data[0], cuda::std::memory_order_relaxed);
    }
}
