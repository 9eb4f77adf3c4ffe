// Cooperative groups.
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;

extern "C" __global__ void __launch_bounds__(64) tile_reduce(const int *x, int *sums, int *largest)
{
    auto tile = cg::tiled_partition<8>(cg::this_thread_block());
    int v = x[threadIdx.x];
    int sum = cg::reduce(tile, v, cg::plus<int>()), most = cg::reduce(tile, v, cg::greater<int>());
    if (tile.thread_rank() == 0) {
        sums[threadIdx.x / 8] = sum;
        largest[threadIdx.x / 8] = most;
    }
}

extern "C" __global__ void __launch_bounds__(64) tile_scan(const float *x, float *inclusive, float *exclusive)
{
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    float v = x[threadIdx.x];
    inclusive[threadIdx.x] = cg::inclusive_scan(tile, v);
    exclusive[threadIdx.x] = cg::exclusive_scan(tile, v);
}

extern "C" __global__ void __launch_bounds__(64) tile_exchange(const int *x, int *y, unsigned *votes)
{
    auto tile = cg::tiled_partition<4>(cg::this_thread_block());
    int v = x[threadIdx.x];
    int around = tile.shfl(v, (tile.thread_rank() + 1) % 4) + 10 * tile.shfl_xor(v, 2) + 100 * tile.shfl_up(v, 1);
    y[threadIdx.x] = around;
    unsigned vote = tile.ballot(v > 0) | tile.any(v > 5) << 4 | tile.all(v > -5) << 5;
    tile.sync();
    votes[threadIdx.x] = vote;
}

// Those that want a place take theirs with one atomic of the first.
extern "C" __global__ void coalesced(const int *x, int *y, int *count, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || x[i] <= 0) return;
    auto here = cg::coalesced_threads();
    int first = 0;
    if (here.thread_rank() == 0) first = atomicAdd(count, (int)here.size());
    first = here.shfl(first, 0);
    y[first + here.thread_rank()] = x[i];
}

extern "C" __global__ void __launch_bounds__(32) labeled(const int *x, int *sizes, int *sums)
{
    auto warp = cg::tiled_partition<32>(cg::this_thread_block());
    int v = x[threadIdx.x];
    auto alike = cg::labeled_partition(warp, v & 3);
    sizes[threadIdx.x] = alike.size();
    sums[threadIdx.x] = cg::reduce(alike, v, cg::plus<int>());
}

extern "C" __global__ void __launch_bounds__(32) halves(const int *x, int *ranks)
{
    auto warp = cg::tiled_partition<32>(cg::this_thread_block());
    auto half = cg::binary_partition(warp, x[threadIdx.x] > 0);
    ranks[threadIdx.x] = half.thread_rank() + 100 * half.size();
}

// A group of two warps meets at a barrier of its own.
extern "C" __global__ void __launch_bounds__(128) tile_of_warps(const int *x, int *y)
{
    __shared__ cg::block_tile_memory<128> memory;
    auto block = cg::this_thread_block(memory);
    auto pair = cg::tiled_partition<64>(block);
    int sum = cg::reduce(pair, x[threadIdx.x], cg::plus<int>());
    pair.sync();
    y[threadIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(64) group_copy(const int *x, int *y)
{
    __shared__ alignas(16) int tile[128];
    auto block = cg::this_thread_block();
    cg::memcpy_async(block, tile, x, sizeof(tile));
    cg::wait(block);
    y[threadIdx.x] = tile[2 * threadIdx.x] - tile[2 * threadIdx.x + 1];
}

// The block's shape and a thread's place in it.
extern "C" __global__ void places(int *y)
{
    auto block = cg::this_thread_block();
    dim3 at = block.thread_index(), size = block.dim_threads(), group = block.group_index();
    int rank = block.thread_rank();
    y[group.x * block.size() + rank] = at.x + 10 * at.y + 100 * at.z + 1000 * size.x;
}
