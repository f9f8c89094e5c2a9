#!/usr/bin/env python3
"""Measures connectome and its peers on the same graphs, in turn, and prints who takes how long; see README.md."""
import argparse, json, os, sys, tempfile, time
from fnmatch import fnmatch
from pathlib import Path

import ours
import routes
from limit import limits
from machine import HERE, describe, environments, run
from report import PARTS, number, report


def chosen(text, pattern):
    return any(fnmatch(text, one) for one in pattern.split(","))


def find_peers(pythons, cases, arguments, environment):
    """For each case its routes and the interpreter that takes each; ends if one that is wanted is in none."""
    found, libraries = [], {}
    for name, python in pythons.items():
        listed = run([python, "peers.py", "list"], 1, 120, environment)
        if "error" in listed:
            sys.exit(f"{python} cannot list its peers: {listed['error']}")
        found.append((python, listed["routes"]))
        libraries[name] = listed["versions"]
    peers, missing = {}, []
    for case in cases:
        wanted = routes.quick(case) if arguments.quick else routes.routes(case)
        for route in (route for route in wanted if chosen(route, arguments.routes)):
            python = next((python for python, takes in found if route in takes[case]), None)
            if python:
                peers.setdefault(case, {})[route] = python
            elif not routes.is_optional(case, route):
                missing.append(f"{case} {route}")
    if missing:
        sys.exit(f"no interpreter has {', '.join(missing)}: install them as README.md says, or leave them out with --routes")
    return peers, libraries


def measurements(cases, peers, arguments):
    """What is run, in turn: threads, case, who, environment."""
    for _ in range(arguments.rounds):
        for threads in map(int, arguments.threads.split(",")):
            for case in cases:
                yield threads, case, "connectome", "installed"
                for route in peers.get(case, {}):
                    if threads > 1 or not route.endswith("loader"):  # one thread cannot draw samples aside
                        yield from ((threads, case, route, kind) for kind in arguments.environments.split(","))


def measure_rates(binary, python, threads, arguments, kinds):
    rates = run([python, "peers.py", "rates", "-", str(threads), "0.5"], threads, 120, kinds["tuned"])
    if "error" in rates:
        sys.exit(f"{python} cannot measure the machine: {rates['error']}")
    products = ours.product_rate(binary, threads, arguments, kinds["installed"])
    return rates | {"gemm_gflops": max(rates["gemm_gflops"], products)}


def note(found):
    """One line of progress about a run."""
    if "error" in found:
        return found["error"]
    label = lambda part: PARTS.get(part, "same input, ms").removesuffix(", ms")
    times = [f"{label(part)} {number(time['median_ms'])} ms" for part, time in found["times"].items()]
    return ", ".join(times + [f"{number(found['memory_mb'])} MB"])


def measure_all(arguments, pythons, binary, folder):
    kinds = environments(folder)
    cases = [case for case in routes.CASES if chosen(case, arguments.cases)]
    peers, libraries = find_peers(pythons, cases, arguments, kinds["installed"])
    kept = describe() | {"rounds": arguments.rounds, "seconds": arguments.seconds, "quick": arguments.quick, "cases": cases}
    kept |= {"libraries": libraries, "rates": {}, "limits": {}, "runs": []}
    todo, scenes, begin = list(measurements(cases, peers, arguments)), {}, time.perf_counter()

    def keep():
        if arguments.json:
            file = Path(arguments.json)
            file.with_suffix(".part").write_text(json.dumps(kept, indent=1))
            file.with_suffix(".part").replace(file)

    try:
        for threads in map(int, arguments.threads.split(",")):
            kept["rates"][threads] = measure_rates(binary, next(iter(pythons.values())), threads, arguments, kinds)
        for count, (threads, case, who, kind) in enumerate(todo, 1):
            file, shape = scenes[case] = scenes.get(case) or ours.prepare(case, folder)
            graph, of_graph = case.split("/")
            if shape and graph not in ("sampled", "start"):
                kept["limits"][f"{case} {threads}"] = limits(shape, of_graph, kept["rates"][threads])
            if who == "connectome":
                found = ours.connectome(binary, file, case, threads, arguments, kinds[kind])
            else:
                command = [peers[case][who], "peers.py", case, who, str(threads), str(arguments.seconds)]
                found = ours.start(command, threads, arguments, kinds[kind]) if graph == "start" else \
                    run(command, threads, arguments.limit, kinds[kind])
            kept["runs"].append({"case": case, "threads": threads, "who": who, "environment": kind} | found)
            keep()
            progress = f"[{count}/{len(todo)}, {time.perf_counter() - begin:.0f} s]"
            print(f"{progress} {case}, {threads} threads, {who} {kind}: {note(found)}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted: what has been measured follows", file=sys.stderr)
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", metavar="NAME=PATH", default=[],
                        help="an interpreter with some of the peers; may be given several times, and is this one if not")
    parser.add_argument("--connectome", default=str(HERE.parents[1] / "target/release/connectome"), metavar="FILE")
    parser.add_argument("--cases", default="*", help="patterns such as cora/*,arxiv/gcn")
    parser.add_argument("--routes", default="*", help="patterns of peers, such as pyg*,dgl")
    parser.add_argument("--environments", default="tuned,installed", help="one or both of them")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--quick", action="store_true", help="only the peers that were the best of all, in one round")
    parser.add_argument("--rounds", type=int, help="how often each is run, in turn: 2, or 1 if quick")
    parser.add_argument("--seconds", type=float, help="how long each forward pass and each step is repeated: 2, or 0.5 if quick")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a run is given up")
    parser.add_argument("--json", metavar="FILE", help="where to write all figures, after each of them")
    parser.add_argument("--report", metavar="FILE", help="measure nothing, and print the table of such a file")
    arguments = parser.parse_args()
    if arguments.report:
        return print(report(json.loads(Path(arguments.report).read_text())))
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 2)
    arguments.seconds = arguments.seconds or (0.5 if arguments.quick else 2.0)
    entries = [entry if "=" in entry else f"python={entry}" for entry in arguments.python or [sys.executable]]
    pythons = {name: os.path.abspath(path) for name, _, path in (entry.partition("=") for entry in entries)}
    binary = os.path.abspath(arguments.connectome)
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is missing; run `cargo build --release`")
    with tempfile.TemporaryDirectory() as folder:
        kept = measure_all(arguments, pythons, binary, folder)
    print(report(kept))
    if any("error" in found for found in kept["runs"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
