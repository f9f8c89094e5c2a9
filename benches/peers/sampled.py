"""Epochs of training on sampled neighbors: GraphSAGE with means, Adam, no dropout. In `loader` routes a process samples."""
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from graphs import BATCH, fan_outs, training_nodes
from measure import SECONDS, THREADS, result, timing
from torch_routes import adam, count

torch.set_num_threads(THREADS)


def widths(graph, fans):
    return [graph["f"]] + [graph["h"]] * (len(fans) - 1) + [graph["c"]]


def pyg_batches(graph, fans, workers):
    from torch_geometric.data import Data
    from torch_geometric.loader import NeighborLoader
    from torch_geometric.nn import SAGEConv
    from torch_geometric.utils import trim_to_layer
    data = Data(x=torch.from_numpy(graph["x"]), y=torch.from_numpy(graph["y"]),
                edge_index=torch.from_numpy(np.stack([graph["src"], graph["dst"]])))
    loader = NeighborLoader(data, num_neighbors=fans, batch_size=BATCH, input_nodes=torch.from_numpy(training_nodes(graph)),
                            shuffle=True, num_workers=workers, persistent_workers=workers > 0)
    sizes = widths(graph, fans)
    layers = nn.ModuleList(SAGEConv(i, o) for i, o in zip(sizes, sizes[1:]))

    def logits(batch):  # trimmed as in PyG's own example, so that no more is computed than needed; torch_sparse cannot
        x, edges, counts = batch.x, batch.edge_index, batch.num_sampled_nodes
        for number, layer in enumerate(layers):
            if counts is not None:
                x, edges, _ = trim_to_layer(number, counts, batch.num_sampled_edges, x, edges)
            x = layer(x, edges)
            x = x if number == len(layers) - 1 else x.relu()
        return x[:batch.batch_size], batch.y[:batch.batch_size]
    return loader, layers, logits


def dgl_batches(graph, fans, workers):
    import dgl
    import dgl.nn as dnn
    g = dgl.graph((torch.from_numpy(graph["src"]), torch.from_numpy(graph["dst"])), num_nodes=graph["n"])
    g.create_formats_()
    g.ndata["feat"], g.ndata["label"] = torch.from_numpy(graph["x"]), torch.from_numpy(graph["y"])
    sampler = dgl.dataloading.NeighborSampler(fans[::-1], prefetch_node_feats=["feat"], prefetch_labels=["label"])
    loader = dgl.dataloading.DataLoader(g, torch.from_numpy(training_nodes(graph)), sampler, batch_size=BATCH, shuffle=True,
                                        num_workers=workers, persistent_workers=workers > 0)
    sizes = widths(graph, fans)
    layers = nn.ModuleList(dnn.SAGEConv(i, o, "mean") for i, o in zip(sizes, sizes[1:]))

    def logits(batch):
        _, _, blocks = batch
        x = blocks[0].srcdata["feat"]
        for number, (layer, block) in enumerate(zip(layers, blocks)):
            x = layer(block, x)
            x = x if number == len(layers) - 1 else x.relu()
        return x, blocks[-1].dstdata["label"]
    return loader, layers, logits


def run_sampled(graph, kind, route):
    """One epoch warms up; then at least two are measured, or one that takes long."""
    batches = dgl_batches if route.startswith("dgl") else pyg_batches
    loader, layers, logits = batches(graph, fan_outs(kind), int(route.endswith("loader")))
    optimizer = adam(layers)

    def epoch():
        start = time.perf_counter()
        for batch in loader:
            optimizer.zero_grad()
            output, target = logits(batch)
            cross_entropy(output, target).backward()
            optimizer.step()
        return 1e3 * (time.perf_counter() - start)

    epoch()
    times = [epoch()]
    while (len(times) < 2 and times[0] < 1e4) or sum(times) < 4e3 * SECONDS:
        times.append(epoch())
    return result(count(layers), epoch=timing(times))
