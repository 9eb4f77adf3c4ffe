// Barriers, masks and copies that are not waited for, or for ever.
#include <cassert>
#include <cuda/barrier>
#include <cuda_pipeline_primitives.h>

// run: g1 b64 zero:64
extern "C" __global__ void barrier_in_a_branch(int *y)
{
    __shared__ int tile[64];
    tile[threadIdx.x] = threadIdx.x;
    if (!WRONG || threadIdx.x < 40)
        __syncthreads(); // found: BarrierDivergence BarrierExited
    y[threadIdx.x] = tile[threadIdx.x];
}

// run: g1 b64 zero:64 u32:40
extern "C" __global__ void barrier_after_return(int *y, int n)
{
    if (WRONG && threadIdx.x >= n) return;
    __syncthreads(); // found: BarrierDivergence BarrierExited
    y[threadIdx.x] = 1;
}

// run: g1 b64 zero:64
extern "C" __global__ void barrier_in_a_loop(int *y)
{
    int rounds = WRONG ? threadIdx.x / 32 + 1 : 2;
#pragma unroll 1
    for (int i = 0; i < rounds; i++) {
        y[threadIdx.x] += i;
        __syncthreads(); // found: BarrierExited
    }
}

// run: g1 b64 zero:64
extern "C" __global__ void two_barriers_for_one(int *y)
{
    if (threadIdx.x < 32) {
        y[threadIdx.x] = 5;
        if (WRONG) __syncthreads(); // found: BarrierSites
    } else {
        y[threadIdx.x] = 7;
        if (WRONG) __syncthreads(); // found: BarrierSites
    }
    __syncthreads();
    y[threadIdx.x] += 1;
}

// run: g1 b64 zero:64
extern "C" __global__ void barrier_for_too_many(int *y)
{
    int count = WRONG ? 96 : 64;
    asm volatile("bar.sync 1, %0;" ::"r"(count) : "memory"); // found: Deadlock
    y[threadIdx.x] = 1;
}

__device__ __forceinline__ unsigned shared_address(void *p) { return (unsigned)__cvta_generic_to_shared(p); }

// run: g1 b64 zero:64
extern "C" __global__ void one_does_not_arrive(int *y)
{
    __shared__ unsigned long long barrier;
    unsigned at = shared_address(&barrier), done = 0;
    if (threadIdx.x == 0)
        asm volatile("mbarrier.init.shared.b64 [%0], 64;" ::"r"(at) : "memory");
    __syncthreads();
    if (!WRONG || threadIdx.x != 5)
        asm volatile("{.reg .b64 %%s; mbarrier.arrive.shared.b64 %%s, [%0];}" ::"r"(at) : "memory");
    while (!done)
        asm volatile("{.reg .pred %%q; mbarrier.test_wait.parity.shared.b64 %%q, [%1], 0; selp.u32 %0, 1, 0, %%q;}" // found: Deadlock
                     : "=r"(done) : "r"(at) : "memory");
    y[threadIdx.x] = 1;
}

// run: g1 b32 zero:32
extern "C" __global__ void barrier_that_nobody_made(int *y)
{
    __shared__ unsigned long long barrier;
    unsigned at = shared_address(&barrier);
    if (!WRONG && threadIdx.x == 0) asm volatile("mbarrier.init.shared.b64 [%0], 32;" ::"r"(at) : "memory");
    __syncwarp();
    asm volatile("{.reg .b64 %%s; mbarrier.arrive.shared.b64 %%s, [%0];}" ::"r"(at) : "memory"); // found: Mbarrier
    y[threadIdx.x] = 1;
}

// run: g2 b32 zero:2 zero:1
extern "C" __global__ void locks_crosswise(int *locks, int *count)
{
    if (threadIdx.x != 0) return;
    int first = WRONG ? blockIdx.x : 0;
    atomicCAS(&locks[0], 0, 0);
    while (atomicCAS(&locks[first], 0, 1) != 0) {} // found: Deadlock
    __threadfence();
    if (WRONG) {
        atomicAdd(count, 1);
        while (atomicAdd(count, 0) < 2) {}
    }
    while (atomicCAS(&locks[1 - first], 0, 1) != 0) {} // found: Deadlock
    __threadfence();
    atomicAdd(count, 1);
    __threadfence();
    atomicExch(&locks[1 - first], 0);
    atomicExch(&locks[first], 0);
}

// run: g1 b64 zero:1 zero:64
extern "C" __global__ void flag_that_nobody_sets(volatile int *flag, int *y)
{
    if (threadIdx.x == 0) {
        y[0] = 5;
        __threadfence_block();
        if (!WRONG) *flag = 1;
    }
    if (threadIdx.x >= 32)
        while (*flag == 0) {} // found: Deadlock
    __threadfence_block();
    y[threadIdx.x] += 1;
}

// run: g1 b32 zero:32
extern "C" __global__ void mask_of_half(int *y)
{
    y[threadIdx.x] = 1; // found: Race
    __syncwarp(WRONG ? 0xffff : ~0u); // found: WarpMask
    y[threadIdx.x ^ 1] = 2; // found: Race
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void shuffle_after_return(int *y, const int *x)
{
    int lane = threadIdx.x, v = x[lane];
    if (WRONG && v >= 19) return;
    y[lane] = __shfl_xor_sync(~0u, v, 1); // found: InactiveLane
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void vote_in_a_branch(int *y, const int *x)
{
    int v = x[threadIdx.x];
    if (!WRONG || v < 20)
        v = __ballot_sync(~0u, v > 3); // found: WarpMask
    y[threadIdx.x] = __shfl_xor_sync(~0u, v, 1); // found: WarpMask
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void lane_outside_the_mask(int *y, const int *x)
{
    int lane = threadIdx.x, v = x[lane];
    if (lane < 8)
        v = __shfl_sync(0xff, v, WRONG ? lane + 4 : (lane + 4) % 8); // found: InactiveLane
    y[lane] = v;
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void masks_that_differ(int *y, const int *x)
{
    unsigned mask = WRONG && threadIdx.x % 2 ? 0xaaaaaaaa : ~0u;
    y[threadIdx.x] = __reduce_add_sync(mask, x[threadIdx.x]); // found: WarpMask
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void copy_not_waited_for(int *y, const int *x)
{
    __shared__ int tile[32];
    __pipeline_memcpy_async(&tile[threadIdx.x], &x[threadIdx.x], 4);
    __pipeline_commit();
    if (!WRONG) __pipeline_wait_prior(0);
    y[threadIdx.x] = tile[threadIdx.x]; // found: AsyncPending
}

// run: g1 b32 zero:32 in:64
extern "C" __global__ void waits_for_the_older(int *y, const int *x)
{
    __shared__ int tile[2][32];
    for (int i = 0; i < 2; i++) {
        __pipeline_memcpy_async(&tile[i][threadIdx.x], &x[32 * i + threadIdx.x], 4);
        __pipeline_commit();
    }
    __pipeline_wait_prior(WRONG);
    y[threadIdx.x] = tile[1][threadIdx.x]; // found: AsyncPending
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void wait_without_a_group(int *y, const int *x)
{
    __shared__ int tile[32];
    __pipeline_memcpy_async(&tile[threadIdx.x], &x[threadIdx.x], 4);
    if (!WRONG) __pipeline_commit();
    __pipeline_wait_prior(0);
    y[threadIdx.x] = tile[threadIdx.x]; // found: AsyncPending
}

// run: g1 b8 zero:8 in:40
extern "C" __global__ void odd_copy(int *y, const int *x)
{
    __shared__ int4 tile[8];
    int at = 4 * threadIdx.x + WRONG;
    __pipeline_memcpy_async(&tile[threadIdx.x], x + at, 16); // found: Misaligned
    __pipeline_commit();
    __pipeline_wait_prior(0);
    y[threadIdx.x] = tile[threadIdx.x].x;
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void copy_past_the_end(int *y, const int *x)
{
    __shared__ int tile[32];
    __pipeline_memcpy_async(&tile[threadIdx.x], &x[threadIdx.x + WRONG], 4); // found: OutOfBounds
    __pipeline_commit();
    __pipeline_wait_prior(0);
    y[threadIdx.x] = tile[threadIdx.x];
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void assertion(int *y, const int *x)
{
    int v = x[threadIdx.x];
    assert(v < 32 - WRONG && "values are lanes"); // found: Assertion
    y[threadIdx.x] = v;
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void trap(int *y, const int *x)
{
    if (x[threadIdx.x] > 31 - WRONG)
        __trap(); // found: Trap
    y[threadIdx.x] = 1;
}

// run: g1 b1 zero:1 u32:5
extern "C" __global__ void never_at_one(int *y, unsigned v)
{
    int steps = 0;
    for (; v != 1; steps++) // found: StepLimit
        v = v % 2 ? 3 * v + (WRONG ? 5 : 1) : v / 2; // found: StepLimit
    y[0] = steps;
}
