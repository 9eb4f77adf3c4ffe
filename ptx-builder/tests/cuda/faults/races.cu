// Accesses that nothing orders.
#include <cuda/atomic>
#include <cuda_pipeline_primitives.h>

// run: g1 b64 zero:64 in:64
extern "C" __global__ void missing_barrier(int *y, const int *x)
{
    __shared__ int tile[64];
    tile[threadIdx.x] = x[threadIdx.x]; // found: Race
    if (!WRONG) __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x]; // found: Race Uninitialized
}

// run: g1 b64 zero:64 in:192
extern "C" __global__ void missing_second_barrier(int *y, const int *x)
{
    __shared__ int tile[64];
    int sum = 0;
#pragma unroll 1
    for (int i = 0; i < 3; i++) {
        tile[threadIdx.x] = x[64 * i + threadIdx.x]; // found: Race
        __syncthreads();
        sum += tile[63 - threadIdx.x]; // found: Race
        if (!WRONG) __syncthreads();
    }
    y[threadIdx.x] = sum;
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void missing_syncwarp(int *y, const int *x)
{
    __shared__ int tile[32];
    tile[threadIdx.x] = x[threadIdx.x]; // found: Race
    if (!WRONG) __syncwarp();
    y[threadIdx.x] = tile[threadIdx.x ^ 1]; // found: Race
}

// A shuffle orders no memory.
// run: g1 b32 zero:32 in:32
extern "C" __global__ void shuffle_for_a_barrier(int *y, const int *x)
{
    __shared__ int tile[32];
    int v = x[threadIdx.x];
    tile[threadIdx.x] = v; // found: Race
    v = __shfl_xor_sync(~0u, v, 1);
    if (!WRONG) __syncwarp();
    y[threadIdx.x] = tile[threadIdx.x ^ 2] + v; // found: Race
}

// The last warp of a tree, as it was written before Volta.
// run: g1 b64 zero:1 in:64
extern "C" __global__ void last_warp_of_a_tree(int *y, const int *x)
{
    __shared__ int part[64];
    int t = threadIdx.x;
    part[t] = x[t];
    __syncthreads();
    if (t < 32) {
#pragma unroll 1
        for (int step = 32; step > 0; step /= 2) {
            int v = part[t + step] + part[t]; // found: Race
            if (!WRONG) __syncwarp();
            if (t < step)
                part[t] = v; // found: Race
            if (!WRONG) __syncwarp();
        }
        if (t == 0) y[0] = part[0];
    }
}

// run: g1 b64 zero:32 in:64
extern "C" __global__ void two_for_one_place(int *y, const int *x)
{
    int i = threadIdx.x;
    if (!WRONG && i % 2) return;
    y[i / 2] = x[i]; // found: Race
}

// run: g2 b32 zero:1
extern "C" __global__ void plain_counter(int *count)
{
    if (WRONG)
        *count += 1; // found: Race
    else
        atomicAdd(count, 1);
}

// run: g1 b64 zero:8 in:64
extern "C" __global__ void plain_histogram(int *y, const int *x)
{
    __shared__ int bins[8];
    if (threadIdx.x < 8) bins[threadIdx.x] = 0;
    __syncthreads();
    int bin = x[threadIdx.x] % 8;
    if (WRONG)
        bins[bin]++; // found: Race
    else
        atomicAdd(&bins[bin], 1);
    __syncthreads();
    if (threadIdx.x < 8) y[threadIdx.x] = bins[threadIdx.x];
}

// run: g1 b64 zero:64 in:64
extern "C" __global__ void stencil_in_place(int *y, const int *x)
{
    int i = threadIdx.x;
    y[i] = x[i];
    __syncthreads();
    int v = y[(i + 1) % 64]; // found: Race
    if (!WRONG) __syncthreads();
    y[i] = v; // found: Race
}

// A neighbour of another block cannot be waited for.
// run: g2 b32 inout:64 zero:64
extern "C" __global__ void halo_of_another_block(int *y, int *z)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int v = y[(i + 1) % 64] * 2; // found: Race
    __syncthreads();
    int *to = WRONG ? y : z;
    to[i] = v; // found: Race
}

// run: g1 b64 zero:64 in:64
extern "C" __global__ void broadcast(int *y, const int *x)
{
    __shared__ int first;
    if (WRONG) __syncthreads();
    if (threadIdx.x == 0) first = x[5]; // found: Race
    if (!WRONG) __syncthreads();
    y[threadIdx.x] = first; // found: Race Uninitialized
}

// The same memory for two things, one after the other.
// run: g1 b64 zero:64 in:64
extern "C" __global__ void memory_used_again(int *y, const int *x)
{
    __shared__ union {
        int values[64];
        short halves[128];
    } storage;
    int t = threadIdx.x;
    storage.values[t] = x[t];
    __syncthreads();
    int v = storage.values[63 - t]; // found: Race
    if (!WRONG) __syncthreads();
    storage.halves[2 * t] = v; // found: Race
    __syncthreads();
    y[t] = storage.halves[2 * (t ^ 1)];
}

// run: g1 b64 zero:64 in:64
extern "C" __global__ void one_buffer_for_two(int *y, const int *x)
{
    __shared__ int buffer[2][64];
    int t = threadIdx.x, from = 0;
    buffer[0][t] = x[t];
    __syncthreads();
#pragma unroll 1
    for (int step = 1; step < 64; step *= 2) {
        int to = WRONG ? from : from ^ 1;
        int v = buffer[from][t] + (t >= step ? buffer[from][t - step] : 0); // found: Race
        buffer[to][t] = v; // found: Race
        from = to;
        __syncthreads();
    }
    y[t] = buffer[from][t];
}

// run: g1 b64 zero:1 zero:64
extern "C" __global__ void counter_read_plainly(int *count, int *y)
{
    atomicAdd(count, 1); // found: Race
    if (!WRONG) __syncthreads();
    y[threadIdx.x] = *count; // found: Race
}

// run: g1 b64 zero:16
extern "C" __global__ void bytes_of_a_word(unsigned *y)
{
    int t = threadIdx.x;
    unsigned bit = 1u << t % 4 * 8;
    if (WRONG)
        y[t / 4] |= bit; // found: Race
    else
        atomicOr(&y[t / 4], bit);
}

// run: g2 b32 zero:32 zero:1 zero:32
extern "C" __global__ void flag_without_release(int *data, int *flag, int *y)
{
    cuda::atomic_ref<int, cuda::thread_scope_device> ready(*flag);
    auto order = WRONG ? cuda::memory_order_relaxed : cuda::memory_order_release;
    if (blockIdx.x == 0) {
        data[threadIdx.x] = threadIdx.x; // found: Race
        __syncthreads();
        if (threadIdx.x == 0) ready.store(1, order);
    } else {
        if (threadIdx.x == 0)
            while (ready.load(cuda::memory_order_acquire) == 0) {}
        __syncthreads();
        y[threadIdx.x] = data[threadIdx.x]; // found: Race
    }
}

// run: g2 b32 zero:32 zero:1 zero:32
extern "C" __global__ void flag_without_fence(int *data, volatile int *flag, int *y)
{
    if (blockIdx.x == 0) {
        data[threadIdx.x] = threadIdx.x; // found: Race
        if (!WRONG) __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) *flag = 1;
    } else {
        if (threadIdx.x == 0)
            while (*flag == 0) {}
        if (!WRONG) __threadfence();
        __syncthreads();
        y[threadIdx.x] = data[threadIdx.x]; // found: Race
    }
}

// run: g3 b32 zero:1 zero:1
extern "C" __global__ void lock_without_fences(int *lock, int *count)
{
    if (threadIdx.x != 0) return;
    while (atomicCAS(lock, 0, 1) != 0) {}
    if (!WRONG) __threadfence();
    *count += 1; // found: Race
    if (!WRONG) __threadfence();
    atomicExch(lock, 0);
}

// A block's own scope does not reach another block.
// run: g2 b32 zero:1 zero:1
extern "C" __global__ void scope_too_small(int *lock, int *count)
{
    constexpr auto scope = WRONG ? cuda::thread_scope_block : cuda::thread_scope_device;
    cuda::atomic_ref<int, scope> held(*lock);
    if (threadIdx.x != 0) return;
    while (held.exchange(1, cuda::memory_order_acquire) != 0) {}
    *count += 1; // found: Race
    held.store(0, cuda::memory_order_release); // found: Race
}

__device__ unsigned arrived = 0;

// run: g3 b32 zero:3 zero:1
extern "C" __global__ void last_block_without_fence(int *parts, int *sum)
{
    if (threadIdx.x != 0) return;
    parts[blockIdx.x] = blockIdx.x + 1; // found: Race
    if (!WRONG) __threadfence();
    if (atomicInc(&arrived, gridDim.x - 1) != gridDim.x - 1) return;
    if (!WRONG) __threadfence();
    int total = 0;
#pragma unroll 1
    for (int i = 0; i < 3; i++)
        total += parts[i]; // found: Race
    *sum = total;
}

// Data for the read-only path may not change in the launch.
// run: g1 b32 inout:32 zero:32
extern "C" __global__ void read_only_written(int *x, int *y)
{
    int v = WRONG ? __ldg(&x[threadIdx.x]) : x[threadIdx.x]; // found: ReadOnlyData
    __syncthreads();
    x[threadIdx.x] = v + 1;
    y[threadIdx.x] = v;
}

// Each thread waits for its own copies only.
// run: g1 b64 zero:64 in:64
extern "C" __global__ void copies_of_others(int *y, const int *x)
{
    __shared__ int tile[64];
    __pipeline_memcpy_async(&tile[threadIdx.x], &x[threadIdx.x], 4); // found: Race
    __pipeline_commit();
    __pipeline_wait_prior(0);
    if (!WRONG) __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x ^ 32]; // found: Race Uninitialized
}

// run: g1 b32 zero:32 in:128
extern "C" __global__ void stage_in_use(int *y, const int *x)
{
    __shared__ int stage[2][32];
    int t = threadIdx.x, sum = 0;
    __pipeline_memcpy_async(&stage[0][t], &x[t], 4);
    __pipeline_commit();
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
        int next = WRONG ? 0 : (i + 1) % 2;
        __pipeline_wait_prior(0);
        __syncwarp();
        int v = stage[WRONG ? 0 : i % 2][t ^ 1]; // found: Race
        if (!WRONG) __syncwarp();
        if (i < 3) __pipeline_memcpy_async(&stage[next][t], &x[32 * (i + 1) + t], 4); // found: Race
        __pipeline_commit();
        sum += v;
    }
    y[t] = sum;
}
