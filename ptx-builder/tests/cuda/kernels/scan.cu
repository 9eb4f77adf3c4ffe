// Prefix sums and what is made of them.
#include <cuda/atomic>

constexpr int THREADS = 128;

// After Hillis and Steele, in two buffers.
extern "C" __global__ void __launch_bounds__(THREADS) scan_two_buffers(const int *x, int *y)
{
    __shared__ int buffer[2][THREADS];
    int t = threadIdx.x, from = 0;
    buffer[0][t] = x[t];
    __syncthreads();
    for (int step = 1; step < THREADS; step *= 2) {
        buffer[from ^ 1][t] = buffer[from][t] + (t >= step ? buffer[from][t - step] : 0);
        from ^= 1;
        __syncthreads();
    }
    y[t] = buffer[from][t];
}

// After Blelloch: up and down a tree, exclusive.
extern "C" __global__ void __launch_bounds__(THREADS) scan_tree(const int *x, int *y)
{
    __shared__ int tree[2 * THREADS];
    int t = threadIdx.x, n = 2 * THREADS;
    tree[2 * t] = x[2 * t];
    tree[2 * t + 1] = x[2 * t + 1];
    int offset = 1;
    for (int d = n / 2; d > 0; d /= 2, offset *= 2) {
        __syncthreads();
        if (t < d) tree[offset * (2 * t + 2) - 1] += tree[offset * (2 * t + 1) - 1];
    }
    if (t == 0) tree[n - 1] = 0;
    for (int d = 1; d < n; d *= 2) {
        offset /= 2;
        __syncthreads();
        if (t < d) {
            int a = offset * (2 * t + 1) - 1, b = offset * (2 * t + 2) - 1;
            int left = tree[a];
            tree[a] = tree[b];
            tree[b] += left;
        }
    }
    __syncthreads();
    y[2 * t] = tree[2 * t];
    y[2 * t + 1] = tree[2 * t + 1];
}

template <typename T> __device__ __forceinline__ T scan_warp(T v)
{
    int lane = threadIdx.x % 32;
    for (int step = 1; step < 32; step *= 2) {
        T before = __shfl_up_sync(~0u, v, step);
        if (lane >= step) v += before;
    }
    return v;
}

extern "C" __global__ void __launch_bounds__(THREADS) scan_shuffles(const double *x, double *y)
{
    __shared__ double warps[THREADS / 32];
    int warp = threadIdx.x / 32;
    double v = scan_warp(x[threadIdx.x]);
    if (threadIdx.x % 32 == 31) warps[warp] = v;
    __syncthreads();
    for (int i = 0; i < warp; i++) v += warps[i];
    y[threadIdx.x] = v;
}

struct Tile {
    int flag, aggregate, prefix;
};

// In one pass over the grid: each block looks back at what those before it have published.
extern "C" __global__ void __launch_bounds__(32) scan_look_back(const int *x, int *y, Tile *tiles)
{
    using Flag = cuda::atomic_ref<int, cuda::thread_scope_device>;
    int block = blockIdx.x, at = 32 * block + threadIdx.x;
    int v = scan_warp(x[at]);
    int total = __shfl_sync(~0u, v, 31), before = 0;
    if (threadIdx.x == 0) {
        tiles[block].aggregate = total;
        Flag(tiles[block].flag).store(1, cuda::memory_order_release);
        for (int other = block - 1; other >= 0; other--) {
            int flag;
            while ((flag = Flag(tiles[other].flag).load(cuda::memory_order_acquire)) == 0) {}
            if (flag == 2) {
                before += tiles[other].prefix;
                break;
            }
            before += tiles[other].aggregate;
        }
        tiles[block].prefix = before + total;
        Flag(tiles[block].flag).store(2, cuda::memory_order_release);
    }
    y[at] = v + __shfl_sync(~0u, before, 0);
}

// Keeps the positive values, in order.
extern "C" __global__ void __launch_bounds__(THREADS) compact(const int *x, int *y, int *kept)
{
    __shared__ int warps[THREADS / 32];
    int t = threadIdx.x, v = x[t];
    unsigned votes = __ballot_sync(~0u, v > 0);
    if (t % 32 == 0) warps[t / 32] = __popc(votes);
    __syncthreads();
    int at = __popc(votes & ((1u << t % 32) - 1));
    for (int i = 0; i < t / 32; i++) at += warps[i];
    if (v > 0) y[at] = v;
    if (t == THREADS - 1) *kept = at + (v > 0);
}

// Sums that begin anew where a segment begins.
extern "C" __global__ void __launch_bounds__(32) scan_segments(const int *x, const unsigned char *heads, int *y)
{
    int lane = threadIdx.x, v = x[lane];
    unsigned begun = __ballot_sync(~0u, heads[lane]) & (2u << lane) - 1;
    int first = begun ? 31 - __clz(begun) : 0;
    for (int step = 1; step < 32; step *= 2) {
        int before = __shfl_up_sync(~0u, v, step);
        if (lane - step >= first) v += before;
    }
    y[lane] = v;
}
