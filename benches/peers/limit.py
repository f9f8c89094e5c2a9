"""The least time that the arithmetic of a case takes on a machine, from what it must compute and move."""

CACHE = 32 << 20  # bytes of the last cache
FLOAT = INDEX = 4


def limits(graph, kind, rates):
    """For forward, step and step_same_input: {"ms", "gflop", "mb"}.

    The work is a list of stages that depend on each other, so their least times add up; within a stage computing and moving
    may overlap, so the longer of both counts. Each matrix is moved once for each stage that reads or writes it, at the rate
    of the cache if it fits there, else at that of the memory. A sum over edges reads one row for each edge; it
    may be done before or after a product, so at the narrower of the two widths. Activations, losses and the optimizer are
    taken as free: they can be done while something else passes by. A step sums up its input as each peer does; where the input
    stays the same from step to step, that sum need not be made again.
    """
    n, edges, f, h, c = graph["n"], graph["edges"], graph["f"], graph["h"], graph["c"]
    looped = edges + n  # with each node itself, where that is one of those summed up

    def product(rows, inner, outer):
        moved = [rows * inner, inner * outer, rows * outer]
        return 2 * rows * inner * outer, [(FLOAT * numbers, FLOAT * numbers) for numbers in moved]

    def gather(count, rows, width, weighted=False, output=None):
        """Sums `count` rows of a matrix; what is read of it, how large it is, and the indices with their weights."""
        size = FLOAT * rows * width
        indices = count * (INDEX + FLOAT * weighted)
        written = FLOAT * (rows if output is None else output) * width
        return 2 * count * width, [(FLOAT * count * width, size), (indices, indices), (written, written)]

    # Of each layer: its products [rows, inner, outer], those of the layer's input first; its sums over edges; and whether
    # what is summed up learns, or is the input of the model. Backwards there is a product for the gradient of each weight,
    # one for that of each input but the model's, and a sum over edges for each whose rows learn.
    if kind in ("gcn", "sum"):
        layers = [([(n, f, h)], [gather(looped, n, min(f, h), True)], f > h),
                  ([(n, h, c)], [gather(looped, n, min(h, c), True)], True)]
    elif kind == "sage":
        layers = [([(n, f, h)] * 2, [gather(edges, n, min(f, h))], f > h),
                  ([(n, h, c)] * 2, [gather(edges, n, min(h, c))], True)]
    elif kind == "gin" and "graphs" in graph:
        layers = [([(n, f, h), (n, h, h)], [gather(looped, n, min(f, h))], f > h),
                  ([(n, h, h)] * 2, [gather(looped, n, h)], True), ([(graph["graphs"], h, c)], [], True)]
    elif kind == "gin":
        layers = [([(n, f, h), (n, h, h)], [gather(looped, n, min(f, h))], f > h),
                  ([(n, h, h), (n, h, c)], [gather(looped, n, h)], True)]
    elif kind == "gat":  # weights of attention for 8 heads, then for 1
        layers = [([(n, f, 64)], [gather(looped, n, 64, True)], True),
                  ([(n, 64, c)], [gather(looped, n, min(64, c), True)], True)]
    elif kind == "mgn":
        # The first map of the edges' perceptron is made on the nodes for what comes from them; two rows come to each edge,
        # and one message goes from it.
        block = [(edges, h, h)] + [(n, h, h)] * 2 + [(edges, h, h)] * 2 + [(n, h, h)] * 4
        ends = [gather(edges, n, h, output=edges)] * 2 + [gather(edges, edges, h, output=n)]
        layers = [(block, ends, True)] * graph["blocks"]
    else:
        raise KeyError(kind)
    if kind == "sum":
        return {"forward": total(layers[0][1], rates)}

    maps = [[product(*shape) for shape in products] for products, _, _ in layers]
    forward = [stage for dense, (_, sums, _) in zip(maps, layers) for stage in dense + sums]
    kept = [stage for _, sums, learns in layers if not learns for stage in sums]
    backward = []
    for number, (dense, (_, sums, learns)) in enumerate(zip(maps, layers)):
        # The model's input does not learn: of the products that read it there is the gradient of the weights alone.
        of_input = {"sage": 2, "mgn": 3}.get(kind, 1) if number == 0 else 0
        backward += dense + dense[of_input:] + (sums if learns else [])
    step = total(forward + backward, rates)
    saved = total(kept, rates)
    return {"forward": total(forward, rates), "step": step,
            "step_same_input": {unit: step[unit] - saved[unit] for unit in step}}


def total(stages, rates):
    seconds = gflop = megabytes = 0
    for flops, matrices in stages:
        moving = 0
        for moved, size in matrices:
            in_cache = size <= CACHE
            rate = rates["cache_gb_s" if in_cache else "memory_gb_s"] * 1e9
            moving += moved / rate
            megabytes += moved / 1e6
        seconds += max(flops / rates["gemm_gflops"] / 1e9, moving)
        gflop += flops / 1e9
    return {"ms": 1e3 * seconds, "gflop": gflop, "mb": megabytes}
