"""Triton kernels of this project: each with the types of its arguments and its constants, for build.py."""

import triton
import triton.language as tl

K = {}


def kernel(sig, const, **opts):
    def put(fn):
        j=triton.jit(fn); K[fn.__name__]=(j,sig,const,opts); return j
    return put
@kernel("*fp32 *fp32 *fp32 i32",dict(B=256))
def add(x,y,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n
    tl.store(o+i,tl.load(x+i,mask=m)+tl.load(y+i,mask=m),mask=m)
@kernel("*fp32 *fp32 i32",dict(B=128))
def softmax(x,o,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); m=c<n
    v=tl.load(x+r*n+c,mask=m,other=-float("inf"))
    e=tl.exp(v-tl.max(v,0)); tl.store(o+r*n+c,e/tl.sum(e,0),mask=m)
@kernel("*fp16 *fp16 *fp32 i32 i32 i32",dict(BM=32,BN=32,BK=32))
def matmul_f16(a,b,c,M,N,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    pm=tl.program_id(0); pn=tl.program_id(1)
    rm=pm*BM+tl.arange(0,BM); rn=pn*BN+tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.float32)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:],mask=(rm[:,None]<M)&((k+rk)[None,:]<Kd),other=0.0)
        y=tl.load(b+(k+rk)[:,None]*N+rn[None,:],mask=((k+rk)[:,None]<Kd)&(rn[None,:]<N),other=0.0)
        acc=tl.dot(x,y,acc)
    tl.store(c+rm[:,None]*N+rn[None,:],acc,mask=(rm[:,None]<M)&(rn[None,:]<N))
@kernel("*bf16 *bf16 *fp32 i32 i32 i32",dict(BM=32,BN=32,BK=32))
def matmul_bf16(a,b,c,M,N,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    pm=tl.program_id(0); pn=tl.program_id(1)
    rm=pm*BM+tl.arange(0,BM); rn=pn*BN+tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.float32)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:]); y=tl.load(b+(k+rk)[:,None]*N+rn[None,:])
        acc=tl.dot(x,y,acc)
    tl.store(c+rm[:,None]*N+rn[None,:],acc)
@kernel("*fp32 *fp32 *fp32 i32 i32 i32",dict(BM=32,BN=32,BK=32))
def matmul_tf32(a,b,c,M,N,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    pm=tl.program_id(0); pn=tl.program_id(1)
    rm=pm*BM+tl.arange(0,BM); rn=pn*BN+tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.float32)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:]); y=tl.load(b+(k+rk)[:,None]*N+rn[None,:])
        acc=tl.dot(x,y,acc,input_precision="tf32")
    tl.store(c+rm[:,None]*N+rn[None,:],acc)
@kernel("*fp32 *fp32 *fp32 i32 i32 i32",dict(BM=32,BN=32,BK=32))
def matmul_ieee(a,b,c,M,N,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    rm=tl.arange(0,BM); rn=tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.float32)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:]); y=tl.load(b+(k+rk)[:,None]*N+rn[None,:])
        acc=tl.dot(x,y,acc,input_precision="ieee")
    tl.store(c+rm[:,None]*N+rn[None,:],acc)
@kernel("*i8 *i8 *i32 i32 i32 i32",dict(BM=32,BN=32,BK=32))
def matmul_i8(a,b,c,M,N,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    rm=tl.arange(0,BM); rn=tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.int32)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:]); y=tl.load(b+(k+rk)[:,None]*N+rn[None,:])
        acc=tl.dot(x,y,acc)
    tl.store(c+rm[:,None]*N+rn[None,:],acc)
@kernel("*fp8e5 *fp8e5 *fp32 i32",dict(BM=32,BN=32,BK=32))
def matmul_fp8(a,b,c,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    rm=tl.arange(0,BM); rn=tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.float32)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:]); y=tl.load(b+(k+rk)[:,None]*BN+rn[None,:])
        acc=tl.dot(x,y,acc)
    tl.store(c+rm[:,None]*BN+rn[None,:],acc)
@kernel("*fp64 *fp64 *fp64 i32",dict(BM=16,BN=16,BK=16))
def matmul_f64(a,b,c,Kd,BM:tl.constexpr,BN:tl.constexpr,BK:tl.constexpr):
    rm=tl.arange(0,BM); rn=tl.arange(0,BN); rk=tl.arange(0,BK)
    acc=tl.zeros((BM,BN),tl.float64)
    for k in range(0,Kd,BK):
        x=tl.load(a+rm[:,None]*Kd+(k+rk)[None,:]); y=tl.load(b+(k+rk)[:,None]*BN+rn[None,:])
        acc=tl.dot(x,y,acc)
    tl.store(c+rm[:,None]*BN+rn[None,:],acc)
@kernel("*fp32 *fp32 *fp32 *fp32 i32 fp32",dict(B=128))
def layernorm(x,w,b,o,n,eps,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); m=c<n
    v=tl.load(x+r*n+c,mask=m,other=0.0); mu=tl.sum(v,0)/n
    d=tl.where(m,v-mu,0.0); var=tl.sum(d*d,0)/n; s=1/tl.sqrt(var+eps)
    tl.store(o+r*n+c,d*s*tl.load(w+c,mask=m)+tl.load(b+c,mask=m),mask=m)
@kernel("*fp32 *fp32 i32 fp32",dict(B=128))
def rmsnorm(x,o,n,eps,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); m=c<n
    v=tl.load(x+r*n+c,mask=m,other=0.0); s=tl.rsqrt(tl.sum(v*v,0)/n+eps)
    tl.store(o+r*n+c,v*s,mask=m)
@kernel("*fp32 *fp32 i32 fp32 i32",dict(B=256))
def dropout(x,o,n,p,seed,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n
    v=tl.load(x+i,mask=m); r=tl.rand(seed,i)
    tl.store(o+i,tl.where(r>p,v/(1-p),0.0),mask=m)
@kernel("*fp32 *fp32",dict(B=128))
def scan_sum(x,o,B:tl.constexpr):
    i=tl.arange(0,B); tl.store(o+i,tl.cumsum(tl.load(x+i),0))
@kernel("*fp32 *i32 i32",dict(B=128))
def argmax(x,o,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B)
    v=tl.load(x+r*n+c,mask=c<n,other=-float("inf")); tl.store(o+r,tl.argmax(v,0))
@kernel("*i32 *i32",dict(B=128))
def sorts(x,o,B:tl.constexpr):
    i=tl.arange(0,B); tl.store(o+i,tl.sort(tl.load(x+i)))
@kernel("*i32 *i32",dict(B=256,N=16))
def histogram(x,o,B:tl.constexpr,N:tl.constexpr):
    i=tl.arange(0,B); h=tl.histogram(tl.load(x+i),N); tl.atomic_add(o+tl.arange(0,N),h)
@kernel("*i32 *i32 i32",dict(B=256))
def atomic_hist(x,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n
    tl.atomic_add(o+tl.load(x+i,mask=m,other=0),1,mask=m)
@kernel("*fp32 *i32 *fp32 i32",dict(B=64))
def gather_rows(x,idx,o,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); j=tl.load(idx+r)
    tl.store(o+r*n+c,tl.load(x+j*n+c,mask=c<n),mask=c<n)
@kernel("*fp32 *fp32 i32 i32",dict(B=32))
def transpose(x,o,M,N,B:tl.constexpr):
    r=tl.program_id(0)*B+tl.arange(0,B); c=tl.program_id(1)*B+tl.arange(0,B)
    v=tl.load(x+r[:,None]*N+c[None,:],mask=(r[:,None]<M)&(c[None,:]<N))
    tl.store(o+c[:,None]*M+r[None,:],tl.trans(v),mask=(c[:,None]<N)&(r[None,:]<M))
@kernel("*fp32 *fp32 i32",dict(B=128))
def gelu(x,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n; v=tl.load(x+i,mask=m)
    tl.store(o+i,0.5*v*(1+tl.erf(v*0.7071067811865476)),mask=m)
@kernel("*fp16 *fp16 *fp16 i32",dict(B=128))
def swiglu(g,u,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n
    a=tl.load(g+i,mask=m).to(tl.float32); b=tl.load(u+i,mask=m).to(tl.float32)
    tl.store(o+i,(a*tl.sigmoid(a)*b).to(tl.float16),mask=m)
@kernel("*fp32 *i32 *fp32 i32",dict(B=128))
def cross_entropy(x,t,o,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); m=c<n
    v=tl.load(x+r*n+c,mask=m,other=-float("inf")); mx=tl.max(v,0)
    tl.store(o+r,tl.log(tl.sum(tl.exp(v-mx),0))+mx-tl.load(x+r*n+tl.load(t+r)))
@kernel("*fp32 *i8 *fp32 i32",dict(B=128))
def quantize(x,q,s,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); m=c<n
    v=tl.load(x+r*n+c,mask=m,other=0.0); a=tl.max(tl.abs(v),0)/127.0
    tl.store(s+r,a); tl.store(q+r*n+c,tl.extra.cuda.libdevice.rint(v/a).to(tl.int8),mask=m)
@kernel("*u8 *fp32 i32",dict(B=128))
def unpack4(x,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n; v=tl.load(x+i,mask=m)
    lo=(v&15).to(tl.float32)-8; hi=(v>>4).to(tl.float32)-8
    tl.store(o+2*i,lo,mask=m); tl.store(o+2*i+1,hi,mask=m)
@kernel("*fp32 *fp8e5 *fp32 i32",dict(B=128))
def fp8_cast(x,q,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n; v=tl.load(x+i,mask=m).to(tl.float8e5)
    tl.store(q+i,v,mask=m); tl.store(o+i,v.to(tl.float32),mask=m)
@kernel("*fp16 *fp16 *fp16 *fp16 i32 fp32",dict(BM=32,BN=32,D=32))
def attention(q,k,v,o,n,scale,BM:tl.constexpr,BN:tl.constexpr,D:tl.constexpr):
    rm=tl.program_id(0)*BM+tl.arange(0,BM); rd=tl.arange(0,D); rn=tl.arange(0,BN)
    qq=tl.load(q+rm[:,None]*D+rd[None,:]); mi=tl.full((BM,),-float("inf"),tl.float32); li=tl.zeros((BM,),tl.float32); acc=tl.zeros((BM,D),tl.float32)
    for s in range(0,n,BN):
        kk=tl.load(k+(s+rn)[None,:]*D+rd[:,None]); z=tl.dot(qq,kk)*scale
        mn=tl.maximum(mi,tl.max(z,1)); p=tl.exp2((z-mn[:,None])*1.44269504); al=tl.exp2((mi-mn)*1.44269504)
        vv=tl.load(v+(s+rn)[:,None]*D+rd[None,:]); acc=acc*al[:,None]; acc=tl.dot(p.to(tl.float16),vv,acc)
        li=li*al+tl.sum(p,1); mi=mn
    tl.store(o+rm[:,None]*D+rd[None,:],(acc/li[:,None]).to(tl.float16))
@kernel("*fp32 *fp32 *fp32 i32",dict(B=64))
def rope(x,cs,o,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); a=tl.load(x+r*2*B+c); b=tl.load(x+r*2*B+B+c)
    t=tl.load(cs+r*B+c); co=tl.cos(t); si=tl.sin(t)
    tl.store(o+r*2*B+c,a*co-b*si); tl.store(o+r*2*B+B+c,b*co+a*si)
@kernel("*i32 *i32",dict(B=32))
def lock(l,x,B:tl.constexpr):
    while tl.atomic_cas(l,0,1)==1: pass
    tl.store(x,tl.load(x)+1); tl.debug_barrier(); tl.atomic_xchg(l,0)
@kernel("*fp32 *fp32",dict(M=32,N=64))
def reduce_2d(x,o,M:tl.constexpr,N:tl.constexpr):
    r=tl.arange(0,M); c=tl.arange(0,N); v=tl.load(x+r[:,None]*N+c[None,:]); tl.store(o+c,tl.sum(v,0)); tl.store(o+N+r,tl.max(v,1))
@kernel("*i32 i32",dict(B=32))
def prints(x,n,B:tl.constexpr):
    i=tl.arange(0,B); v=tl.load(x+i); tl.device_print("v",v)
@kernel("*i32 *i32 i32",dict(B=32),debug=True)
def asserts(x,o,n,B:tl.constexpr):
    i=tl.arange(0,B); v=tl.load(x+i); tl.device_assert(v<n,"too large"); tl.store(o+i,v*2)
@kernel("*u64 *u64",dict(B=64))
def mulhi(x,o,B:tl.constexpr):
    i=tl.arange(0,B); v=tl.load(x+i); tl.store(o+i,tl.umulhi(v,v)^(v//7)+(v%10))
@kernel("*fp32 *fp32 *fp32 i32",dict(B=64))
def matvec(a,x,o,n,B:tl.constexpr):
    r=tl.program_id(0); acc=tl.zeros((B,),tl.float32)
    for k in range(0,n,B):
        c=k+tl.arange(0,B); acc+=tl.load(a+r*n+c,mask=c<n,other=0.0)*tl.load(x+c,mask=c<n,other=0.0)
    tl.store(o+r,tl.sum(acc,0))
@kernel("*fp32 *fp32 i32",dict(B=64,W=5))
def conv1d(x,o,n,B:tl.constexpr,W:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); acc=tl.zeros((B,),tl.float32)
    for w in tl.static_range(W):
        j=i+w-W//2; acc+=tl.load(x+j,mask=(j>=0)&(j<n),other=0.0)*(w+1)
    tl.store(o+i,acc,mask=i<n)
@kernel("*fp32 *fp32 *fp32 i32",dict(B=128))
def welford(x,mean,var,n,B:tl.constexpr):
    r=tl.program_id(0); c=tl.arange(0,B); v=tl.load(x+r*n+c,mask=c<n,other=0.0)
    mu=tl.sum(v,0)/n; tl.store(mean+r,mu); tl.store(var+r,tl.sum(tl.where(c<n,(v-mu)*(v-mu),0.0),0)/n)
@kernel("*bf16 *bf16 i32",dict(B=128))
def bf16_scale(x,o,n,B:tl.constexpr):
    i=tl.program_id(0)*B+tl.arange(0,B); m=i<n; tl.store(o+i,tl.load(x+i,mask=m)*2,mask=m)
@kernel("*fp32 *fp32",dict(B=128,Kk=8))
def topk(x,o,B:tl.constexpr,Kk:tl.constexpr):
    i=tl.arange(0,B); v=tl.topk(tl.load(x+i),Kk); tl.store(o+tl.arange(0,Kk),v)
@kernel("*fp16 *fp16 i32",dict(B=128))
def f16_atomic(x,o,n,B:tl.constexpr):
    i=tl.arange(0,B); tl.atomic_add(o+i%8,tl.load(x+i))
@kernel("*fp32 *fp32",dict(B=64))
def flips(x,o,B:tl.constexpr):
    i=tl.arange(0,B); v=tl.load(x+i); a,b=tl.split(tl.reshape(v,(B//2,2))); tl.store(o+i,tl.interleave(b,a)); tl.store(o+B+i,tl.flip(v,0))
@kernel("*fp32 *i32 *fp32",dict(B=64))
def gathers(x,idx,o,B:tl.constexpr):
    i=tl.arange(0,B); tl.store(o+i,tl.gather(tl.load(x+i),tl.load(idx+i),0))
