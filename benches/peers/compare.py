#!/usr/bin/env python3
"""Measures connectome and its peers on the same graphs, in turn, and prints who takes how long; see README.md."""
import argparse, json, os, subprocess, sys, tempfile
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import graphs
from limit import limits

HERE = Path(__file__).resolve().parent
CASES = [f"{graph}/{kind}" for graph in graphs.SHAPES for kind in ("gcn", "sage", "gin", "gat")]
CASES += ["batch/gin", "sim/mgn", "arxiv/sum"]
DO_LESS = ["dgl_unweighted"]  # shown, but not compared with


def scene(graph, kind, file):
    """The text of the scene that learns what the peers learn."""
    h, c = graph["h"], graph["c"]
    perceptron = lambda *widths: f"(widths: {list(widths)})"
    layers = {
        "gcn": [f"GcnConv(width: {h})", "Relu", f"GcnConv(width: {c})"],
        "sage": [f"SageConv(width: {h})", "Relu", f"SageConv(width: {c})"],
        "gin": [f"GinConv(nn: {perceptron(h, h)})", "Relu", f"GinConv(nn: {perceptron(h, c)})"],
        "gat": ["GatConv(width: 8, heads: 8)", "Elu(1.0)", f"GatConv(width: {c})"],
        "linear": [f"Linear(width: {c})"],
        "mgn": [f"GraphNetBlock(hidden: [{h}, {h}])"] * graph.get("blocks", 0),
    }
    layers["sum"] = layers["gcn"]
    if "batch" in graph:
        layers["gin"] = [f"GinConv(nn: {perceptron(h, h)})", "Relu"] * 2 + ["Readout(Mean)", f"Linear(width: {c})"]
    task = "GraphClassification" if "batch" in graph else "NodeRegression()" if kind == "mgn" else "NodeClassification"
    return f"""(name: "{graph['name']}-{kind}", graph: Npz("{file}"), model: [{", ".join(layers[kind])}],
        task: {task}, optimizer: Adam(learning_rate: 0.001), training: (epochs: 1, seed: 0))"""


def arrays(graph):
    """The graph as a scene reads it: all is there to learn from."""
    found = {"x": graph["x"], "edge_index": np.stack([graph["src"], graph["dst"]]).astype(np.int32)}
    found["node_target" if "e" in graph else "y"] = graph["y"]
    if "e" in graph:
        found["edge_attr"] = graph["e"]
    if "batch" in graph:
        found["node_ptr"] = np.concatenate([[0], np.cumsum(np.bincount(graph["batch"]))])
        found["node_label"] = np.zeros(graph["n"], dtype=np.int32)
    none = np.empty(0, dtype=np.int32)
    return found | {"train": np.arange(len(graph["y"])), "val": none, "test": none}


def run(command, threads, limit):
    """What a child process prints as JSON, or why there is nothing."""
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, cwd=HERE,
                              env=os.environ | {variable: str(threads) for variable in variables})
    except subprocess.TimeoutExpired:
        return {"error": f"over {limit} s"}
    if done.returncode or not done.stdout.strip():
        return {"error": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def connectome(binary, file, kind, threads, arguments):
    found = run([binary, "bench", file, "--workers", str(threads), "--seconds", str(arguments.seconds), "--json"],
                threads, arguments.limit)
    if kind == "sum" and "error" not in found:  # the first aggregation of the network, 128 wide
        first = next(s for s in found["systems"] if s["schedule"] == "forward" and s["name"] == "aggregate")
        time = first["median_us"] / 1e3
        found |= {"forward": {"median_ms": time, "min_ms": time, "count": found["forward"]["count"]}, "step": None,
                  "parameters": 0}
    return found


def product_rate(binary, threads, arguments):
    """Dense products by connectome, in GFLOP/s: a limit must not be below what is reached."""
    n, width = 4096, 512
    x = np.random.default_rng(0).standard_normal((n, width), dtype=np.float32)
    graph = {"name": "products", "n": n, "x": x, "y": np.arange(n) % width, "src": np.empty(0), "dst": np.empty(0)}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/graph.npz", **arrays(graph))
        text = scene(graph | {"h": 1, "c": width}, "linear", "graph.npz")
        Path(f"{folder}/scene.ron").write_text(text)
        found = connectome(binary, f"{folder}/scene.ron", "linear", threads, arguments)
    return 0 if "error" in found else 2 * n * width * width / found["forward"]["min_ms"] / 1e6


def best(rounds):
    """Of several rounds the best median of each part: what other jobs on the machine stretch is not counted."""
    fine = [found for found in rounds if "error" not in found]
    if not fine:
        return rounds[0]
    merged = dict(fine[0])
    for part in ("forward", "step"):
        times = [found[part] for found in fine if found[part]]
        merged[part] = min(times, key=lambda time: time["median_ms"], default=None)
        if merged[part]:
            merged[part] = merged[part] | {"min_ms": min(time["min_ms"] for time in times)}
    return merged


def number(value):
    return "–" if value is None else f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def table(head, rows):
    rows = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def compare_case(case, threads, tools, rates, arguments):
    """Runs all who can take a case, in turn; prints its table and returns its figures."""
    graph_name, kind = case.split("/")
    graph = graphs.make(graph_name)
    peers = [(route, python) for python, found in tools["pythons"] for route in found.get(case, [])
             if fnmatch(route, arguments.routes)]
    peers = list({route: (route, python) for route, python in reversed(peers)}.values())[::-1]
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/graph.npz", **arrays(graph))
        Path(f"{folder}/scene.ron").write_text(scene(graph, kind, "graph.npz"))
        rounds = {"connectome": []} | {route: [] for route, _ in peers}
        for _ in range(arguments.rounds):
            rounds["connectome"].append(connectome(tools["binary"], f"{folder}/scene.ron", kind, threads, arguments))
            for route, python in peers:
                command = [python, "peers.py", case, route, str(threads), str(arguments.seconds)]
                rounds[route].append(run(command, threads, arguments.limit))
    figures = {name: best(found) for name, found in rounds.items()}
    ours = figures["connectome"]
    if "error" in ours:
        sys.exit(f"connectome failed on {case}: {ours['error']}")
    print(f"\n## {case}, {threads} threads: {graph['n']} nodes, {len(graph['src'])} edges\n")
    rows, summary = [], {"case": case, "threads": threads, "figures": figures}
    for name, found in figures.items():
        if "error" in found:
            rows.append([name, found["error"], "", "", "", "", ""])
            continue
        row = [name]
        for part in ("forward", "step"):
            mine, theirs = ours[part], found[part]
            row += [number(theirs and theirs["median_ms"]),
                    number(theirs and mine and theirs["median_ms"] / mine["median_ms"])]
        differs = "" if found["parameters"] == ours["parameters"] else " (other model!)"
        rows.append(row + [number(found["peak_memory_mb"]), f"{found['parameters']}{differs}"])
    for part, bound in limits(graph, kind, rates).items():
        if not ours[part]:
            continue
        others = {name: found[part]["median_ms"] for name, found in figures.items()
                  if name not in ["connectome", *DO_LESS] and "error" not in found and found[part]}
        fastest = min(others, key=others.get, default=None)
        time = ours[part]["median_ms"]
        summary[part] = {"connectome_ms": time, "best_peer": fastest, "best_peer_ms": others.get(fastest),
                         "best_peer_to_connectome": fastest and others[fastest] / time, "limit_ms": bound["ms"],
                         "connectome_to_limit": time / bound["ms"], "gflop": bound["gflop"], "megabytes": bound["mb"]}
    print(table(["who", "forward ms", "to connectome", "step ms", "to connectome", "peak MB", "parameters"], rows))
    return summary


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", metavar="NAME=PATH", default=[],
                        help="an interpreter with some of the peers; may be given several times, and is this one if not")
    parser.add_argument("--connectome", default=str(HERE.parents[1] / "target/release/connectome"), metavar="FILE")
    parser.add_argument("--cases", default="*", help="patterns such as cora/*,arxiv/gcn")
    parser.add_argument("--routes", default="*", help="a pattern of peers, such as pyg*")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is run, in turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each forward pass and each step is repeated")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a run is given up")
    parser.add_argument("--json", metavar="FILE", help="where to write all figures")
    arguments = parser.parse_args()
    pythons = [os.path.abspath(entry.partition("=")[2] or entry) for entry in arguments.python] or [sys.executable]
    tools = {"binary": os.path.abspath(arguments.connectome),
             "pythons": [(python, run([python, "peers.py", "list"], 1, 60)) for python in pythons]}
    for python, found in tools["pythons"]:
        if "error" in found:
            sys.exit(f"{python} cannot list its peers: {found['error']}")
    if not os.access(tools["binary"], os.X_OK):
        sys.exit(f"{tools['binary']} is missing; run `cargo build --release`")
    cases = [case for case in CASES if any(fnmatch(case, pattern) for pattern in arguments.cases.split(","))]
    results = []
    for threads in map(int, arguments.threads.split(",")):
        rates = run([pythons[0], "peers.py", "rates", "-", str(threads), "1"], threads, 120)
        if "error" in rates:
            sys.exit(f"{pythons[0]} cannot measure the machine: {rates['error']}")
        rates["gemm_gflops"] = max(rates["gemm_gflops"], product_rate(tools["binary"], threads, arguments))
        print(f"\n# {threads} threads: products {rates['gemm_gflops']:.0f} GFLOP/s, memory {rates['memory_gb_s']:.1f} GB/s, "
              f"cache {rates['cache_gb_s']:.1f} GB/s", flush=True)
        for case in cases:
            results.append(compare_case(case, threads, tools, rates, arguments) | {"rates": rates})
            sys.stdout.flush()
            if arguments.json:
                Path(arguments.json).write_text(json.dumps(results, indent=1))
    rows = [[result["case"], result["threads"], part, number(found["connectome_ms"]), found["best_peer"] or "–",
             number(found["best_peer_ms"]), number(found["best_peer_to_connectome"]), number(found["gflop"]),
             number(found["megabytes"]), number(found["limit_ms"]), number(found["connectome_to_limit"])]
            for result in results for part in ("forward", "step") if (found := result.get(part))]
    print("\n# The best peer, and what the machine could do\n")
    print(table(["case", "threads", "part", "connectome ms", "best peer", "its ms", "peer / connectome", "GFLOP", "MB",
                 "limit ms", "connectome / limit"], rows))


if __name__ == "__main__":
    main()
