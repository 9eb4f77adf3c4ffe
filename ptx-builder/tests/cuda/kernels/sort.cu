// Sorts without a library.
extern "C" __global__ void __launch_bounds__(64) sort_bitonic(int *x)
{
    __shared__ int v[128];
    int t = threadIdx.x;
    v[t] = x[t];
    v[t + 64] = x[t + 64];
    for (int size = 2; size <= 128; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            int a = 2 * t - (t & (step - 1)), b = a + step;
            bool up = (a & size) == 0;
            if ((v[a] > v[b]) == up) {
                int held = v[a];
                v[a] = v[b];
                v[b] = held;
            }
        }
    __syncthreads();
    x[t] = v[t];
    x[t + 64] = v[t + 64];
}

// A warp's 32 values in registers.
extern "C" __global__ void sort_lanes(const float *x, float *y)
{
    int lane = threadIdx.x;
    float v = x[lane];
    for (int size = 2; size <= 32; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            float other = __shfl_xor_sync(~0u, v, step);
            bool low = ((lane & size) == 0) == ((lane & step) == 0);
            v = low ? fminf(v, other) : fmaxf(v, other);
        }
    y[lane] = v;
}

extern "C" __global__ void __launch_bounds__(64) sort_odd_even(short *x, int n)
{
    for (int round = 0; round < n; round++) {
        int a = 2 * threadIdx.x + round % 2;
        if (a + 1 < n && x[a] > x[a + 1]) {
            short held = x[a];
            x[a] = x[a + 1];
            x[a + 1] = held;
        }
        __syncthreads();
    }
}

// The place of a value is the number of those that go before it.
extern "C" __global__ void sort_ranks(const unsigned long long *x, unsigned long long *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int rank = 0;
    for (int j = 0; j < n; j++) rank += x[j] < x[i] || (x[j] == x[i] && j < i);
    y[rank] = x[i];
}

extern "C" __global__ void __launch_bounds__(64) sort_counting(const unsigned char *x, unsigned char *y, int n)
{
    __shared__ int counts[256];
    for (int i = threadIdx.x; i < 256; i += 64) counts[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 64) atomicAdd(&counts[x[i]], 1);
    __syncthreads();
    if (threadIdx.x == 0)
        for (int i = 1; i < 256; i++) counts[i] += counts[i - 1];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 64) y[atomicSub(&counts[x[i]], 1) - 1] = x[i];
}

// Two sorted runs into one: each thread finds its place by bisection.
extern "C" __global__ void merge_path(const int *a, const int *b, int *y, int n)
{
    int d = blockIdx.x * blockDim.x + threadIdx.x;
    if (d >= 2 * n) return;
    int low = d > n ? d - n : 0, high = d < n ? d : n;
    while (low < high) {
        int i = (low + high) / 2;
        if (a[i] <= b[d - i - 1]) low = i + 1;
        else high = i;
    }
    int j = d - low;
    y[d] = j >= n || (low < n && a[low] <= b[j]) ? a[low] : b[j];
}
