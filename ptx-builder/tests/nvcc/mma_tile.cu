// arch: sm_80
// A warp's matrix multiplications from ldmatrix fragments, by inline PTX.
extern "C" __global__ void mma_f16(const uint4 *a, const uint2 *b, float *c)
{
    __shared__ __align__(16) uint4 tile_a[32];
    __shared__ __align__(16) uint2 tile_b[32];
    unsigned lane = threadIdx.x;
    tile_a[lane] = a[lane];
    tile_b[lane] = b[lane];
    __syncwarp();
    unsigned at = (unsigned)__cvta_generic_to_shared(&tile_a[lane]);
    unsigned bt = (unsigned)__cvta_generic_to_shared(&tile_b[lane & 30]);
    unsigned r0, r1, r2, r3, s0, s1;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r0), "=r"(r1), "=r"(r2), "=r"(r3)
                 : "r"(at));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(s0), "=r"(s1) : "r"(bt));
    float f0 = 0, f1 = 0, f2 = 0, f3 = 0;
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(f0), "+f"(f1), "+f"(f2), "+f"(f3)
                 : "r"(r0), "r"(r1), "r"(r2), "r"(r3), "r"(s0), "r"(s1));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(f0), "+f"(f1), "+f"(f2), "+f"(f3)
                 : "r"(r0), "r"(r1), "r"(r2), "r"(r3), "r"(s0), "r"(s1));
    reinterpret_cast<float4 *>(c)[lane] = make_float4(f0, f1, f2, f3);
}

extern "C" __global__ void mma_s8(const uint4 *a, const uint2 *b, int4 *c)
{
    uint4 p = a[threadIdx.x];
    uint2 q = b[threadIdx.x];
    int4 s = c[threadIdx.x];
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(s.x), "+r"(s.y), "+r"(s.z), "+r"(s.w)
                 : "r"(p.x), "r"(p.y), "r"(p.z), "r"(p.w), "r"(q.x), "r"(q.y));
    c[threadIdx.x] = s;
}
