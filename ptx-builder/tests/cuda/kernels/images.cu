// Pictures in plain memory.
extern "C" __global__ void gray(const uchar4 *x, unsigned char *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = (77 * x[i].x + 150 * x[i].y + 29 * x[i].z) >> 8;
}

// The mean of 3x3, with a border in shared memory.
extern "C" __global__ void __launch_bounds__(64) box_blur(const unsigned char *x, unsigned char *y, int width, int height)
{
    __shared__ unsigned char tile[10][10];
    int left = 8 * blockIdx.x, top = 8 * blockIdx.y;
    for (int i = threadIdx.y * 8 + threadIdx.x; i < 100; i += 64) {
        int column = min(max(left + i % 10 - 1, 0), width - 1), row = min(max(top + i / 10 - 1, 0), height - 1);
        tile[i / 10][i % 10] = x[row * width + column];
    }
    __syncthreads();
    int column = left + threadIdx.x, row = top + threadIdx.y, sum = 0;
    if (column >= width || row >= height) return;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) sum += tile[threadIdx.y + i][threadIdx.x + j];
    y[row * width + column] = sum / 9;
}

extern "C" __global__ void sobel(const unsigned char *x, short *y, int width, int height)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width || row >= height) return;
    if (column == 0 || row == 0 || column == width - 1 || row == height - 1) {
        y[row * width + column] = 0;
        return;
    }
    const unsigned char *p = x + row * width + column;
    int dx = p[1 - width] + 2 * p[1] + p[1 + width] - p[-1 - width] - 2 * p[-1] - p[-1 + width];
    int dy = p[width - 1] + 2 * p[width] + p[width + 1] - p[-width - 1] - 2 * p[-width] - p[-width + 1];
    y[row * width + column] = abs(dx) + abs(dy);
}

// Twice as large, between the nearest four.
extern "C" __global__ void enlarge(const float *x, float *y, int width, int height)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= 2 * width || row >= 2 * height) return;
    float u = column * 0.5f, v = row * 0.5f;
    int i = (int)floorf(u), j = (int)floorf(v);
    float a = u - i, b = v - j;
    auto at = [&](int i, int j) { return x[min(j, height - 1) * width + min(i, width - 1)]; };
    float top = at(i, j) * (1 - a) + at(i + 1, j) * a, bottom = at(i, j + 1) * (1 - a) + at(i + 1, j + 1) * a;
    y[row * 2 * width + column] = top * (1 - b) + bottom * b;
}

__device__ __forceinline__ void order(unsigned char &a, unsigned char &b)
{
    unsigned char low = min(a, b), high = max(a, b);
    a = low;
    b = high;
}

extern "C" __global__ void median(const unsigned char *x, unsigned char *y, int width, int height)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width - 2 || row >= height - 2) return;
    unsigned char v[9];
    for (int i = 0; i < 9; i++) v[i] = x[(row + i / 3) * width + column + i % 3];
    for (int last = 8; last > 0; last--)
        for (int i = 0; i < last; i++) order(v[i], v[i + 1]);
    y[row * (width - 2) + column] = v[4];
}

extern "C" __global__ void __launch_bounds__(64) equalize(const unsigned char *x, unsigned char *y, int n)
{
    __shared__ int counts[256];
    for (int i = threadIdx.x; i < 256; i += 64) counts[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 64) atomicAdd(&counts[x[i]], 1);
    __syncthreads();
    if (threadIdx.x == 0)
        for (int i = 1; i < 256; i++) counts[i] += counts[i - 1];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += 64) y[i] = 255 * counts[x[i]] / n;
}

// Four bytes at once: the largest of a pixel and its neighbours, and what is beyond a threshold.
extern "C" __global__ void dilate(const unsigned *x, unsigned *y, unsigned *mask, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned v = x[i], left = i > 0 ? x[i - 1] : 0, right = i + 1 < n ? x[i + 1] : 0;
    unsigned before = __byte_perm(left, v, 0x6543), after = __byte_perm(v, right, 0x4321);
    unsigned most = __vmaxu4(v, __vmaxu4(before, after));
    y[i] = most;
    mask[i] = __vcmpgtu4(most, 0x80808080) ^ __vabsdiffu4(v, before);
}

__constant__ int weights[5][5] = {{1, 4, 6, 4, 1}, {4, 16, 24, 16, 4}, {6, 24, 36, 24, 6}, {4, 16, 24, 16, 4}, {1, 4, 6, 4, 1}};

extern "C" __global__ void gauss(const unsigned char *x, unsigned char *y, int width, int height)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= width - 4 || row >= height - 4) return;
    int sum = 128;
#pragma unroll 1
    for (int i = 0; i < 5; i++)
#pragma unroll 1
        for (int j = 0; j < 5; j++) sum += weights[i][j] * x[(row + i) * width + column + j];
    y[row * (width - 4) + column] = sum >> 8;
}

extern "C" __global__ void rotate(const uchar3 *x, uchar3 *y, int width, int height)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (column < width && row < height) y[column * height + height - 1 - row] = x[row * width + column];
}

// Sums of all above and to the left: a row a block, then a column a thread.
extern "C" __global__ void __launch_bounds__(32) integral_rows(const unsigned char *x, int *y)
{
    int at = 32 * blockIdx.x + threadIdx.x, v = x[at];
    for (int step = 1; step < 32; step *= 2) {
        int before = __shfl_up_sync(~0u, v, step);
        if (threadIdx.x >= step) v += before;
    }
    y[at] = v;
}

// Each pixel takes the least label of its like neighbours until nothing changes.
extern "C" __global__ void __launch_bounds__(256) components(const unsigned char *x, int *labels, int width, int height)
{
    __shared__ int changed;
    int i = threadIdx.x, column = i % width, row = i / width, n = width * height;
    if (i < n) labels[i] = i;
    do {
        __syncthreads();
        if (i == 0) changed = 0;
        __syncthreads();
        if (i < n) {
            int old = atomicAdd(&labels[i], 0), least = old;
            if (column > 0 && x[i - 1] == x[i]) least = min(least, atomicAdd(&labels[i - 1], 0));
            if (column < width - 1 && x[i + 1] == x[i]) least = min(least, atomicAdd(&labels[i + 1], 0));
            if (row > 0 && x[i - width] == x[i]) least = min(least, atomicAdd(&labels[i - width], 0));
            if (row < height - 1 && x[i + width] == x[i]) least = min(least, atomicAdd(&labels[i + width], 0));
            if (least < old) {
                atomicMin(&labels[i], least);
                atomicOr(&changed, 1);
            }
        }
        __syncthreads();
    } while (changed);
}
