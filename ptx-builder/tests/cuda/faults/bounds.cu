// Accesses where nothing is, or where nobody has written.
// run: g2 b32 zero:50 in:50 u32:50
extern "C" __global__ void bound_of_grid(int *y, const int *x, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n + WRONG)
        y[i] = x[i]; // found: OutOfBounds
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void before_the_start(int *y, const int *x)
{
    int i = threadIdx.x;
    if (i > 0 || WRONG)
        y[i] = x[i - 1]; // found: OutOfBounds
}

// run: g1 b32 zero:32 in:20 u32:20
extern "C" __global__ void unsigned_below_zero(int *y, const int *x, unsigned n)
{
    unsigned i = threadIdx.x;
    if (WRONG || i < n)
        y[i] = x[n - 1 - i]; // found: OutOfBounds
}

// run: g1 b8,4 zero:32 in:32 u32:8 u32:4
extern "C" __global__ void rows_for_columns(int *y, const int *x, int width, int height)
{
    int column = threadIdx.x, row = threadIdx.y;
    int at = WRONG ? row * height + column * width : row * width + column;
    y[row * width + column] = x[at]; // found: OutOfBounds
}

// run: g1 b16 zero:16 in:128 u32:8
extern "C" __global__ void one_round_more(int *y, const int *x, int n)
{
    int sum = 0;
#pragma unroll 1
    for (int k = 0; k < n + WRONG; k++)
        sum += x[16 * k + threadIdx.x]; // found: OutOfBounds
    y[threadIdx.x] = sum;
}

// run: g1 b64 zero:64 in:64
extern "C" __global__ void past_shared(int *y, const int *x)
{
    __shared__ int tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    int at = WRONG ? threadIdx.x + 1 : (threadIdx.x + 1) % 64;
    y[threadIdx.x] = tile[at]; // found: OutOfBounds
}

// run: g1 b64 s256 zero:64 in:64
extern "C" __global__ void past_dynamic(int *y, const int *x)
{
    extern __shared__ int words[];
    words[threadIdx.x + (WRONG && threadIdx.x == 63)] = x[threadIdx.x]; // found: OutOfBounds
    __syncthreads();
    y[threadIdx.x] = threadIdx.x < 63 ? words[threadIdx.x] : 0;
}

// run: g1 b64 zero:16 in:64
extern "C" __global__ void bin_too_many(int *bins, const int *x)
{
    int bin = WRONG ? x[threadIdx.x] / 4 + 1 : x[threadIdx.x] / 4;
    atomicAdd(&bins[bin], 1); // found: OutOfBounds
}

__constant__ int table[8] = {1, 2, 3, 4, 5, 6, 7, 8};

// run: g1 b16 zero:16
extern "C" __global__ void past_constants(int *y)
{
    y[threadIdx.x] = table[threadIdx.x & (WRONG ? 15 : 7)]; // found: OutOfBounds
}

// run: g1 b32 zero:32 in:32
extern "C" __global__ void past_own_array(int *y, const int *x)
{
    int counts[8] = {};
#pragma unroll 1
    for (int i = 0; i < 32; i++)
        counts[x[i] & (WRONG ? 15 : 7)]++; // found: OutOfBounds
    y[threadIdx.x] = counts[threadIdx.x & 7];
}

// run: g1 b8 zero:32 in:40
extern "C" __global__ void odd_vector(int4 *y, const int *x)
{
    int at = 4 * threadIdx.x + WRONG;
    y[threadIdx.x] = *reinterpret_cast<const int4 *>(x + at); // found: Misaligned
}

// run: g1 b8 zero:16 u32:4
extern "C" __global__ void odd_double(double *y, int offset)
{
    __shared__ alignas(8) char bytes[80];
    double *values = reinterpret_cast<double *>(bytes + (WRONG ? offset : 2 * offset));
    values[threadIdx.x] = threadIdx.x; // found: Misaligned
    y[threadIdx.x] = values[threadIdx.x];
}

// run: g1 b64 zero:64 in:64
extern "C" __global__ void one_not_loaded(int *y, const int *x)
{
    __shared__ int tile[64];
    if (threadIdx.x < 64 - WRONG) tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x]; // found: Uninitialized
}

// run: g1 b32 out:32 in:32
extern "C" __global__ void adds_to_nothing(int *y, const int *x)
{
    if (!WRONG) y[threadIdx.x] = 0;
    y[threadIdx.x] += x[threadIdx.x]; // found: Uninitialized
}

// run: g1 b64 zero:16 in:64
extern "C" __global__ void bins_not_cleared(int *y, const int *x)
{
    __shared__ int bins[16];
    if (!WRONG && threadIdx.x < 16) bins[threadIdx.x] = 0;
    __syncthreads();
    atomicAdd(&bins[x[threadIdx.x] % 16], 1); // found: Uninitialized
    __syncthreads();
    if (threadIdx.x < 16)
        y[threadIdx.x] = bins[threadIdx.x];
}

// run: g1 b34 zero:34 in:32
extern "C" __global__ void halo_not_loaded(int *y, const int *x)
{
    __shared__ int line[36];
    int t = threadIdx.x;
    if (t < 32) line[t + 2] = x[t];
    if (t < 2) line[t] = 0;
    if (t >= 32 && !WRONG) line[t + 2] = 0;
    __syncthreads();
    int sum = line[t];
    if (t < 34)
        sum += line[t + 2]; // found: Uninitialized
    y[t] = sum;
}
