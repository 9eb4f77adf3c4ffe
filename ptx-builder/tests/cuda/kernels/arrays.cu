// Matrices, stencils, graphs and strings.
extern "C" __global__ void __launch_bounds__(64) matmul(const float *a, const float *b, float *c, int n)
{
    __shared__ float ta[8][8], tb[8][9];
    int row = 8 * blockIdx.y + threadIdx.y, column = 8 * blockIdx.x + threadIdx.x;
    float sum = 0;
    for (int at = 0; at < n; at += 8) {
        ta[threadIdx.y][threadIdx.x] = a[row * n + at + threadIdx.x];
        tb[threadIdx.y][threadIdx.x] = b[(at + threadIdx.y) * n + column];
        __syncthreads();
        for (int k = 0; k < 8; k++) sum += ta[threadIdx.y][k] * tb[k][threadIdx.x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}

extern "C" __global__ void __launch_bounds__(128) transpose(const float *x, float *y, int width, int height)
{
    __shared__ float tile[16][17];
    int column = 16 * blockIdx.x + threadIdx.x, row = 16 * blockIdx.y + threadIdx.y;
    for (int i = 0; i < 16; i += 8)
        if (column < width && row + i < height) tile[threadIdx.y + i][threadIdx.x] = x[(row + i) * width + column];
    __syncthreads();
    column = 16 * blockIdx.y + threadIdx.x;
    row = 16 * blockIdx.x + threadIdx.y;
    for (int i = 0; i < 16; i += 8)
        if (column < height && row + i < width) y[(row + i) * height + column] = tile[threadIdx.x][threadIdx.y + i];
}

// Compressed rows, a warp each.
extern "C" __global__ void sparse_rows(const int *starts, const int *columns, const float *values, const float *x, float *y)
{
    int row = blockIdx.x, lane = threadIdx.x;
    float sum = 0;
    for (int i = starts[row] + lane; i < starts[row + 1]; i += 32) sum += values[i] * __ldg(&x[columns[i]]);
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(~0u, sum, step);
    if (lane == 0) y[row] = sum;
}

extern "C" __global__ void __launch_bounds__(64) stencil(const float *x, float *y, int n)
{
    __shared__ float line[64 + 4];
    int i = 64 * blockIdx.x + threadIdx.x;
    auto at = [&](int i) { return i >= 0 && i < n ? x[i] : 0.0f; };
    line[threadIdx.x + 2] = at(i);
    if (threadIdx.x < 2) {
        line[threadIdx.x] = at(i - 2);
        line[threadIdx.x + 66] = at(i + 64);
    }
    __syncthreads();
    float sum = 0;
#pragma unroll
    for (int k = 0; k < 5; k++) sum += (k + 1) * line[threadIdx.x + k];
    if (i < n) y[i] = sum;
}

// One level of a search in breadth.
extern "C" __global__ void breadth_first(const int *starts, const int *edges, int *depth, int level, int n, int *more)
{
    int node = blockIdx.x * blockDim.x + threadIdx.x;
    if (node >= n || atomicAdd(&depth[node], 0) != level) return;
    for (int i = starts[node]; i < starts[node + 1]; i++)
        if (atomicCAS(&depth[edges[i]], -1, level + 1) == -1) atomicExch(more, 1);
}

extern "C" __global__ void life(const unsigned char *x, unsigned char *y, int width, int height)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= width * height) return;
    int column = i % width, row = i / width, alive = -x[i];
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            alive += x[(row + dy + height) % height * width + (column + dx + width) % width];
    y[i] = alive == 3 || (alive == 2 && x[i]);
}

// The distance between two words, an antidiagonal at a time.
extern "C" __global__ void __launch_bounds__(32) edit_distance(const char *a, const char *b, int *y, int n)
{
    __shared__ int line[3][33];
    int i = threadIdx.x + 1;
    for (int d = 0; d <= 2 * n; d++) {
        int *now = line[d % 3], *last = line[(d + 2) % 3], *before = line[(d + 1) % 3];
        int j = d - i;
        if (threadIdx.x == 0) now[0] = d;
        if (i <= n && j == 0) now[i] = i;
        if (i <= n && j >= 1 && j <= n) {
            int swap = before[i - 1] + (a[i - 1] != b[j - 1]);
            now[i] = min(swap, min(last[i - 1], last[i]) + 1);
        }
        __syncwarp();
    }
    if (i == n) *y = line[2 * n % 3][n];
}

extern "C" __global__ void base64(const uchar3 *x, uchar4 *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned bits = x[i].x << 16 | x[i].y << 8 | x[i].z;
    auto letter = [](unsigned v) -> unsigned char {
        return v < 26 ? 'A' + v : v < 52 ? 'a' + v - 26 : v < 62 ? '0' + v - 52 : v == 62 ? '+' : '/';
    };
    y[i] = make_uchar4(letter(bits >> 18), letter(bits >> 12 & 63), letter(bits >> 6 & 63), letter(bits & 63));
}

// Fixed point, so that every machine counts the same.
extern "C" __global__ void mandelbrot(unsigned char *y, int width, int height)
{
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (column >= width) return;
    long long cx = ((long long)column * 3 << 24) / width - (2 << 24), cy = ((long long)row * 2 << 24) / height - (1 << 24);
    long long zx = 0, zy = 0;
    int n = 0;
    for (; n < 50; n++) {
        long long xx = zx * zx >> 24, yy = zy * zy >> 24;
        if (xx + yy > 4 << 24) break;
        zy = (zx * zy >> 23) + cy;
        zx = xx - yy + cx;
    }
    y[row * width + column] = n;
}

extern "C" __global__ void __launch_bounds__(64) sieve(unsigned char *prime, int n)
{
    for (int i = threadIdx.x; i < n; i += 64) prime[i] = i > 1;
    __syncthreads();
    for (int p = 2; p * p < n; p++) {
        bool is = prime[p];
        __syncthreads();
        if (is)
            for (int i = p * (p + threadIdx.x); i < n; i += 64 * p) prime[i] = 0;
        __syncthreads();
    }
}
