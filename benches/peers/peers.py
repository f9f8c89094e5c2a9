"""One peer, measured in this process: `peers.py CASE ROUTE THREADS SECONDS` prints one line of JSON, `peers.py list` the
routes that this Python can take, `peers.py rates - THREADS SECONDS` what the machine can do. compare.py calls it."""
import importlib.util, json, os, resource, statistics, sys, time, warnings

warnings.filterwarnings("ignore")
os.environ |= {"DGLBACKEND": "pytorch", "JAX_PLATFORMS": "cpu"}
THREADS = int(sys.argv[3]) if len(sys.argv) > 3 else 1
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 2.0
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

import numpy as np
import graphs

NODE_KINDS = ("gcn", "sage", "gin", "gat")


def measure(work, least=5):
    """Warm up, then run until the time is spent; work that takes longer than that by itself runs twice."""
    start = time.perf_counter()
    work()
    if time.perf_counter() - start > SECONDS:
        least = 2
    else:
        work()
    times, start = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - start < SECONDS:
        begin = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begin))
    return {"median_ms": statistics.median(times), "min_ms": min(times), "count": len(times)}


def result(forward, step, parameters):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"forward": forward, "step": step, "parameters": parameters, "peak_memory_mb": peak}


# ------------------------------------------------------------------ PyTorch: PyG and DGL

def time_torch(model, inputs, target, loss_of, compiled=False):
    import torch
    torch.set_num_threads(THREADS)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    call = torch.compile(model) if compiled else model

    def forward():
        with torch.no_grad():
            call(*inputs)

    def step():
        optimizer.zero_grad()
        loss_of(call(*inputs), target).backward()
        optimizer.step()

    model.eval()
    if compiled:  # compiles again for the second call, when caches are filled
        forward(), forward()
    forward_time = measure(forward)
    model.train()
    if compiled:
        step(), step()
    return result(forward_time, measure(step), sum(p.numel() for p in model.parameters()))


def mlp(*widths):
    from torch import nn
    layers = [layer for i, o in zip(widths, widths[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def two_layers(one, two, call, activation, out=None, pool=None):
    """A network of two convolutions, which `call(layer, x)` applies; of graphs, a readout and a last map."""
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.out = one, two, out

        def forward(self, x):
            x = call(self.two, activation(call(self.one, x)))
            return x if out is None else self.out(pool(activation(x)))
    return Network()


def run_pyg(graph, kind, route):
    import torch
    from torch import nn
    import torch_geometric.nn as pyg
    f, h, c, n = graph["f"], graph["h"], graph["c"], graph["n"]
    edges = torch.from_numpy(np.stack([graph["src"], graph["dst"]]))
    adjacency = edges
    if route == "pyg_csr":
        offsets = np.concatenate([[0], np.cumsum(np.bincount(graph["dst"], minlength=n))])
        adjacency = torch.sparse_csr_tensor(torch.from_numpy(offsets), edges[0], torch.ones(edges.size(1)), size=(n, n))
    elif route == "pyg_sparse":
        from torch_sparse import SparseTensor
        adjacency = SparseTensor(row=edges[1], col=edges[0], sparse_sizes=(n, n), is_sorted=True).fill_cache_()
    activation = nn.functional.elu if kind == "gat" else torch.relu
    if kind == "gcn":  # cached: the normalized adjacency is made once
        one, two = pyg.GCNConv(f, h, cached=True), pyg.GCNConv(h, c, cached=True)
    elif kind == "sage":
        one, two = pyg.SAGEConv(f, h), pyg.SAGEConv(h, c)
    elif kind == "gat":
        one, two = pyg.GATConv(f, 8, heads=8), pyg.GATConv(64, c)
    else:
        one, two = pyg.GINConv(mlp(f, h, h)), pyg.GINConv(mlp(h, h, h if "batch" in graph else c))

    call = lambda layer, x: layer(x, adjacency)
    out = pool = None
    if "batch" in graph:
        batch = torch.from_numpy(graph["batch"])
        out, pool = nn.Linear(h, c), lambda x: pyg.global_mean_pool(x, batch, graph["graphs"])
    model = two_layers(one, two, call, activation, out, pool)
    return time_torch(model, (torch.from_numpy(graph["x"]),), torch.from_numpy(graph["y"]), nn.functional.cross_entropy,
                      route == "pyg_compile")


def run_dgl(graph, kind, _):
    import torch, dgl
    import dgl.nn as dnn
    from torch import nn
    f, h, c = graph["f"], graph["h"], graph["c"]
    g = dgl.graph((torch.from_numpy(graph["src"]), torch.from_numpy(graph["dst"])), num_nodes=graph["n"])
    if kind in ("gcn", "gat"):
        g = dgl.add_self_loop(g)
    g = g.int()
    if "batch" in graph:
        g.set_batch_num_nodes(torch.from_numpy(np.bincount(graph["batch"])).int())
        g.set_batch_num_edges(torch.from_numpy(np.bincount(graph["batch"][graph["dst"]])).int())
    activation = nn.functional.elu if kind == "gat" else torch.relu
    one, two = {
        "gcn": lambda: (dnn.GraphConv(f, h), dnn.GraphConv(h, c)),
        "sage": lambda: (dnn.SAGEConv(f, h, "mean"), dnn.SAGEConv(h, c, "mean")),
        "gat": lambda: (dnn.GATConv(f, 8, 8), dnn.GATConv(64, c, 1)),
        "gin": lambda: (dnn.GINConv(mlp(f, h, h)), dnn.GINConv(mlp(h, h, h if "batch" in graph else c))),
    }[kind]()

    out, pool = (nn.Linear(h, c), lambda x: dnn.AvgPooling()(g, x)) if "batch" in graph else (None, None)
    model = two_layers(one, two, lambda layer, x: layer(g, x).flatten(1), activation, out, pool)
    return time_torch(model, (torch.from_numpy(graph["x"]),), torch.from_numpy(graph["y"]), nn.functional.cross_entropy)


def run_torch_mgn(graph, _, route):
    """The processor of MeshGraphNets: messages m = LN(MLP([e, source, target])), e += m, x += LN(MLP([x, sum of m]))."""
    import torch
    from torch import nn
    d, src, dst = graph["h"], torch.from_numpy(graph["src"]), torch.from_numpy(graph["dst"])
    perceptron = lambda width: nn.Sequential(*mlp(width, d, d, d), nn.LayerNorm(d))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.edge = nn.ModuleList(perceptron(3 * d) for _ in range(graph["blocks"]))
            self.node = nn.ModuleList(perceptron(2 * d) for _ in range(graph["blocks"]))

        def forward(self, x, e):
            for edge, node in zip(self.edge, self.node):
                m = edge(torch.cat([e, x.index_select(0, src), x.index_select(0, dst)], -1))
                x = x + node(torch.cat([x, torch.zeros_like(x).index_add_(0, dst, m)], -1))
                e = e + m
            return x

    inputs = (torch.from_numpy(graph["x"]), torch.from_numpy(graph["e"]))
    return time_torch(Network(), inputs, torch.from_numpy(graph["y"]), nn.functional.mse_loss, route == "torch_compile")


# ------------------------------------------------------------------ JAX

def run_jax(graph, kind, _):
    # XLA takes as many threads as there are cores to run on.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    if THREADS == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax, jax.numpy as jnp
    n, f, h, c, x, y = (graph[key] for key in ("n", "f", "h", "c", "x", "y"))
    src, dst = graph["src"].astype(np.int32), graph["dst"].astype(np.int32)
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 256))
    linear = lambda i, o, bias=True: [jax.random.normal(next(keys), (i, o)) / i**0.5] + [jnp.zeros(o)] * bias
    apply = lambda p, v: v @ p[0] + (p[1] if len(p) > 1 else 0)
    perceptron = lambda *widths: [linear(i, o) for i, o in zip(widths, widths[1:])]
    sum_to = lambda v, ids: jax.ops.segment_sum(v, ids, n, indices_are_sorted=True)

    def through(layers, v):
        for layer in layers[:-1]:
            v = jax.nn.relu(apply(layer, v))
        return apply(layers[-1], v)

    if kind == "gcn":
        loops, degree = np.arange(n, dtype=np.int32), np.bincount(dst, minlength=n) + 1.0
        order = np.lexsort((np.r_[src, loops], np.r_[dst, loops]))
        src, dst = np.r_[src, loops][order], np.r_[dst, loops][order]
        weight = jnp.asarray(((degree[src] * degree[dst]) ** -0.5)[:, None], dtype=jnp.float32)
        parameters = [linear(f, h), linear(h, c)]
        layer = lambda p, v: sum_to((v @ p[0])[src] * weight, dst) + p[1]
    elif kind == "sage":
        inverse = jnp.asarray(1 / np.maximum(np.bincount(dst, minlength=n), 1)[:, None], dtype=jnp.float32)
        parameters = [(linear(f, h), linear(f, h, bias=False)), (linear(h, c), linear(h, c, bias=False))]
        layer = lambda p, v: apply(p[0], sum_to(v[src], dst) * inverse) + apply(p[1], v)
    elif kind == "gin":
        parameters = [perceptron(f, h, h), perceptron(h, h, c)]
        layer = lambda p, v: through(p, v + sum_to(v[src], dst))
    if kind == "mgn":
        d, e0 = h, graph["e"]
        with_norm = lambda width: (perceptron(width, d, d, d), jnp.ones(d), jnp.zeros(d))
        parameters = [(with_norm(3 * d), with_norm(2 * d)) for _ in range(graph["blocks"])]

        def normalized(p, v):
            v = through(p[0], v)
            v = v - v.mean(-1, keepdims=True)
            return v * jax.lax.rsqrt((v * v).mean(-1, keepdims=True) + 1e-5) * p[1] + p[2]

        def network(p, v):
            e = jnp.asarray(e0)
            for edge, node in p:
                m = normalized(edge, jnp.concatenate([e, v[src], v[dst]], -1))
                v, e = v + normalized(node, jnp.concatenate([v, sum_to(m, dst)], -1)), e + m
            return v
        loss = lambda p, v: ((network(p, v) - y) ** 2).mean()
    else:
        network = lambda p, v: layer(p[1], jax.nn.relu(layer(p[0], v)))
        loss = lambda p, v: -jnp.take_along_axis(jax.nn.log_softmax(network(p, v)), y[:, None], 1).mean()

    tree = jax.tree_util.tree_map

    @jax.jit
    def adam(p, m, v, t, x):  # x is an argument, so that nothing of it is folded into constants
        gradient = jax.grad(loss)(p, x)
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        move = lambda p, m, v: p - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return tree(move, p, m, v), m, v

    x, forward, zeros = jnp.asarray(x), jax.jit(network), tree(jnp.zeros_like, parameters)
    state, count = [parameters, zeros, zeros], [0]

    def step():
        count[0] += 1
        state[:] = jax.block_until_ready(adam(*state, float(count[0]), x))

    forward_time = measure(lambda: forward(parameters, x).block_until_ready())
    return result(forward_time, measure(step), sum(a.size for a in jax.tree_util.tree_leaves(parameters)))


# ------------------------------------------------------------------ the aggregation alone

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
        return result(measure(lambda: matrix @ x), None, 0)
    import torch
    torch.set_num_threads(THREADS)
    x, weight = torch.from_numpy(x), torch.from_numpy(weight)
    if route == "torch_csr":
        matrix = torch.sparse_csr_tensor(torch.from_numpy(offsets), torch.from_numpy(src), weight, size=(n, n))
        return result(measure(lambda: matrix @ x), None, 0)
    if route == "torch_sparse":
        from torch_sparse import SparseTensor
        matrix = SparseTensor(row=torch.from_numpy(dst), col=torch.from_numpy(src), value=weight, sparse_sizes=(n, n))
        return result(measure(lambda: matrix @ x), None, 0)
    import dgl
    g = dgl.graph((torch.from_numpy(src), torch.from_numpy(dst)), num_nodes=n).int()
    g.create_formats_()
    if route == "dgl_unweighted":
        return result(measure(lambda: dgl.ops.copy_u_sum(g, x)), None, 0)
    return result(measure(lambda: dgl.ops.u_mul_e_sum(g, x, weight[:, None])), None, 0)


# ------------------------------------------------------------------ what the machine can do

def rates():
    """Dense products in GFLOP/s; reading from memory and from the last cache in GB/s, each thread a part of its own."""
    from concurrent.futures import ThreadPoolExecutor
    random = np.random.default_rng(0)
    a, b = random.random((2, 1024, 1024), dtype=np.float32)
    gflops = 2 * 1024**3 / measure(lambda: a @ b)["min_ms"] / 1e6
    pool = ThreadPoolExecutor(THREADS)

    def reading(megabytes, repeats):
        parts = [np.ones((megabytes << 18) // THREADS, dtype=np.float32) for _ in range(THREADS)]
        read = lambda part: [part.max() for _ in range(repeats)]
        return repeats * (megabytes << 20) / measure(lambda: list(pool.map(read, parts)))["min_ms"] / 1e6

    return {"gemm_gflops": gflops, "memory_gb_s": reading(1024, 1), "cache_gb_s": reading(16, 20)}


def routes():
    """The cases and routes that can be taken here: {"cora/gcn": {"dgl": run, ...}, ...}."""
    have = lambda module: importlib.util.find_spec(module) is not None
    found = {}
    add = lambda case, route, run: found.setdefault(case, {}).setdefault(route, run)
    for case in [f"{graph}/{kind}" for graph in graphs.SHAPES for kind in NODE_KINDS] + ["batch/gin"]:
        if have("torch_geometric"):
            for route in ["pyg", "pyg_csr"] + ["pyg_sparse"] * have("torch_sparse") + ["pyg_compile"] * case.endswith("/gcn"):
                add(case, route, run_pyg)
        if have("dgl"):
            add(case, "dgl", run_dgl)
        if have("jax") and case != "batch/gin" and not case.endswith("gat"):
            add(case, "jax", run_jax)
    if have("torch") and not have("dgl"):  # DGL's environment has an older torch
        add("sim/mgn", "torch", run_torch_mgn)
        add("sim/mgn", "torch_compile", run_torch_mgn)
        add("arxiv/sum", "torch_csr", run_sum)
    for module, case, route, run in (("jax", "sim/mgn", "jax", run_jax), ("scipy", "arxiv/sum", "scipy", run_sum),
                                     ("torch_sparse", "arxiv/sum", "torch_sparse", run_sum),
                                     ("dgl", "arxiv/sum", "dgl", run_sum), ("dgl", "arxiv/sum", "dgl_unweighted", run_sum)):
        if have(module):
            add(case, route, run)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "list":
        print(json.dumps({case: list(of_case) for case, of_case in routes().items()}))
    elif sys.argv[1] == "rates":
        print(json.dumps(rates()))
    else:
        case, route = sys.argv[1:3]
        graph, kind = case.split("/")
        print(json.dumps(routes()[case][route](graphs.make(graph), kind, route)))
