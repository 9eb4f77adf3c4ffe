// Sorts of CUB.
#include <cub/block/block_merge_sort.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/warp/warp_merge_sort.cuh>

extern "C" __global__ void __launch_bounds__(64) cub_radix_sort(unsigned *x)
{
    using Sort = cub::BlockRadixSort<unsigned, 64, 2>;
    __shared__ typename Sort::TempStorage storage;
    unsigned keys[2] = {x[2 * threadIdx.x], x[2 * threadIdx.x + 1]};
    Sort(storage).Sort(keys);
    x[2 * threadIdx.x] = keys[0];
    x[2 * threadIdx.x + 1] = keys[1];
}

extern "C" __global__ void __launch_bounds__(64) cub_radix_pairs(float *keys, short *values)
{
    using Sort = cub::BlockRadixSort<float, 64, 1, short>;
    __shared__ typename Sort::TempStorage storage;
    float key[1] = {keys[threadIdx.x]};
    short value[1] = {values[threadIdx.x]};
    Sort(storage).SortDescending(key, value);
    keys[threadIdx.x] = key[0];
    values[threadIdx.x] = value[0];
}

struct ByLowByte {
    __device__ bool operator()(int a, int b) const { return (a & 255) < (b & 255); }
};

// Stable, and by an own order.
extern "C" __global__ void __launch_bounds__(32) cub_merge_sort(int *x)
{
    using Sort = cub::BlockMergeSort<int, 32, 2>;
    __shared__ typename Sort::TempStorage storage;
    int keys[2] = {x[2 * threadIdx.x], x[2 * threadIdx.x + 1]};
    Sort(storage).StableSort(keys, ByLowByte());
    x[2 * threadIdx.x] = keys[0];
    x[2 * threadIdx.x + 1] = keys[1];
}

struct Smaller {
    __device__ bool operator()(short a, short b) const { return a < b; }
};

extern "C" __global__ void __launch_bounds__(64) cub_warp_sort(short *x)
{
    using Sort = cub::WarpMergeSort<short, 2, 16>;
    __shared__ typename Sort::TempStorage storage[4];
    short keys[2] = {x[2 * threadIdx.x], x[2 * threadIdx.x + 1]};
    Sort(storage[threadIdx.x / 16]).Sort(keys, Smaller());
    x[2 * threadIdx.x] = keys[0];
    x[2 * threadIdx.x + 1] = keys[1];
}
