// What a Q4_K product with f32 activations cannot be faster than, chained in one CUDA graph with
// programmatic dependent launch over 1 GiB of different matrices (docs/results.md, "Dependent launch"):
// kernels that read the same bytes from the same places, and leave out reading the vector, decoding, or both.
//
//   nvcc -O3 -std=c++17 -arch=sm_90 -o floors gpu/floors.cu && ./floors
//
// Results are meaningless; only times count. A warp has one superblock of 2 * ROWS rows, half a warp a row.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>
#include <vector>

#define CHECK(call)                                                                    \
    do {                                                                               \
        cudaError_t error = (call);                                                    \
        if (error != cudaSuccess) {                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, cudaGetErrorString(error));     \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

constexpr int BLOCK_BYTES = 144, GROUP_STRIDE = 20;
constexpr size_t ROTATION = size_t(1) << 30;

__device__ inline void copy_async(void *to, const void *from) {
    unsigned address = (unsigned)__cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
}

template <int SUPERBLOCKS, int ROWS, int PARTS, bool VECTOR, bool DECODE>
__global__ void __launch_bounds__(SUPERBLOCKS *PARTS * 32, 2)
    gemv(const unsigned char *w, const float *x, float *y, int rows) {
    constexpr int THREADS = SUPERBLOCKS * PARTS * 32, BLOCK_ROWS = PARTS * 2 * ROWS;
    constexpr int CHUNKS = BLOCK_ROWS * SUPERBLOCKS * BLOCK_BYTES / 16, QUADS = SUPERBLOCKS * 64;
    __shared__ __align__(16) float staged[SUPERBLOCKS][16 * GROUP_STRIDE];
    __shared__ float terms[BLOCK_ROWS][SUPERBLOCKS];
    extern __shared__ __align__(16) unsigned char tile[];
    const int thread = threadIdx.x, warp = thread >> 5, group = thread & 15, half = (thread >> 4) & 1;
    const int superblock = warp % SUPERBLOCKS, part = warp / SUPERBLOCKS;

    const size_t first = size_t(blockIdx.x) * CHUNKS, end = size_t(rows) * SUPERBLOCKS * BLOCK_BYTES / 16;
#pragma unroll
    for (int i = 0; i < (CHUNKS + THREADS - 1) / THREADS; i++) {
        const int chunk = thread + i * THREADS;
        if (chunk < CHUNKS && first + chunk < end) copy_async(tile + chunk * 16, w + (first + chunk) * 16);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");

    float values[16];
    if (VECTOR)
#pragma unroll
        for (int i = 0; i < (QUADS + THREADS - 1) / THREADS; i++) {
            const int quad = thread + i * THREADS, at = quad * 4;
            if (QUADS % THREADS != 0 && quad >= QUADS) break;
            float4 v;
            asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];"
                         : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(x + at));
            *(float4 *)&staged[at >> 8][((at & 255) >> 4) * GROUP_STRIDE + (at & 15)] = v;
        }
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 16; i++)
        values[i] = VECTOR ? staged[superblock][group * GROUP_STRIDE + i] : float(i + group);

    float sums[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const unsigned char *block = tile + ((part * 2 * ROWS + r * 2 + half) * SUPERBLOCKS + superblock) * BLOCK_BYTES;
        const uint4 header = *(const uint4 *)block;
        const uint4 q = *(const uint4 *)(block + 16 + ((group >> 2) * 2 + (group & 1)) * 16);
        const unsigned words[4] = {q.x, q.y, q.z, q.w};
        const int shift = (group & 2) ? 4 : 0;
        const float scale = float((header.y >> ((group & 3) * 8)) & 63) * float(header.x & 0xffff);
        const float minimum = float((header.z >> ((group & 3) * 8)) & 63) * float(header.x >> 16);
        sums[r] = 0;
#pragma unroll
        for (int i = 0; i < 16; i++) {
            float weight = __uint_as_float(words[i / 4] + i) + __uint_as_float(header.x);
            if (DECODE) {
                const unsigned nibbles = (words[i / 4] >> shift) & 0x0f0f0f0f;
                weight = fmaf(__uint_as_float(__byte_perm(nibbles, 0x4b000000, 0x7440 + i % 4)), scale, -minimum);
            }
            sums[r] = fmaf(weight, values[i], sums[r]);
        }
    }
    const int distances[4] = {2, 4, 8, 1};
#pragma unroll
    for (int d = 0; d < 4; d++)
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[r] += __shfl_xor_sync(~0u, sums[r], distances[d]);
    float own = sums[0];
#pragma unroll
    for (int r = 1; r < ROWS; r++)
        if (group == r) own = sums[r];
    if (group < ROWS) terms[part * 2 * ROWS + group * 2 + half][superblock] = own;
    __syncthreads();
    const int row = blockIdx.x * BLOCK_ROWS + thread;
    if (thread < BLOCK_ROWS && row < rows) {
        float sum = 0;
#pragma unroll
        for (int b = 0; b < SUPERBLOCKS; b++) sum += terms[thread][b];
        y[row] = sum;
    }
}

template <int SUPERBLOCKS, int ROWS, int PARTS, bool VECTOR, bool DECODE>
void measure(const unsigned char *w, const float *x, float *y, int rows) {
    constexpr int BLOCK_ROWS = PARTS * 2 * ROWS;
    const size_t bytes = size_t(rows) * SUPERBLOCKS * BLOCK_BYTES;
    const int launches = int(ROTATION / bytes), blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t run;
    cudaEvent_t before, after;
    CHECK(cudaStreamCreate(&stream));
    CHECK(cudaEventCreate(&before));
    CHECK(cudaEventCreate(&after));
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < launches; i++) {
        cudaLaunchAttribute dependent[1];
        dependent[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        dependent[0].val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config = {};
        config.gridDim = blocks;
        config.blockDim = SUPERBLOCKS * PARTS * 32;
        config.dynamicSmemBytes = BLOCK_ROWS * SUPERBLOCKS * BLOCK_BYTES;
        config.stream = stream;
        config.attrs = dependent;
        config.numAttrs = 1;
        CHECK(cudaLaunchKernelEx(&config, gemv<SUPERBLOCKS, ROWS, PARTS, VECTOR, DECODE>, w + bytes * i, x, y, rows));
    }
    CHECK(cudaStreamEndCapture(stream, &graph));
    CHECK(cudaGraphInstantiate(&run, graph, 0));
    std::vector<float> times;
    for (int i = 0; i < 12; i++) {
        float ms;
        CHECK(cudaEventRecord(before, stream));
        CHECK(cudaGraphLaunch(run, stream));
        CHECK(cudaEventRecord(after, stream));
        CHECK(cudaEventSynchronize(after));
        CHECK(cudaEventElapsedTime(&ms, before, after));
        if (i > 1) times.push_back(ms * 1000 / launches);
    }
    std::sort(times.begin(), times.end());
    printf("| %d x %d | %d | %d | %s | %s | %.2f |\n", rows, SUPERBLOCKS * 256, blocks, SUPERBLOCKS * PARTS,
           VECTOR ? "yes" : "no", DECODE ? "yes" : "no", times[times.size() / 2]);
    CHECK(cudaGraphExecDestroy(run));
    CHECK(cudaGraphDestroy(graph));
    CHECK(cudaStreamDestroy(stream));
}

template <int SUPERBLOCKS, int ROWS, int PARTS>
void all(const unsigned char *w, const float *x, float *y, int rows) {
    measure<SUPERBLOCKS, ROWS, PARTS, false, false>(w, x, y, rows);
    measure<SUPERBLOCKS, ROWS, PARTS, false, true>(w, x, y, rows);
    measure<SUPERBLOCKS, ROWS, PARTS, true, false>(w, x, y, rows);
    measure<SUPERBLOCKS, ROWS, PARTS, true, true>(w, x, y, rows);
}

int main() {
    unsigned char *w;
    float *x, *y;
    CHECK(cudaMalloc(&w, ROTATION));
    CHECK(cudaMalloc(&x, 8192 * sizeof(float)));
    CHECK(cudaMalloc(&y, 8192 * sizeof(float)));
    CHECK(cudaMemset(w, 1, ROTATION));
    CHECK(cudaMemset(x, 0, 8192 * sizeof(float)));
    printf("| rows x K | blocks | warps | reads the vector | decodes | us |\n|---|---|---|---|---|---|\n");
    all<8, 3, 1>(w, x, y, 768);
    all<8, 4, 1>(w, x, y, 768);
    all<8, 3, 2>(w, x, y, 768);
    all<8, 4, 2>(w, x, y, 768);
    all<3, 2, 4>(w, x, y, 2048);
    all<3, 4, 2>(w, x, y, 2048);
    all<3, 4, 4>(w, x, y, 2048);
    all<3, 3, 6>(w, x, y, 2048);
}
