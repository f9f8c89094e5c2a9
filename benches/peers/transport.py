"""POT's fused Gromov-Wasserstein on the graphs of `benches/transport.rs`: median time, and value of the plan.

    python benches/peers/transport.py [--threads 1] [--rounds 30]
"""

import argparse
import os
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=30)
arguments = parser.parse_args()
for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = str(arguments.threads)

import numpy as np  # noqa: E402
import ot  # noqa: E402

WIDTH = 8


def scramble(seed, index):
    """SplitMix64 of an index."""
    with np.errstate(over="ignore"):
        bits = (np.uint64(seed << 32) | index.astype(np.uint64)) + np.uint64(1)
        bits *= np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return bits ^ bits >> np.uint64(31)


def graph(nodes, seed):
    """Features and adjacency."""
    features = (scramble(seed, np.arange(nodes * WIDTH)) >> np.uint64(40)) / 2.0**24
    i, j = np.meshgrid(np.arange(nodes), np.arange(nodes), indexing="ij")
    edges = scramble(seed + 1, np.minimum(i, j) * nodes + np.maximum(i, j)) % np.uint64(10) == 0
    return features.reshape(nodes, WIDTH), (edges & (i != j)).astype(float)


def measure(name, run):
    times = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        value = run()
        times.append(time.perf_counter() - start)
    median = statistics.median(times) * 1e3
    print(f"{name}: {median:.2f} ms, fewest {min(times) * 1e3:.2f} ms, value {value:.9f}")


for rows, columns in [(50, 50), (200, 200), (200, 150)]:
    (x, a), (y, b) = graph(rows, 1), graph(columns, 3)
    p, q = np.full(rows, 1 / rows), np.full(columns, 1 / columns)
    cost = ot.dist(x, y)
    measure(f"exact {rows}x{columns}", lambda: ot.emd2(p, q, cost))

    def fused():
        cost = ot.dist(x, y)
        _, log = ot.gromov.fused_gromov_wasserstein(cost, a, b, p, q, "square_loss", alpha=0.5, symmetric=True, log=True)
        return log["fgw_dist"]

    measure(f"fused_gromov_wasserstein {rows}x{columns}", fused)
