// Reductions, scans and movements of CUB.
#include <cub/block/block_discontinuity.cuh>
#include <cub/block/block_exchange.cuh>
#include <cub/block/block_histogram.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_shuffle.cuh>
#include <cub/block/block_store.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <cub/warp/warp_scan.cuh>

extern "C" __global__ void __launch_bounds__(96) cub_reduce(const int *x, int *y)
{
    using Reduce = cub::BlockReduce<int, 96>;
    __shared__ typename Reduce::TempStorage storage;
    int sum = Reduce(storage).Sum(x[threadIdx.x]);
    if (threadIdx.x == 0) *y = sum;
}

// In the order of the lanes, so that an operator need not commute.
extern "C" __global__ void __launch_bounds__(64) cub_reduce_raking(const float *x, float *y, int n)
{
    using Reduce = cub::BlockReduce<float, 64, cub::BLOCK_REDUCE_RAKING>;
    __shared__ typename Reduce::TempStorage storage;
    float last = Reduce(storage).Reduce(x[threadIdx.x], [](float a, float b) { return b != 0 ? b : a; }, n);
    if (threadIdx.x == 0) *y = last;
}

extern "C" __global__ void __launch_bounds__(64) cub_scan(const int *x, int *y, int *total)
{
    using Scan = cub::BlockScan<int, 64>;
    __shared__ typename Scan::TempStorage storage;
    int items[2] = {x[2 * threadIdx.x], x[2 * threadIdx.x + 1]}, sum;
    Scan(storage).ExclusiveSum(items, items, sum);
    y[2 * threadIdx.x] = items[0];
    y[2 * threadIdx.x + 1] = items[1];
    if (threadIdx.x == 0) *total = sum;
}

struct Largest {
    __device__ double operator()(double a, double b) const { return a < b ? b : a; }
};

extern "C" __global__ void __launch_bounds__(64) cub_scan_raking(const double *x, double *y)
{
    using Scan = cub::BlockScan<double, 64, cub::BLOCK_SCAN_RAKING>;
    __shared__ typename Scan::TempStorage storage;
    double most;
    Scan(storage).InclusiveScan(x[threadIdx.x], most, Largest());
    y[threadIdx.x] = most;
}

// Transposed on the way in and out, with a bound.
extern "C" __global__ void __launch_bounds__(32) cub_load_store(const short *x, short *y, int n)
{
    using Load = cub::BlockLoad<short, 32, 4, cub::BLOCK_LOAD_TRANSPOSE>;
    using Store = cub::BlockStore<short, 32, 4, cub::BLOCK_STORE_WARP_TRANSPOSE>;
    __shared__ union {
        typename Load::TempStorage load;
        typename Store::TempStorage store;
    } storage;
    short items[4];
    Load(storage.load).Load(x, items, n, (short)-1);
    __syncthreads();
    for (int i = 0; i < 4; i++) items[i] = items[i] * (i + 1);
    Store(storage.store).Store(y, items, n);
}

extern "C" __global__ void __launch_bounds__(32) cub_vectors(int *x, int *y)
{
    int items[4];
    cub::LoadDirectBlockedVectorized(threadIdx.x, x, items);
    for (int i = 0; i < 4; i++) items[i] ^= i;
    cub::StoreDirectBlockedVectorized(threadIdx.x, y, items);
}

extern "C" __global__ void __launch_bounds__(32) cub_exchange(const int *x, int *y)
{
    using Exchange = cub::BlockExchange<int, 32, 3>;
    __shared__ typename Exchange::TempStorage storage;
    int items[3];
    cub::LoadDirectStriped<32>(threadIdx.x, x, items);
    Exchange(storage).StripedToBlocked(items, items);
    cub::StoreDirectStriped<32>(threadIdx.x, y, items);
}

extern "C" __global__ void __launch_bounds__(32) cub_histogram(const unsigned char *x, int *counts)
{
    using Histogram = cub::BlockHistogram<unsigned char, 32, 4, 16, cub::BLOCK_HISTO_ATOMIC>;
    __shared__ typename Histogram::TempStorage storage;
    __shared__ int shared[16];
    unsigned char items[4];
    cub::LoadDirectBlocked(threadIdx.x, x, items);
    Histogram(storage).Histogram(items, shared);
    __syncthreads();
    if (threadIdx.x < 16) counts[threadIdx.x] = shared[threadIdx.x];
}

extern "C" __global__ void __launch_bounds__(64) cub_heads(const int *x, int *heads)
{
    using Differ = cub::BlockDiscontinuity<int, 64>;
    __shared__ typename Differ::TempStorage storage;
    int item[1] = {x[threadIdx.x]}, flag[1];
    Differ(storage).FlagHeads(flag, item, [](int a, int b) { return a != b; });
    heads[threadIdx.x] = flag[0];
}

extern "C" __global__ void __launch_bounds__(64) cub_shift(const float *x, float *y)
{
    using Shuffle = cub::BlockShuffle<float, 64>;
    __shared__ typename Shuffle::TempStorage storage;
    float before = 0;
    Shuffle(storage).Offset(x[threadIdx.x], before, -1);
    y[threadIdx.x] = before;
}

// Logical warps of eight lanes, and sums by segment.
extern "C" __global__ void __launch_bounds__(64) cub_warps(const int *x, const int *heads, int *scanned, int *sums, int *segments)
{
    using Scan = cub::WarpScan<int, 8>;
    using Reduce = cub::WarpReduce<int, 8>;
    using Whole = cub::WarpReduce<int>;
    __shared__ typename Scan::TempStorage scan[8];
    __shared__ typename Reduce::TempStorage reduce[8];
    __shared__ typename Whole::TempStorage whole[2];
    int t = threadIdx.x, v = x[t], prefix;
    Scan(scan[t / 8]).InclusiveSum(v, prefix);
    scanned[t] = prefix;
    int sum = Reduce(reduce[t / 8]).Sum(v);
    if (t % 8 == 0) sums[t / 8] = sum;
    int segment = Whole(whole[t / 32]).HeadSegmentedSum(v, heads[t]);
    segments[t] = heads[t] ? segment : 0;
}
