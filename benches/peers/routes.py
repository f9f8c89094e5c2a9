"""Which peers take which case, what they import, and which of them are worth a short run."""
import importlib.util

SHAPES = ("cora", "pubmed", "arxiv")
KINDS = ("gcn", "sage", "gin", "gat")
CASES = [f"{shape}/{kind}" for shape in SHAPES for kind in KINDS]
CASES += ["batch/gin", "sim/mgn", "arxiv/sum", "sampled/10-10", "sampled/15-10-5", "start/karate", "start/load"]

# What the name of a route begins with, and what it imports.
MODULES = {"pyg_sparse": ["torch", "torch_geometric.nn", "torch_sparse"], "pyg": ["torch", "torch_geometric.nn"],
           "dgl": ["torch", "dgl.nn"], "jax": ["jax.numpy"], "scipy": ["scipy"], "torch": ["torch"]}



def routes(case):
    """All routes of a case."""
    graph, kind = case.split("/")
    if graph in SHAPES and kind in KINDS:
        reordered = [] if kind == "gat" else ["pyg_reordered", "dgl_reordered", "jax", "jax_reordered"]
        return ["pyg", "pyg_csr", "pyg_sparse", "pyg_compile", "dgl", *reordered]
    return {
        "batch/gin": ["pyg", "pyg_csr", "pyg_sparse", "pyg_compile", "dgl"],
        "sim/mgn": ["torch", "torch_reordered", "torch_compile", "torch_reordered_compile", "jax", "jax_reordered"],
        "arxiv/sum": ["torch_csr", "scipy", "dgl", "dgl_unweighted"],
        "sampled/10-10": ["pyg", "dgl", "dgl_loader"],
        "sampled/15-10-5": ["pyg", "dgl", "dgl_loader"],
    }.get(case, ["pyg", "dgl"])


def quick(case):
    """The routes that were among the best in runs of all of them."""
    return {
        "cora/gcn": ["jax", "pyg_reordered", "pyg_compile"],
        "cora/sage": ["dgl_reordered", "jax_reordered"],
        "cora/gin": ["dgl_reordered", "jax_reordered"],
        "pubmed/gcn": ["jax", "pyg_reordered", "dgl_reordered"],
        "pubmed/sage": ["dgl_reordered"],
        "pubmed/gin": ["dgl_reordered"],
        "arxiv/gcn": ["dgl_reordered"],
        "arxiv/sage": ["dgl"],
        "arxiv/gin": ["dgl"],
        "batch/gin": ["dgl", "pyg_compile"],
        "sim/mgn": ["torch_reordered_compile", "jax_reordered"],
        "arxiv/sum": ["dgl", "dgl_unweighted"],
    }.get(case, ["dgl"] if case.endswith("gat") else routes(case))


def modules(route):
    """What is imported before a route is measured."""
    return next(found for prefix, found in MODULES.items() if route.startswith(prefix))


def is_optional(case, route):
    """Whether it wants what no package index has built: torch_sparse, or pyg_lib in its place to sample."""
    return route == "pyg_sparse" or (route, case.split("/")[0]) == ("pyg", "sampled")


def is_here(case, route):
    """Whether this Python can take it."""
    have = lambda module: importlib.util.find_spec(module.partition(".")[0]) is not None
    if have("dgl") and not route.startswith("dgl"):
        return False  # DGL's environment has an older torch
    if (case.split("/")[0], route) == ("sampled", "pyg") and not (have("pyg_lib") or have("torch_sparse")):
        return False
    return all(map(have, modules(route)))
