#!/usr/bin/env python3
"""Exact graph edit distances by networkx and by connectome on the same random pairs; see README.md."""
import argparse, json, statistics, subprocess, tempfile, time
from pathlib import Path

import numpy as np
from graphs import SEED, pairs as random_pairs

COUNTS = {6: 10, 8: 5, 10: 3, 12: 2}
NODE_LABELS, EDGE_LABELS = 3, 2


def graph(nodes, random):
    """Labels of nodes, and edges with their labels: half as many again as nodes."""
    labels = random.integers(0, NODE_LABELS, nodes)
    a, b = random_pairs(nodes, 3 * nodes // 2, 0.0, random)
    return labels, [(int(i), int(j), int(random.integers(0, EDGE_LABELS))) for i, j in zip(a, b)]


def write(graphs, file):
    """A set of graphs as scenes read it."""
    starts = np.cumsum([0] + [len(labels) for labels, _ in graphs])
    edges = [(start + i, start + j, label) for start, (_, edges) in zip(starts, graphs) for i, j, label in edges]
    edges = np.array(edges)
    none = np.empty(0, dtype=np.int32)
    np.savez(file, node_ptr=starts, node_label=np.concatenate([labels for labels, _ in graphs]).astype(np.int32),
             edge_index=edges[:, :2].T.astype(np.int32), edge_attr=edges[:, 2:].astype(np.float32),
             x=np.ones((starts[-1], 1), dtype=np.float32), y=np.zeros(len(graphs), dtype=np.int32),
             train=np.arange(len(graphs)), val=none, test=none)


def networkx_distance(pair, limit):
    """The best distance within the limit, and the seconds it took."""
    import networkx
    made = []
    for labels, edges in pair:
        made.append(networkx.Graph())
        made[-1].add_nodes_from((node, {"label": label}) for node, label in enumerate(labels.tolist()))
        made[-1].add_edges_from((i, j, {"label": label}) for i, j, label in edges)
    same = lambda one, other: one["label"] == other["label"]
    start = time.perf_counter()
    found = networkx.graph_edit_distance(*made, node_match=same, edge_match=same, timeout=limit)
    return found, time.perf_counter() - start


def connectome_distance(binary, file, pair, workers, rounds):
    """The exact distance, and the least of the seconds that several runs took without reading the file."""
    command = [binary, "distance", f"{file}#{2 * pair}", f"{file}#{2 * pair + 1}", "--exact", "--json", "--timing"]
    seconds = []
    for _ in range(rounds):
        done = subprocess.run(command + ["--workers", str(workers)], capture_output=True, text=True, check=True)
        seconds.append(float(done.stderr.splitlines()[-1].split(" in ")[1].split()[0]) / 1e3)
    found = json.loads(done.stdout)
    assert found["exact"]
    return found["upper"], min(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connectome", default=Path(__file__).resolve().parents[2] / "target/release/connectome")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(COUNTS), choices=list(COUNTS))
    parser.add_argument("--limit", type=float, default=40, help="seconds that networkx has for a pair; 0 leaves it out")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    print("| nodes | pairs | networkx, median | in time | connectome, median | worst | times faster | distances |")
    print("|--:|--:|--:|--:|--:|--:|--:|---|")
    for nodes in arguments.sizes:
        random = np.random.default_rng(SEED + nodes)
        pairs = [(graph(nodes, random), graph(nodes, random)) for _ in range(COUNTS[nodes])]
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/pairs.npz"
            write([one for pair in pairs for one in pair], file)
            ours = [connectome_distance(arguments.connectome, file, pair, arguments.workers, arguments.rounds)
                    for pair in range(len(pairs))]
        cells = ["", "", ""]
        middle = statistics.median(seconds for _, seconds in ours)
        if arguments.limit:
            theirs = [networkx_distance(pair, arguments.limit) for pair in pairs]
            for (distance, _), (found, seconds) in zip(ours, theirs):
                # One that was halted has found a path, maybe not the cheapest.
                assert found == distance or (seconds >= arguments.limit and found > distance), (nodes, found, distance)
            median = statistics.median(seconds for _, seconds in theirs)
            in_time = sum(seconds < arguments.limit for _, seconds in theirs)
            more = "" if in_time > len(theirs) / 2 else "more than "
            cells = [f"{1e3 * median:.0f} ms", str(in_time), f"{more}{median / middle:,.0f}"]
        worst = max(seconds for _, seconds in ours)
        distances = " ".join(f"{distance:g}" for distance, _ in ours)
        print(f"| {nodes} | {len(pairs)} | {cells[0]} | {cells[1]} | {1e3 * middle:.3f} ms | {1e3 * worst:.3f} ms "
              f"| {cells[2]} | {distances} |", flush=True)


if __name__ == "__main__":
    main()
