"""PyTorch Geometric, DGL and plain PyTorch; see README.md for the routes."""
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, elu, linear, mse_loss

from measure import THREADS, measure, result

torch.set_num_threads(THREADS)


def adam(model):
    """Fused where this PyTorch has it for the CPU."""
    try:
        return torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    except RuntimeError:
        return torch.optim.Adam(model.parameters(), lr=1e-3)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def time_torch(model, inputs, target, loss_of, compiled=False):
    optimizer = adam(model)
    call = torch.compile(model) if compiled else model

    def forward():
        with torch.no_grad():
            call(*inputs)

    def step():
        optimizer.zero_grad()
        loss_of(call(*inputs), target).backward()
        optimizer.step()

    model.eval()
    forward_time = measure(forward)
    model.train()
    return result(count(model), forward=forward_time, step=measure(step))


def mlp(*widths):
    layers = [layer for i, o in zip(widths, widths[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


class TwoLayers(nn.Module):
    """Two convolutions, which `call(layer, x)` applies; of graphs, a readout and a last map."""

    def __init__(self, one, two, call, activation=torch.relu, out=None, pool=None):
        super().__init__()
        self.one, self.two, self.out = one, two, out
        self.call, self.activation, self.pool = call, activation, pool

    def forward(self, x):
        x = self.call(self.two, self.activation(self.call(self.one, x)))
        return x if self.out is None else self.out(self.pool(self.activation(x)))


class Reordered(nn.Module):
    """A convolution of any kind that sums rows at the narrower of its two widths, whichever order its library has."""

    def __init__(self, kind, inner, outer, hidden, aggregate):
        super().__init__()
        self.kind, self.aggregate = kind, aggregate
        self.neighbors = nn.Linear(inner, hidden if kind == "gin" else outer)
        self.rest = {"gin": lambda: nn.Linear(hidden, outer), "sage": lambda: nn.Linear(inner, outer, bias=False),
                     "gcn": lambda: None}[kind]()

    def forward(self, x):
        weight, bias = self.neighbors.weight, self.neighbors.bias
        summed_last = weight.size(0) < weight.size(1)
        y = self.aggregate(linear(x, weight)) + bias if summed_last else linear(self.aggregate(x), weight, bias)
        if self.kind == "gin":
            return self.rest(y.relu())
        return y + self.rest(x) if self.kind == "sage" else y


def reordered(kind, f, h, c, aggregate):
    return TwoLayers(Reordered(kind, f, h, h, aggregate), Reordered(kind, h, c, h, aggregate), lambda layer, x: layer(x))


# ------------------------------------------------------------------ PyTorch Geometric

def with_loops(graph):
    """Sources and targets of all edges and of an edge from each node to itself, sorted by target."""
    loops = np.arange(graph["n"])
    src, dst = np.r_[graph["src"], loops], np.r_[graph["dst"], loops]
    order = np.lexsort((src, dst))
    return src[order], dst[order]


def sparse_matrix(n, src, dst, values):
    offsets = np.concatenate([[0], np.cumsum(np.bincount(dst, minlength=n))])
    return torch.sparse_csr_tensor(torch.from_numpy(offsets), torch.from_numpy(src), values, size=(n, n))


def pyg_reordered(graph, kind):
    """PyG's own propagation by a sparse matrix, whose values are the coefficients of the convolution."""
    import torch_geometric.nn as pyg
    n, src, dst = graph["n"], graph["src"], graph["dst"]
    if kind in ("gcn", "gin"):
        src, dst = with_loops(graph)
    degree = np.maximum(np.bincount(dst, minlength=n), 1)
    values = {"gcn": lambda: (degree[src] * degree[dst]) ** -0.5, "sage": lambda: 1 / degree[dst],
              "gin": lambda: np.ones(len(src))}[kind]()
    matrix = sparse_matrix(n, src, dst, torch.from_numpy(values.astype(np.float32)))
    conv = pyg.SimpleConv(aggr="sum")
    return reordered(kind, graph["f"], graph["h"], graph["c"], lambda x: conv(x, matrix))


def run_pyg(graph, kind, route):
    import torch_geometric.nn as pyg
    f, h, c, n = graph["f"], graph["h"], graph["c"], graph["n"]
    inputs, target = (torch.from_numpy(graph["x"]),), torch.from_numpy(graph["y"])
    if route == "pyg_reordered":
        return time_torch(pyg_reordered(graph, kind), inputs, target, cross_entropy)
    src, dst = with_loops(graph) if kind == "gat" else (graph["src"], graph["dst"])  # a GAT's self-loops are prepared
    adjacency = torch.from_numpy(np.stack([src, dst]))
    if route == "pyg_csr":
        adjacency = sparse_matrix(n, src, dst, torch.ones(len(src)))
    elif route == "pyg_sparse":
        from torch_sparse import SparseTensor
        adjacency = SparseTensor(row=adjacency[1], col=adjacency[0], sparse_sizes=(n, n), is_sorted=True).fill_cache_()
    if kind == "gcn":  # cached: the normalized adjacency is made once
        one, two = pyg.GCNConv(f, h, cached=True), pyg.GCNConv(h, c, cached=True)
    elif kind == "sage":
        one, two = pyg.SAGEConv(f, h), pyg.SAGEConv(h, c)
    elif kind == "gat":
        one, two = pyg.GATConv(f, 8, heads=8, add_self_loops=False), pyg.GATConv(64, c, add_self_loops=False)
    else:
        one, two = pyg.GINConv(mlp(f, h, h)), pyg.GINConv(mlp(h, h, h if "batch" in graph else c))
    out = pool = None
    if "batch" in graph:
        batch = torch.from_numpy(graph["batch"])
        out, pool = nn.Linear(h, c), lambda x: pyg.global_mean_pool(x, batch, graph["graphs"])
    activation = elu if kind == "gat" else torch.relu
    model = TwoLayers(one, two, lambda layer, x: layer(x, adjacency), activation, out, pool)
    if kind == "gcn":
        with torch.no_grad():
            model(*inputs)  # fills the caches, before anything is compiled
    return time_torch(model, inputs, target, cross_entropy, route == "pyg_compile")


# ------------------------------------------------------------------ DGL

def dgl_reordered(g, graph, kind):
    """DGL's own sums, with the degrees of a GCN counted once."""
    import dgl
    if kind == "gcn":
        norm = g.in_degrees().clamp(min=1).float().pow(-0.5)[:, None]
        aggregate = lambda x: dgl.ops.copy_u_sum(g, x * norm) * norm
    elif kind == "sage":
        inverse = 1 / g.in_degrees().clamp(min=1).float()[:, None]
        aggregate = lambda x: dgl.ops.copy_u_sum(g, x) * inverse
    else:
        aggregate = lambda x: dgl.ops.copy_u_sum(g, x) + x
    return reordered(kind, graph["f"], graph["h"], graph["c"], aggregate)


def run_dgl(graph, kind, route):
    import dgl
    import dgl.nn as dnn
    f, h, c = graph["f"], graph["h"], graph["c"]
    inputs, target = (torch.from_numpy(graph["x"]),), torch.from_numpy(graph["y"])
    g = dgl.graph((torch.from_numpy(graph["src"]), torch.from_numpy(graph["dst"])), num_nodes=graph["n"])
    if kind in ("gcn", "gat"):
        g = dgl.add_self_loop(g)
    g = g.int()
    g.create_formats_()
    if route == "dgl_reordered":
        return time_torch(dgl_reordered(g, graph, kind), inputs, target, cross_entropy)
    if "batch" in graph:
        g.set_batch_num_nodes(torch.from_numpy(np.bincount(graph["batch"])).int())
        g.set_batch_num_edges(torch.from_numpy(np.bincount(graph["batch"][graph["dst"]])).int())
    one, two = {
        "gcn": lambda: (dnn.GraphConv(f, h), dnn.GraphConv(h, c)),
        "sage": lambda: (dnn.SAGEConv(f, h, "mean"), dnn.SAGEConv(h, c, "mean")),
        "gat": lambda: (dnn.GATConv(f, 8, 8), dnn.GATConv(64, c, 1)),
        "gin": lambda: (dnn.GINConv(mlp(f, h, h)), dnn.GINConv(mlp(h, h, h if "batch" in graph else c))),
    }[kind]()
    pooling = dnn.AvgPooling()
    out, pool = (nn.Linear(h, c), lambda x: pooling(g, x)) if "batch" in graph else (None, None)
    activation = elu if kind == "gat" else torch.relu
    model = TwoLayers(one, two, lambda layer, x: layer(g, x).flatten(1), activation, out, pool)
    return time_torch(model, inputs, target, cross_entropy)


# ------------------------------------------------------------------ MeshGraphNets

def run_torch_mgn(graph, _, route):
    """The processor of MeshGraphNets: messages m = LN(MLP([e, source, target])), e += m, x += LN(MLP([x, sum of m])).

    Reordered, the first map of a message multiplies the rows of nodes before edges read them.
    """
    d, src, dst = graph["h"], torch.from_numpy(graph["src"]), torch.from_numpy(graph["dst"])
    perceptron = lambda width: nn.Sequential(*mlp(width, d, d, d), nn.LayerNorm(d))
    is_reordered = "reordered" in route

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.edge = nn.ModuleList(perceptron(3 * d) for _ in range(graph["blocks"]))
            self.node = nn.ModuleList(perceptron(2 * d) for _ in range(graph["blocks"]))

        def forward(self, x, e):
            for edge, node in zip(self.edge, self.node):
                if is_reordered:
                    own, source, target = edge[0].weight.split(d, 1)
                    of_nodes = linear(x, source).index_select(0, src) + linear(x, target).index_select(0, dst)
                    m = edge[1:](linear(e, own, edge[0].bias) + of_nodes)
                else:
                    m = edge(torch.cat([e, x.index_select(0, src), x.index_select(0, dst)], -1))
                x = x + node(torch.cat([x, torch.zeros_like(x).index_add_(0, dst, m)], -1))
                e = e + m
            return x

    inputs = (torch.from_numpy(graph["x"]), torch.from_numpy(graph["e"]))
    return time_torch(Network(), inputs, torch.from_numpy(graph["y"]), mse_loss, "compile" in route)
