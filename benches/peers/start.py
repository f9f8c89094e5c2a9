"""From the start of a process to a result: a small scene trained, and a large graph loaded from its file up to logits."""
import os, re, time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from measure import THREADS, result, timing
from torch_routes import TwoLayers, count

torch.set_num_threads(THREADS)


def convolution(route, n, src, dst):
    """A graph convolution of DGL or PyG on a graph: makes a layer of two widths, and applies one."""
    src, dst = torch.from_numpy(src), torch.from_numpy(dst)
    if route == "dgl":
        import dgl
        g = dgl.add_self_loop(dgl.graph((src, dst), num_nodes=n))
        return dgl.nn.GraphConv, lambda layer, x: layer(g, x)
    from torch_geometric.nn import GCNConv
    edges = torch.stack([src, dst])
    return lambda i, o: GCNConv(i, o, cached=True), lambda layer, x: layer(x, edges)


def karate(route):
    """200 epochs on the karate club, each with an evaluation, as the scene has them."""
    text = (Path(__file__).resolve().parents[2] / "assets/karate.ron").read_text()
    nodes = re.findall(r'name: "([^"]+)", label: (\d), split: (\w+)', text)
    names = {name: number for number, (name, _, _) in enumerate(nodes)}
    pairs = re.findall(r'source: "([^"]+)", target: "([^"]+)"', text)
    a, b = np.array([[names[source], names[target]] for source, target in pairs]).T
    y = torch.tensor([int(label) for _, label, _ in nodes])
    split = {kind: torch.tensor([of == kind for _, _, of in nodes]) for kind in ("Train", "Validation", "Test")}
    x = torch.eye(len(nodes))
    layer, call = convolution(route, len(nodes), np.r_[a, b], np.r_[b, a])
    model = TwoLayers(layer(len(nodes), 16), layer(16, 2), call)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(200):
        optimizer.zero_grad()
        cross_entropy(model(x)[split["Train"]], y[split["Train"]]).backward()
        optimizer.step()
        with torch.no_grad():
            right = model(x).argmax(1) == y
            [float(right[split[kind]].float().mean()) for kind in split]
    return count(model)


def load(route):
    """The scene's file, and the logits of a convolution from 128 features to 40 classes."""
    with np.load(os.environ["GRAPHS"] + "/arxiv.npz") as file:
        x, (src, dst) = file["x"], file["edge_index"].astype(np.int64)
    layer, call = convolution(route, len(x), src, dst)
    layer = layer(x.shape[1], 40)
    with torch.no_grad():
        call(layer, torch.from_numpy(x)).sum().item()
    return count(layer)


def run_start(_, kind, route):
    start = time.perf_counter()
    parameters = {"karate": karate, "load": load}[kind](route)
    return result(parameters, after_imports=timing([1e3 * (time.perf_counter() - start)]))
