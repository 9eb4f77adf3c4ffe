// Locks and structures that many threads change.
#include <cuda/atomic>
#include <cuda/semaphore>

extern "C" __global__ void spin_lock(int *lock, int *count)
{
    cuda::atomic_ref<int, cuda::thread_scope_device> held(*lock);
    for (bool done = false; !done;) {
        if (held.exchange(1, cuda::memory_order_acquire) == 0) {
            *count += 1;
            held.store(0, cuda::memory_order_release);
            done = true;
        }
    }
}

// The lock of old code: compare and swap with fences.
extern "C" __global__ void fenced_lock(int *lock, volatile int *count)
{
    if (threadIdx.x % 32 == 0) {
        while (atomicCAS(lock, 0, 1) != 0) {}
        __threadfence();
        *count = *count + 1;
        __threadfence();
        atomicExch(lock, 0);
    }
}

extern "C" __global__ void ticket_lock(unsigned *next, unsigned *serving, int *y)
{
    if (threadIdx.x != 0) return;
    cuda::atomic_ref<unsigned, cuda::thread_scope_device> turns(*next), now(*serving);
    unsigned mine = turns.fetch_add(1, cuda::memory_order_relaxed);
    while (now.load(cuda::memory_order_acquire) != mine) {}
    y[0] = y[0] * 2 + 1;
    now.store(mine + 1, cuda::memory_order_release);
}

// One block hands a message to the next.
extern "C" __global__ void message(int *data, int *flag, int *y)
{
    cuda::atomic_ref<int, cuda::thread_scope_device> ready(*flag);
    if (blockIdx.x == 0) {
        data[threadIdx.x] = 7 * threadIdx.x;
        __syncthreads();
        if (threadIdx.x == 0) ready.store(1, cuda::memory_order_release);
    } else {
        if (threadIdx.x == 0)
            while (ready.load(cuda::memory_order_acquire) == 0) {}
        __syncthreads();
        y[threadIdx.x] = data[threadIdx.x] + 1;
    }
}

// At most two at a time.
extern "C" __global__ void semaphore(int *inside, int *crowded)
{
    using Semaphore = cuda::counting_semaphore<cuda::thread_scope_block, 2>;
    __shared__ alignas(Semaphore) char place[sizeof(Semaphore)];
    auto &semaphore = *reinterpret_cast<Semaphore *>(place);
    if (threadIdx.x == 0) new (place) Semaphore(2);
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        semaphore.acquire();
        atomicMax(crowded, atomicAdd(inside, 1) / 2);
        atomicSub(inside, 1);
        semaphore.release();
    }
}

// Keys into a table of open places, each with its count.
extern "C" __global__ void hash_count(const unsigned *x, unsigned *keys, int *counts, int n, unsigned places)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned key = x[i], at = key * 2654435761u >> 26;
    for (;; at++) {
        unsigned seen = atomicCAS(&keys[at % places], ~0u, key);
        if (seen == ~0u || seen == key) {
            atomicAdd(&counts[at % places], 1);
            return;
        }
    }
}

// Nodes onto a list by compare and swap; then its length and sum.
extern "C" __global__ void linked_list(int *head, int *next, int *y)
{
    cuda::atomic_ref<int, cuda::thread_scope_block> first(*head);
    int i = threadIdx.x, old = first.load(cuda::memory_order_relaxed);
    do next[i] = old;
    while (!first.compare_exchange_weak(old, i, cuda::memory_order_release, cuda::memory_order_relaxed));
    __syncthreads();
    if (i == 0) {
        int length = 0, sum = 0;
        for (int at = *head; at >= 0; at = next[at]) {
            length++;
            sum += at;
        }
        y[0] = length;
        y[1] = sum;
    }
}
