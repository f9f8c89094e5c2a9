"""usearch and hnswlib on the vectors of `benches/memory.rs`: recall of the ten nearest, time of a query, time to build.

    CONNECTOME_VECTORS=vectors cargo bench --bench memory
    pip install numpy usearch hnswlib
    python benches/peers/memory.py vectors

The peers know squared Euclidean distances, not sums of absolute differences, so recall is that of their own exact ranking: of the
ten they find, those no farther than the tenth. One thread.
"""

import sys
import time

import hnswlib
import numpy as np
from usearch.index import Index

WIDTH = 128
QUERIES = 1000
COUNT = 10

vectors = np.fromfile(sys.argv[1], dtype=np.uint8).reshape(-1, WIDTH)
stored, queries = vectors[:-QUERIES].astype(np.float32), vectors[-QUERIES:].astype(np.float32)
squares = (stored**2).sum(1)
exact = np.array([squares - 2 * (stored @ query) + (query**2).sum() for query in queries])
limits = np.partition(exact, COUNT - 1, axis=1)[:, COUNT - 1]


def report(name, build, search):
    start = time.perf_counter()
    build()
    built = time.perf_counter() - start
    start = time.perf_counter()
    found = [search(query) for query in queries]
    took = (time.perf_counter() - start) / QUERIES
    recall = np.mean([(exact[row][ids] <= limits[row] + 0.5).mean() for row, ids in enumerate(found)])
    print(f"{name}: recall {recall:.3f}, {1e3 * took:.2f} ms a query, built in {built:.1f} s", flush=True)


for effort in [16, 64, 256]:
    index = Index(ndim=WIDTH, metric="l2sq", dtype="f32", connectivity=16, expansion_add=128, expansion_search=effort)
    report(
        f"usearch, expansion_search {effort}",
        lambda: index.add(np.arange(len(stored)), stored, threads=1),
        lambda query: index.search(query, COUNT, threads=1).keys.astype(np.int64),
    )
for effort in [16, 64, 256]:
    peer = hnswlib.Index(space="l2", dim=WIDTH)
    peer.init_index(max_elements=len(stored), ef_construction=128, M=16)
    peer.set_num_threads(1)
    peer.set_ef(effort)
    report(
        f"hnswlib, ef {effort}",
        lambda: peer.add_items(stored, num_threads=1),
        lambda query: peer.knn_query(query, k=COUNT, num_threads=1)[0][0].astype(np.int64),
    )
