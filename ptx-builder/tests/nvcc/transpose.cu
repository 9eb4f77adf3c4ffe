// arch: sm_75
// A 32 x 32 tile through shared memory, with a padding column against bank conflicts.
template <typename T>
__global__ void transpose(T *__restrict__ out, const T *__restrict__ in, int rows, int columns)
{
    __shared__ T tile[32][33];
    int c = blockIdx.x * 32 + threadIdx.x;
    for (int j = threadIdx.y; j < 32; j += 8) {
        int r = blockIdx.y * 32 + j;
        if (r < rows && c < columns)
            tile[j][threadIdx.x] = in[(size_t)r * columns + c];
    }
    __syncthreads();
    int r = blockIdx.y * 32 + threadIdx.x;
    for (int j = threadIdx.y; j < 32; j += 8) {
        int c = blockIdx.x * 32 + j;
        if (r < rows && c < columns)
            out[(size_t)c * rows + r] = tile[threadIdx.x][j];
    }
}

template __global__ void transpose<float>(float *, const float *, int, int);
template __global__ void transpose<unsigned short>(unsigned short *, const unsigned short *, int, int);
