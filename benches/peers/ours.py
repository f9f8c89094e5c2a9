"""What connectome is given: scenes that learn what the peers learn; and its figures in the form that peers.py prints."""
import json, tempfile
from pathlib import Path

import numpy as np
import graphs
from machine import HERE, run
from measure import timing

KARATE = HERE.parents[1] / "assets/karate.ron"


def model(shape, kind):
    """The layers of a scene."""
    h, c = shape["h"], shape["c"]
    perceptron = lambda *widths: f"(widths: {list(widths)})"
    if "graphs" in shape:
        return [f"GinConv(nn: {perceptron(h, h)})", "Relu"] * 2 + ["Readout(Mean)", f"Linear(width: {c})"]
    if "-" in kind:
        return [f"SageConv(width: {h})", "Relu"] * (len(graphs.fan_outs(kind)) - 1) + [f"SageConv(width: {c})"]
    return {
        "gcn": [f"GcnConv(width: {h})", "Relu", f"GcnConv(width: {c})"],
        "sum": [f"GcnConv(width: {h})", "Relu", f"GcnConv(width: {c})"],
        "sage": [f"SageConv(width: {h})", "Relu", f"SageConv(width: {c})"],
        "gin": [f"GinConv(nn: {perceptron(h, h)})", "Relu", f"GinConv(nn: {perceptron(h, c)})"],
        "gat": ["GatConv(width: 8, heads: 8)", "Elu(1.0)", f"GatConv(width: {c})"],
        "load": [f"GcnConv(width: {c})"],
        "linear": [f"Linear(width: {c})"],
        "mgn": [f"GraphNetBlock(hidden: [{h}, {h}])"] * shape.get("blocks", 0),
    }[kind]


def scene(shape, kind, file):
    """The text of a scene."""
    task = "GraphClassification" if "graphs" in shape else "NodeRegression()" if kind == "mgn" else "NodeClassification"
    training = "epochs: 1"
    if "-" in kind:
        training = f"epochs: 3, batch_size: {graphs.BATCH}, fan_outs: {graphs.fan_outs(kind)}"
    elif kind == "load":
        training = "epochs: 0"
    return f"""(name: "{shape['name']}-{kind}", graph: Npz("{file}"), model: [{", ".join(model(shape, kind))}],
        task: {task}, optimizer: Adam(learning_rate: 0.001), training: ({training}, seed: 0))"""


def arrays(graph, train=None):
    """The graph as a scene reads it: all is there to learn from, or these nodes, with 16 others each to validate and to test."""
    found = {"x": graph["x"], "edge_index": np.stack([graph["src"], graph["dst"]]).astype(np.int32)}
    found["node_target" if "e" in graph else "y"] = graph["y"]
    if "e" in graph:
        found["edge_attr"] = graph["e"]
    if "batch" in graph:
        found["node_ptr"] = np.concatenate([[0], np.cumsum(np.bincount(graph["batch"]))])
        found["node_label"] = np.zeros(graph["n"], dtype=np.int32)
    if train is not None:
        rest = np.setdiff1d(np.arange(graph["n"]), train)
        return found | {"train": train, "val": rest[:16], "test": rest[16:32]}
    none = np.empty(0, dtype=np.int32)
    return found | {"train": np.arange(len(graph["y"])), "val": none, "test": none}


def prepare(case, folder):
    """Writes the scene of a case and its graph, and returns the scene's file and what its limit depends on."""
    name, kind = case.split("/")
    if case == "start/karate":
        return KARATE, {}
    sampled = name == "sampled"
    name = "arxiv" if sampled or kind == "load" else name
    graph = graphs.load(name)
    file = Path(folder, f"{name}-sampled.npz" if sampled else f"{name}.npz")
    if not file.exists():
        np.savez(file, **arrays(graph, graphs.training_nodes(graph) if sampled else None))
    shape = {key: value for key, value in graph.items() if isinstance(value, (int, str))} | {"edges": len(graph["src"])}
    text = Path(folder, f"{case.replace('/', '-')}.ron")
    text.write_text(scene(shape, kind, file.name))
    return text, shape


def bench(binary, file, kind, threads, arguments, environment):
    command = [binary, "bench", file, "--workers", str(threads), "--seconds", str(arguments.seconds), "--json"]
    found = run(command, threads, arguments.limit, environment)
    if "error" in found:
        return found
    times = {"forward": found["forward"], "step": found["step_new_input"], "step_same_input": found["step"]}
    memory, parameters = found["peak_memory_mb"], found["parameters"]
    if kind == "sum":  # the first aggregation of the network, 128 wide
        first = next(s for s in found["systems"] if s["schedule"] == "forward" and s["name"] == "aggregate")
        time = first["median_us"] / 1e3
        times = {"forward": {"median_ms": time, "min_ms": time, "count": found["forward"]["count"]}}
        memory = parameters = 0
    return {"times": times, "memory_mb": memory, "parameters": parameters}


def train(binary, file, threads, arguments, environment):
    """Epochs after the first."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "train", file, "--workers", str(threads), "--json", "--output", f"{folder}/run"]
        found = run(command, threads, arguments.limit, environment)
        if "error" in found:
            return found
        lines = Path(folder, "run/metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["train_milliseconds"] for line in lines]
    return {"times": {"epoch": timing(epochs[1:])}, "memory_mb": found["peak_mb"], "parameters": 0}


def start(command, threads, arguments, environment):
    """Whole processes, one after another; of peers, what comes after their imports."""
    whole, after, found = [], [], {}
    while not whole or sum(whole) < 1e3 * arguments.seconds:
        found = run(command, threads, arguments.limit, environment)
        if "error" in found:
            return found
        whole.append(found["process_ms"])
        after.append(found["times"]["after_imports"]["median_ms"] if "times" in found else whole[-1])
    return {"times": {"process": timing(whole), "after_imports": timing(after)}, "parameters": 0,
            "memory_mb": found["memory_mb"] if "times" in found else found["peak_mb"]}


def connectome(binary, file, case, threads, arguments, environment):
    """The figures of a case."""
    graph, kind = case.split("/")
    if graph == "sampled":
        return train(binary, file, threads, arguments, environment)
    if graph == "start":
        return start([binary, "train", file, "--workers", str(threads), "--json"], threads, arguments, environment)
    return bench(binary, file, kind, threads, arguments, environment)


def product_rate(binary, threads, arguments, environment):
    """Dense products in GFLOP/s: a limit must not be below what is reached."""
    n, width = 4096, 512
    x = np.random.default_rng(0).standard_normal((n, width), dtype=np.float32)
    graph = {"name": "products", "n": n, "x": x, "y": np.arange(n) % width, "src": np.empty(0), "dst": np.empty(0)}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/graph.npz", **arrays(graph))
        file = Path(folder, "scene.ron")
        file.write_text(scene({"name": "products", "h": 1, "c": width}, "linear", "graph.npz"))
        found = bench(binary, file, "linear", threads, arguments, environment)
    return 0 if "error" in found else 2 * n * width * width / found["times"]["forward"]["min_ms"] / 1e6
