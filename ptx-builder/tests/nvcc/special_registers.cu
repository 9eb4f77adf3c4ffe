// arch: sm_75
// Special registers, clocks and the generic address space.
__device__ __forceinline__ unsigned lane()
{
    unsigned r;
    asm("mov.u32 %0, %%laneid;" : "=r"(r));
    return r;
}

extern "C" __global__ void special_registers(unsigned *out, unsigned long long *times)
{
    unsigned below, warp, sm;
    unsigned long long now;
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(below));
    asm("mov.u32 %0, %%warpid;" : "=r"(warp));
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    out[threadIdx.x] = lane() + below + warp + sm + gridDim.y * blockIdx.z + blockDim.z + gridDim.z;
    times[threadIdx.x] = now + clock64() + (unsigned)clock();
    if (out[threadIdx.x] == 0xdeadbeefu)
        __trap();
}

// The compiler cannot tell which space the pointer is in: ld and st without a space.
extern "C" __global__ void generic(float *x, int which)
{
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    float *p = which ? s : x;
    p[threadIdx.x ^ 1] += 1.0f;
    if (__isShared(p))
        x[threadIdx.x] = s[threadIdx.x];
    asm volatile("prefetch.global.L2 [%0];" ::"l"(x + 1024));
}
