// What sm_90 has: clusters and bulk copies; elsewhere the same by older means.
#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda/ptx>
#include <cuda_awbarrier_primitives.h>
namespace cg = cooperative_groups;

extern "C" __global__ void __launch_bounds__(64) bulk_copy(const int *x, int *y)
{
    __shared__ alignas(128) int tile[256];
#if __CUDA_ARCH__ >= 900
    namespace ptx = cuda::ptx;
    __shared__ uint64_t barrier;
    if (threadIdx.x == 0) ptx::mbarrier_init(&barrier, 1);
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::fence_proxy_async(ptx::space_shared);
        ptx::cp_async_bulk(ptx::space_cluster, ptx::space_global, tile, x, sizeof(tile), &barrier);
        ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &barrier, sizeof(tile));
    }
    while (!ptx::mbarrier_try_wait_parity(&barrier, 0)) {}
#else
    for (int i = threadIdx.x; i < 256; i += 64) tile[i] = x[i];
    __syncthreads();
#endif
    for (int i = threadIdx.x; i < 256; i += 64) y[i] = tile[255 - i];
}

// A cluster of the launch's size; with one block, as everywhere.
extern "C" __global__ void __launch_bounds__(64) cluster_sum(const int *x, int *y)
{
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, x[threadIdx.x]);
#if __CUDA_ARCH__ >= 900
    auto cluster = cg::this_cluster();
    cluster.sync();
    int *other = cluster.map_shared_rank(&sum, cluster.block_rank());
    y[threadIdx.x] = *other + cluster.num_blocks();
    cluster.sync();
#else
    __syncthreads();
    y[threadIdx.x] = sum + 1;
#endif
}

// A grid that waits for a previous one.
extern "C" __global__ void dependent(const int *x, int *y)
{
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
    y[threadIdx.x] = x[threadIdx.x] + 1;
#if __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}
