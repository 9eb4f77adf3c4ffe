// arch: sm_75
// Dynamic shared memory beside a static array, and block-wide votes.
extern __shared__ __align__(16) unsigned char dynamic[];

extern "C" __global__ void dynamic_shared(const float *x, float *y, int *counts, int n)
{
    __shared__ int above;
    float *values = reinterpret_cast<float *>(dynamic);
    short *order = reinterpret_cast<short *>(dynamic + n * sizeof(float));
    int t = threadIdx.x;
    if (t == 0)
        above = 0;
    if (t < n) {
        values[t] = x[t];
        order[t] = (short)(n - 1 - t);
    }
    int positive = __syncthreads_count(t < n && x[t] > 0.0f);
    if (__syncthreads_or(t == positive))
        atomicAdd(&above, 1);
    if (__syncthreads_and(t < 1024))
        y[t] = t < n ? values[order[t]] : 0.0f;
    counts[t] = above + positive;
}
