// Atomics: every operation, type, order and scope.
#include <cuda/atomic>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

extern "C" __global__ void atomic_operations(int *y, unsigned *u, const int *x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = x[i];
    atomicAdd(&y[0], v);
    atomicSub(&y[1], v);
    atomicMin(&y[2], v);
    atomicMax(&y[3], v);
    atomicAnd(&u[0], (unsigned)v);
    atomicOr(&u[1], (unsigned)v);
    atomicXor(&u[2], (unsigned)v);
    atomicInc(&u[3], 6u);
    atomicDec(&u[4], 4u);
    atomicMin(&u[5], (unsigned)v);
    atomicMax(&u[6], (unsigned)v);
}

// What was there before makes a permutation; the block's own scope; 64 bits.
extern "C" __global__ void __launch_bounds__(64) atomic_results(int *seen, unsigned long long *sums, int n)
{
    __shared__ int next;
    __shared__ unsigned long long most;
    if (threadIdx.x == 0) {
        next = 0;
        most = 0;
    }
    __syncthreads();
    int mine = atomicAdd_block(&next, 1);
    seen[mine] = 1;
    atomicMax(&most, 1ull << mine % 40);
    atomicAdd(&sums[0], 1ull << 33);
    atomicXor(&sums[1], 1ull << mine);
    __syncthreads();
    if (threadIdx.x == 0) sums[2] = most;
}

extern "C" __global__ void atomic_floats(float *f, double *d, __half2 *h, __nv_bfloat162 *b, __half *one)
{
    float v = (float)(threadIdx.x % 8);
    atomicAdd(f, v);
    atomicAdd_system(d, (double)v);
    atomicAdd(h, __floats2half2_rn(v, 1.0f));
    atomicAdd(b, __floats2bfloat162_rn(1.0f, v > 3));
    atomicAdd(one, __float2half(v));
}

// The largest float by compare and swap.
extern "C" __global__ void atomic_float_max(const float *x, float *most)
{
    int *bits = (int *)most;
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    int old = *(volatile int *)bits;
    while (__int_as_float(old) < v) {
        int seen = atomicCAS(bits, old, __float_as_int(v));
        if (seen == old) break;
        old = seen;
    }
}

// 16 bits by compare and swap.
extern "C" __global__ void atomic_short(unsigned short *y)
{
    unsigned short old = *(volatile unsigned short *)y, seen;
    while ((seen = atomicCAS(y, old, (unsigned short)(old + 3))) != old) old = seen;
}

template <cuda::thread_scope Scope> __device__ void orders(int *y, int v)
{
    using Number = cuda::atomic_ref<int, Scope>;
    Number sum(y[0]), bits(y[5]);
    sum.fetch_add(v, cuda::memory_order_relaxed);
    sum.fetch_add(v, cuda::memory_order_acquire);
    sum.fetch_add(v, cuda::memory_order_release);
    sum.fetch_sub(-v, cuda::memory_order_acq_rel);
    sum.fetch_add(v, cuda::memory_order_seq_cst);
    Number(y[1]).fetch_max(v, cuda::memory_order_relaxed);
    Number(y[2]).fetch_min(v - 100, cuda::memory_order_acq_rel);
    Number(y[3]).fetch_or(1 << v % 31, cuda::memory_order_release);
    cuda::atomic_thread_fence(cuda::memory_order_seq_cst, Scope);
    Number(y[4]).fetch_and(~v, cuda::memory_order_acquire);
    bits.fetch_xor(v, cuda::memory_order_seq_cst);
    bits.fetch_xor(1 << v % 29, cuda::memory_order_relaxed);
}

extern "C" __global__ void atomic_orders(int *y)
{
    orders<cuda::thread_scope_block>(y + 8 * blockIdx.x, threadIdx.x);
    orders<cuda::thread_scope_device>(y + 16, threadIdx.x + 1);
    orders<cuda::thread_scope_system>(y + 24, threadIdx.x + 2);
}

// Loads, stores and exchanges of every order.
extern "C" __global__ void __launch_bounds__(32) atomic_accesses(int *y, int *out)
{
    cuda::atomic_ref<int, cuda::thread_scope_device> a(y[threadIdx.x]);
    a.store(1, cuda::memory_order_relaxed);
    int v = a.load(cuda::memory_order_relaxed);
    a.store(v + 2, cuda::memory_order_release);
    v += a.load(cuda::memory_order_acquire);
    a.store(v + 3, cuda::memory_order_seq_cst);
    v += a.load(cuda::memory_order_seq_cst);
    v += a.exchange(v, cuda::memory_order_acq_rel);
    int wanted = v - 7;
    bool same = a.compare_exchange_strong(wanted, 5, cuda::memory_order_acq_rel, cuda::memory_order_acquire);
    out[threadIdx.x] = v + 1000 * same + 10000 * wanted;
}

// The largest of doubles, which the library makes of compare and swap; and 8 bits.
extern "C" __global__ void atomic_library(double *most, unsigned char *bits)
{
    cuda::atomic_ref<double, cuda::thread_scope_device>(*most).fetch_max(threadIdx.x * 0.5);
    cuda::atomic_ref<unsigned char, cuda::thread_scope_device>(bits[threadIdx.x % 2]).fetch_or(1 << threadIdx.x % 8);
}
