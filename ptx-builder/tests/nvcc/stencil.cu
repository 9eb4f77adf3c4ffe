// arch: sm_75
// A seven-point stencil with clamped borders: index arithmetic in 2 and 3 dimensions, min and max.
struct Extent {
    int x, y, z;
};

extern "C" __global__ void stencil(const float *__restrict__ in, float *__restrict__ out, Extent n, float k)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    int z = blockIdx.z * blockDim.z + threadIdx.z;
    if (x >= n.x || y >= n.y || z >= n.z)
        return;
    auto at = [&](int a, int b, int c) {
        a = max(0, min(a, n.x - 1));
        b = max(0, min(b, n.y - 1));
        c = max(0, min(c, n.z - 1));
        return in[(c * n.y + b) * n.x + a];
    };
    float s = at(x - 1, y, z) + at(x + 1, y, z) + at(x, y - 1, z) + at(x, y + 1, z) + at(x, y, z - 1) + at(x, y, z + 1);
    out[(z * n.y + y) * n.x + x] = fmaf(k, s - 6.0f * at(x, y, z), at(x, y, z));
}
