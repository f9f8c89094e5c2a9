"""One peer, measured in this process: `peers.py CASE ROUTE THREADS SECONDS` prints one line of JSON, `peers.py list` the
routes that this Python can take, `peers.py rates - THREADS SECONDS` what the machine can do. compare.py calls it."""
import importlib.metadata, json, os, sys, warnings

warnings.filterwarnings("ignore")
os.environ |= {"DGLBACKEND": "pytorch", "JAX_PLATFORMS": "cpu"}

import graphs
import measure
import routes


def run(case, route):
    graph, kind = case.split("/")
    if route.startswith("jax"):  # XLA takes as many threads as there are cores to run on
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:measure.THREADS])
        if measure.THREADS == 1:
            os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    measure.import_first(*routes.modules(route))
    if graph == "start":
        from start import run_start as work
        return work(None, kind, route)
    if graph == "sampled":
        from sampled import run_sampled as work
        graph = "arxiv"
    elif kind == "sum":
        from sums import run_sum as work
    elif route.startswith("jax"):
        from jax_routes import run_jax as work
    else:
        import torch_routes
        is_dgl = route.startswith("dgl")
        work = torch_routes.run_torch_mgn if kind == "mgn" else torch_routes.run_dgl if is_dgl else torch_routes.run_pyg
    return work(graphs.load(graph), kind, route)


def here():
    """The routes that can be taken here, and what takes them."""
    versions = {}
    for library in ("torch", "torch_geometric", "torch_sparse", "dgl", "jax", "numpy", "scipy"):
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            pass
    takes = {case: [route for route in routes.routes(case) if routes.is_here(case, route)] for case in routes.CASES}
    return {"routes": takes, "versions": versions}


if __name__ == "__main__":
    if len(sys.argv) > 4:
        measure.THREADS, measure.SECONDS = int(sys.argv[3]), float(sys.argv[4])
    if sys.argv[1] == "list":
        print(json.dumps(here()))
    elif sys.argv[1] == "rates":
        from sums import rates
        print(json.dumps(rates()))
    else:
        print(json.dumps(run(*sys.argv[1:3])))
