// `cuda::barrier`, and the barriers of the machine by number.
#include <cuda/barrier>
#include <cuda/latch>

using Barrier = cuda::barrier<cuda::thread_scope_block>;

extern "C" __global__ void __launch_bounds__(64) arrive_and_wait(const int *x, int *y)
{
#pragma nv_diag_suppress static_var_with_dynamic_init
    __shared__ Barrier barrier;
    __shared__ int tile[64];
    if (threadIdx.x == 0) init(&barrier, 64);
    __syncthreads();
    for (int round = 0; round < 3; round++) {
        tile[threadIdx.x] = x[64 * round + threadIdx.x];
        barrier.arrive_and_wait();
        y[64 * round + threadIdx.x] = tile[63 - threadIdx.x];
        barrier.arrive_and_wait();
    }
}

// Work of one's own between arriving and waiting.
extern "C" __global__ void __launch_bounds__(64) split_arrival(const int *x, int *y)
{
    __shared__ Barrier barrier;
    __shared__ int tile[64];
    if (threadIdx.x == 0) init(&barrier, 64);
    __syncthreads();
    tile[threadIdx.x] = x[threadIdx.x];
    auto token = barrier.arrive();
    int own = x[threadIdx.x] * 3;
    barrier.wait(static_cast<Barrier::arrival_token &&>(token));
    y[threadIdx.x] = own + tile[threadIdx.x ^ 32];
}

// One warp fills two buffers, the other empties them.
extern "C" __global__ void __launch_bounds__(64) producer_consumer(const int *x, int *y, int rounds)
{
    __shared__ Barrier full[2], empty[2];
    __shared__ int buffer[2][32];
    int lane = threadIdx.x % 32;
    if (threadIdx.x < 2) {
        init(&full[threadIdx.x], 64);
        init(&empty[threadIdx.x], 64);
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        for (int i = 0; i < rounds; i++) {
            empty[i % 2].arrive_and_wait();
            buffer[i % 2][lane] = x[32 * i + lane] + i;
            (void)full[i % 2].arrive();
        }
    } else {
        (void)empty[0].arrive();
        (void)empty[1].arrive();
        int sum = 0;
        for (int i = 0; i < rounds; i++) {
            full[i % 2].arrive_and_wait();
            sum += buffer[i % 2][31 - lane];
            if (i + 2 < rounds) (void)empty[i % 2].arrive();
        }
        y[lane] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(64) dropping(int *y)
{
    __shared__ Barrier barrier;
    __shared__ int rounds[64];
    if (threadIdx.x == 0) init(&barrier, 64);
    __syncthreads();
    int stay = threadIdx.x / 16 + 1, i = 0;
    for (; i < stay - 1; i++) barrier.arrive_and_wait();
    rounds[threadIdx.x] = i;
    barrier.arrive_and_drop();
    y[threadIdx.x] = rounds[threadIdx.x];
}

extern "C" __global__ void __launch_bounds__(64) barrier_copy(const int4 *x, int *y)
{
    __shared__ Barrier barrier;
    __shared__ int4 tile[64];
    if (threadIdx.x == 0) init(&barrier, 64);
    __syncthreads();
    cuda::memcpy_async(&tile[threadIdx.x], &x[threadIdx.x], cuda::aligned_size_t<16>(16), barrier);
    barrier.arrive_and_wait();
    int4 v = tile[63 - threadIdx.x];
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}

extern "C" __global__ void __launch_bounds__(64) latched(int *y)
{
    using Latch = cuda::latch<cuda::thread_scope_block>;
    __shared__ alignas(Latch) char place[sizeof(Latch)];
    __shared__ int tile[32];
    auto &latch = *reinterpret_cast<Latch *>(place);
    if (threadIdx.x == 0) new (place) Latch(32);
    __syncthreads();
    if (threadIdx.x < 32) {
        tile[threadIdx.x] = threadIdx.x * threadIdx.x;
        latch.count_down();
    } else {
        latch.wait();
        y[threadIdx.x - 32] = tile[63 - threadIdx.x];
    }
}

extern "C" __global__ void __launch_bounds__(64) counted(const int *x, int *y)
{
    int v = x[threadIdx.x];
    int positive = __syncthreads_count(v > 0), all = __syncthreads_and(v > -100), any = __syncthreads_or(v > 100);
    y[threadIdx.x] = positive + 1000 * (all != 0) + 2000 * (any != 0);
}

// Barriers 1 and 2 for two warps each.
extern "C" __global__ void __launch_bounds__(128) numbered(const int *x, int *y)
{
    __shared__ int tile[128];
    int pair = threadIdx.x / 64;
    tile[threadIdx.x] = x[threadIdx.x];
    asm volatile("bar.sync %0, 64;" ::"r"(pair + 1) : "memory");
    y[threadIdx.x] = tile[threadIdx.x ^ 32];
}
