#!/usr/bin/env python3
"""Measures the search for cliques beside igraph and networkx, in turn on the same graphs; see README.md."""
import argparse, importlib.util, json, os, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np
import graphs

HERE = Path(__file__).resolve().parent
GRAPHS = ("er2000", "plaw20000")


def read(file):
    """An edge list as SNAP has them, or the `edge_index` of an npz file: without directions, repetitions and loops."""
    is_npz = file.endswith(".npz")
    pairs = np.load(file)["edge_index"].T if is_npz else np.loadtxt(file, dtype=np.int64, comments="#", usecols=(0, 1))
    names, ends = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], 1), return_inverse=True)
    return len(names), np.unique(ends.reshape(-1, 2), axis=0)


def make(name):
    """Number of nodes, and the ends of the edges."""
    if name not in GRAPHS:
        return read(name)
    random = np.random.default_rng(graphs.SEED)
    if name == "er2000":
        return 2000, np.stack(graphs.pairs(2000, 20000, 0.0, random), 1)
    n, m = 20000, 100000  # with hubs, and a clique of 20 nodes hidden in it
    a, b = graphs.pairs(n, m, 0.7, random)
    hidden = random.choice(n, 20, replace=False)
    i, j = np.triu_indices(20, 1)
    p, q = hidden[i], hidden[j]
    keys = np.concatenate([np.minimum(p, q) * n + np.maximum(p, q), a * n + b])
    keys = keys[np.sort(np.unique(keys, return_index=True)[1])][:m]
    return n, np.stack([keys // n, keys % n], 1)


QUESTIONS = {"maximal": ["--maximal"], "size 3": ["--size", "3"], "size 4": ["--size", "4"], "size 5": ["--size", "5"],
             "maximum": ["--maximum"]}


def peers(name, route, arguments):
    """What a peer takes for each question in milliseconds, the least of some times, and how many it finds."""
    n, edges = make(name)
    if route == "igraph":
        import igraph
        graph = igraph.Graph(n=n, edges=edges.tolist())
        size = lambda k: lambda: len(graph.cliques(min=k, max=k))
        searches = {"maximal": lambda: len(graph.maximal_cliques()), "maximum": lambda: graph.clique_number()}
    else:
        import networkx
        graph = networkx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from(map(tuple, edges.tolist()))

        def size(k):
            def count():
                found = 0
                for clique in networkx.enumerate_all_cliques(graph):  # the small ones come first
                    if len(clique) > k:
                        break
                    found += len(clique) == k
                return found
            return count
        searches = {"maximal": lambda: sum(1 for _ in networkx.find_cliques(graph))}
    searches |= {f"size {k}": size(k) for k in (3, 4, 5)}
    found = {}
    for question in arguments.questions.split(","):
        search = searches.get(question)
        if not search:
            continue
        times, begin = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - begin < arguments.seconds:
            before = time.perf_counter()
            count = search()
            times.append(1e3 * (time.perf_counter() - before))
        found[question] = {"ms": min(times), "count": count}
    return found


def connectome(binary, file, workers, arguments):
    found = {}
    for question in arguments.questions.split(","):
        ask = lambda repeat: json.loads(subprocess.run(
            [binary, "cliques", file, *QUESTIONS[question], "--json", "--workers", str(workers), "--timing", str(repeat)],
            capture_output=True, check=True).stdout)
        once = max(ask(3)["milliseconds"]["least"], 1e-3)
        answer = ask(min(max(int(1e3 * arguments.seconds / once), 3), 1000))
        largest = len(answer["cliques"][0]) if question == "maximum" else answer["count"]
        found[question] = {"ms": answer["milliseconds"]["least"], "count": largest}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connectome", default=str(HERE.parents[1] / "target/release/connectome"), metavar="FILE")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is run, in turn")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each search is repeated")
    parser.add_argument("--questions", default=",".join(QUESTIONS), help="some of them: large graphs have too many to list")
    parser.add_argument("--peers", default="igraph,networkx", help="one or both of them")
    parser.add_argument("graphs", nargs="*", default=GRAPHS, metavar="FILE",
                        help="edge lists, as SNAP has ca-AstroPh and email-Eu-core, or npz; two random ones if not given")
    parser.add_argument("--peer", nargs=2, metavar=("GRAPH", "ROUTE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return print(json.dumps(peers(*arguments.peer, arguments)))
    binary = os.path.abspath(arguments.connectome)
    routes = arguments.peers.split(",")
    missing = [module for module in routes if not importlib.util.find_spec(module)]
    if missing:
        sys.exit(f"{' and '.join(missing)} are missing: install them as README.md says")
    for path in arguments.graphs:
        name = path if path in GRAPHS else os.path.abspath(path)
        n, edges = make(name)
        rounds = {"connectome, 1 worker": [], "connectome, 2 workers": []} | {route: [] for route in routes}
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/{Path(name).stem}.clq"
            lines = "".join(f"e {a + 1} {b + 1}\n" for a, b in edges.tolist())
            Path(file).write_text(f"p edge {n} {len(edges)}\n{lines}")
            for _ in range(arguments.rounds):
                for workers, who in zip((1, 2), rounds):
                    rounds[who].append(connectome(binary, file, workers, arguments))
                for route in routes:
                    command = [sys.executable, __file__, "--seconds", str(arguments.seconds),
                               "--questions", arguments.questions, "--peer", name, route]
                    done = subprocess.run(command, capture_output=True, check=True, cwd=HERE)
                    rounds[route].append(json.loads(done.stdout))
        print(f"\n## {Path(name).stem}: {n} nodes, {len(edges)} edges; least milliseconds\n")
        questions = arguments.questions.split(",")
        print("| who | " + " | ".join(questions) + " |\n|---|" + "---|" * len(questions))
        counts = {question: {found[question]["count"] for of_one in rounds.values() for found in of_one if question in found}
                  for question in questions}
        if any(len(found) > 1 for found in counts.values()):
            sys.exit(f"they do not agree: {counts}")
        print("| found | " + " | ".join(str(*counts[question]) for question in questions) + " |")
        for who, found in rounds.items():
            least = lambda question: min((one[question]["ms"] for one in found if question in one), default=None)
            cells = (least(question) for question in questions)
            print(f"| {who} | " + " | ".join("–" if cell is None else f"{cell:.3g}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
