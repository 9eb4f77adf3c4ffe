// arch: sm_75
// Atomics and reductions in global and shared memory, at each scope.
extern "C" __global__ void atomics(int *i, unsigned *u, unsigned long long *w, float *f, double *d)
{
    __shared__ unsigned counter;
    __shared__ unsigned long long largest;
    unsigned t = threadIdx.x;
    if (t == 0) {
        counter = 0;
        largest = 0;
    }
    __syncthreads();
    unsigned ticket = atomicInc(&counter, 63u);
    atomicMax(&largest, (unsigned long long)ticket * 3u);
    int old = atomicMin(&i[0], (int)t) + atomicMax(&i[1], (int)t);
    unsigned swapped = atomicExch(&u[0], ticket) + atomicCAS(&u[1], 0u, t) + atomicDec(&u[2], 100u);
    atomicAnd(&u[3], swapped);
    atomicOr(&u[4], swapped);
    atomicXor(&u[5], (unsigned)old);
    atomicAdd(&w[0], (unsigned long long)old);
    w[2] = atomicCAS(&w[1], 0ull, (unsigned long long)t);
    w[3] = atomicExch(&w[4], largest);
    atomicAdd(&f[0], 1.5f);
    f[1] = atomicAdd(&f[2], 2.0f);
    atomicAdd(&d[0], 0.25);
    atomicAdd_system(&u[6], 1u);
    u[7] = atomicAdd_block(&u[8], 1u);
    atomicSub(&i[2], 4);
}

// A spin lock: atomicCAS, fences and volatile accesses.
extern "C" __global__ void locked_add(int *lock, volatile float *sum, float v)
{
    if (threadIdx.x == 0) {
        while (atomicCAS(lock, 0, 1) != 0)
            __nanosleep(40);
        __threadfence();
        *sum = *sum + v;
        __threadfence();
        atomicExch(lock, 0);
        __threadfence_system();
    }
    __threadfence_block();
}
