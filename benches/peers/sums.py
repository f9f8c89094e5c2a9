"""The aggregation alone, and what the machine can do."""
import numpy as np

from measure import THREADS, measure, result


def run_sum(graph, _, route):
    """A weighted sum over the incoming edges of each node and the node itself, as in a graph convolution."""
    n, x, loops = graph["n"], graph["x"], np.arange(graph["n"])
    src, dst = np.r_[graph["src"], loops], np.r_[graph["dst"], loops]
    order = np.lexsort((src, dst))
    src, dst = src[order], dst[order]
    weight = np.random.default_rng(0).random(len(src), dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(dst, minlength=n))])
    if route == "scipy":
        import scipy.sparse
        matrix = scipy.sparse.csr_matrix((weight, src.astype(np.int32), offsets.astype(np.int32)), shape=(n, n))
        return result(forward=measure(lambda: matrix @ x))
    import torch
    torch.set_num_threads(THREADS)
    x, weight = torch.from_numpy(x), torch.from_numpy(weight)
    if route == "torch_csr":
        matrix = torch.sparse_csr_tensor(torch.from_numpy(offsets), torch.from_numpy(src), weight, size=(n, n))
        return result(forward=measure(lambda: matrix @ x))
    import dgl
    g = dgl.graph((torch.from_numpy(src), torch.from_numpy(dst)), num_nodes=n).int()
    g.create_formats_()
    if route == "dgl_unweighted":
        return result(forward=measure(lambda: dgl.ops.copy_u_sum(g, x)))
    return result(forward=measure(lambda: dgl.ops.u_mul_e_sum(g, x, weight[:, None])))


def rates():
    """Dense products in GFLOP/s; reading from memory and from the last cache in GB/s, each thread a part of its own."""
    from concurrent.futures import ThreadPoolExecutor
    random = np.random.default_rng(0)
    a, b = random.random((2, 1024, 1024), dtype=np.float32)
    least = measure(lambda: a @ b)["min_ms"]
    try:
        import torch
        torch.set_num_threads(THREADS)
        c, d = torch.from_numpy(a), torch.from_numpy(b)
        least = min(least, measure(lambda: c @ d)["min_ms"])
    except ImportError:
        pass
    pool = ThreadPoolExecutor(THREADS)

    def reading(megabytes, repeats):
        parts = [np.ones((megabytes << 18) // THREADS, dtype=np.float32) for _ in range(THREADS)]
        read = lambda part: [part.max() for _ in range(repeats)]
        return repeats * (megabytes << 20) / measure(lambda: list(pool.map(read, parts)))["min_ms"] / 1e6

    return {"gemm_gflops": 2 * 1024**3 / least / 1e6, "memory_gb_s": reading(1024, 1), "cache_gb_s": reading(16, 20)}
