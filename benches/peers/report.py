"""The table of what compare.py has measured."""
PARTS = {"forward": "forward, ms", "step": "training step, ms", "epoch": "epoch, ms", "process": "whole process, ms",
         "after_imports": "without imports, ms", "memory": "memory, MB"}
MAIN = ("process", "epoch", "step", "forward")  # whoever is fastest there, its memory is shown
DO_LESS = ("dgl_unweighted",)  # measured, but not compared with
HEAD = ["case", "what", "workers", "connectome (same input)", "best peer, tuned", "peer / connectome", "best peer, as installed",
        "peer / connectome", "limit (same input)", "connectome / limit"]


def number(value):
    return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head, rows):
    rows = [head] + rows
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def merged(runs):
    """Of several rounds the best median of each part, for what other jobs on the machine stretch is not counted."""
    best = {}
    for run in runs:
        for part, time in run["times"].items():
            best[part] = min(best.get(part, time["median_ms"]), time["median_ms"])
    return {"times": best, "memory": min(run["memory_mb"] for run in runs), "parameters": runs[0]["parameters"]}


def fastest(peers, part):
    """The name of the peer that takes the least time for a part, if one has it."""
    times = {who: found["times"][part] for who, found in peers.items() if who not in DO_LESS and part in found["times"]}
    return min(times, key=times.get, default=None)


def peer_cells(ours, peers, part, value):
    """The best peer for a part, and how many times as long it takes."""
    main = part if part != "memory" else next((part for part in MAIN if fastest(peers, part)), None)
    who = main and fastest(peers, main)
    if not who:
        return ["–", "–"]
    theirs = peers[who]["memory"] if part == "memory" else peers[who]["times"][part]
    counts = {ours["parameters"], peers[who]["parameters"]} - {0}
    other = ", another model" if len(counts) > 1 else ""
    return [f"{number(theirs)} ({who}{other})", number(theirs / value) if value else "–"]


def rows_of(case, threads, found, limits):
    """One row for each part that connectome has."""
    ours = found["connectome"]["installed"]
    peers = {kind: {who: of[kind] for who, of in found.items() if who != "connectome" and kind in of}
             for kind in ("tuned", "installed")}
    rows = []
    for part, label in PARTS.items():
        value = ours["memory"] if part == "memory" else ours["times"].get(part)
        if not value:
            continue
        cell, limit, ratio = number(value), "–", "–"
        same = ours["times"].get("step_same_input") if part == "step" else None
        if same:
            cell += f" ({number(same)})"
        if part in limits:
            limit, ratio = number(limits[part]["ms"]), number(value / limits[part]["ms"])
            if same:
                least = limits["step_same_input"]["ms"]
                limit, ratio = f"{limit} ({number(least)})", f"{ratio} ({number(same / least)})"
        rows.append([case, label, str(threads), cell, *peer_cells(ours, peers["tuned"], part, value),
                     *peer_cells(ours, peers["installed"], part, value), limit, ratio])
    return rows


def report(kept):
    """Markdown: the date and the machine, the table, and what failed."""
    grouped, failed = {}, []
    for run in kept["runs"]:
        if "error" in run:
            failed.append(f"- {run['case']}, {run['threads']} workers, {run['who']} {run['environment']}: {run['error']}")
            continue
        of_case = grouped.setdefault((run["case"], run["threads"]), {})
        of_case.setdefault(run["who"], {}).setdefault(run["environment"], []).append(run)
    rows = []
    for (case, threads), found in grouped.items():
        found = {who: {kind: merged(runs) for kind, runs in of.items()} for who, of in found.items()}
        if "connectome" in found:
            rows += rows_of(case, threads, found, kept["limits"].get(f"{case} {threads}", {}))
    rates = [f"{threads} workers: products {rate['gemm_gflops']:.0f} GFLOP/s, memory {rate['memory_gb_s']:.1f} GB/s, "
             f"cache {rate['cache_gb_s']:.1f} GB/s" for threads, rate in kept["rates"].items()]
    libraries = "; ".join(f"{name}: " + ", ".join(f"{library} {version}" for library, version in versions.items())
                          for name, versions in kept["libraries"].items())
    labels = list(PARTS.values())
    rows.sort(key=lambda row: (kept["cases"].index(row[0]), labels.index(row[1])))
    how = f"Best of {kept['rounds']} rounds, {kept['seconds']:g} s for each figure" + ", the best peers alone" * kept["quick"]
    text = [f"{kept['date']}, {kept['machine']}. {'. '.join(rates)}. {libraries}. {how}.", table(HEAD, rows)]
    return "\n\n".join(text + (["Failed:\n\n" + "\n".join(failed)] if failed else []))
