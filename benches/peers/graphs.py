"""The graphs that all are measured on: the same edges and features from the same seed, whoever asks."""
import os
from pathlib import Path

import numpy as np

SEED = 20240607
BATCH = 1024  # of sampled training
SHAPES = {  # nodes, directed edges, features, hidden width, classes
    "cora": (2708, 10556, 1433, 16, 7),
    "pubmed": (19717, 88648, 500, 64, 3),
    "arxiv": (169343, 2332486, 128, 256, 40),
}


def pairs(nodes, count, exponent, random):
    """Distinct undirected pairs: one end uniform, the other with a probability proportional to rank^-exponent."""
    weights = np.arange(1, nodes + 1, dtype=np.float64) ** -exponent
    cumulative = np.cumsum(weights / weights.sum())
    node_of = random.permutation(nodes)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < count:
        more = int((count - len(keys)) * 1.2) + 64
        a = random.integers(0, nodes, more)
        b = node_of[np.minimum(np.searchsorted(cumulative, random.random(more)), nodes - 1)]
        a, b = np.minimum(a, b), np.maximum(a, b)
        keys = np.unique(np.concatenate([keys, (a * nodes + b)[a != b]]))
    keys = random.permutation(keys)[:count]
    return keys // nodes, keys % nodes


def make(name):
    """A dictionary with n, src, dst (sorted by target, then source), x, y, and the widths f, h and c."""
    random = np.random.default_rng(SEED)
    if name in SHAPES:
        n, edges, f, h, c = SHAPES[name]
        a, b = pairs(n, edges // 2, 0.7 if name == "arxiv" else 0.0, random)
        src, dst = np.concatenate([a, b]), np.concatenate([b, a])
        more = {"x": random.standard_normal((n, f), dtype=np.float32), "y": random.integers(0, c, n)}
    elif name == "batch":  # 256 graphs of 20 to 40 nodes, with four directed edges for each node
        sources, targets, batch, n = [], [], [], 0
        for graph in range(256):
            size = int(random.integers(20, 41))
            a, b = pairs(size, 2 * size, 0.0, random)
            sources += [a + n, b + n]
            targets += [b + n, a + n]
            batch.append(np.full(size, graph))
            n += size
        src, dst = np.concatenate(sources), np.concatenate(targets)
        f, h, c = 32, 64, 2
        more = {"batch": np.concatenate(batch), "graphs": 256}
        more |= {"x": random.standard_normal((n, f), dtype=np.float32), "y": random.integers(0, c, 256)}
    elif name == "sim":  # points in a cube, 12 neighbors each on average
        from scipy.spatial import cKDTree
        n, f, h, c = 1000, 128, 128, 128
        places = random.random((n, 3))
        distances, _ = cKDTree(places).query(places, k=40)
        radius = np.sort(distances[:, 1:].ravel())[12 * n - 1]
        near = cKDTree(places).query_pairs(radius, output_type="ndarray")
        src, dst = np.concatenate([near[:, 0], near[:, 1]]), np.concatenate([near[:, 1], near[:, 0]])
        more = {"x": random.standard_normal((n, f), dtype=np.float32),
                "e": random.standard_normal((len(src), f), dtype=np.float32),
                "y": random.standard_normal((n, c), dtype=np.float32), "blocks": 10}
    else:
        raise KeyError(name)
    order = np.lexsort((src, dst))
    return {"name": name, "n": n, "src": src[order].astype(np.int64), "dst": dst[order].astype(np.int64),
            "f": f, "h": h, "c": c, **more}


def load(name):
    """The same, which the folder of the variable GRAPHS keeps for other processes."""
    if "GRAPHS" not in os.environ:
        return make(name)
    file = Path(os.environ["GRAPHS"], f"{name}-for-peers.npz")
    if not file.exists():
        np.savez(file, **make(name))
    with np.load(file) as kept:
        return {key: kept[key] if kept[key].ndim else kept[key].item() for key in kept.files}


def fan_outs(kind):
    """How many neighbors each layer samples, the one nearest to the output first: 15-10-5 is [15, 10, 5]."""
    return [int(count) for count in kind.split("-")]


def training_nodes(graph):
    """As many as ogbn-arxiv has; a smaller graph keeps a few to validate and test."""
    order = np.random.default_rng(1).permutation(graph["n"])
    return np.sort(order[:min(90941, graph["n"] - 32)])
