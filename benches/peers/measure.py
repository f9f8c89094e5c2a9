"""Repeats work in this process, and says how much memory it takes beside what imports hold."""
import statistics, time

THREADS, SECONDS = 1, 2.0  # peers.py sets them before a route is imported
BASELINE = {"memory_mb": 0.0, "import_ms": 0.0}


def status(field):
    """A field of the process's status in megabytes of a million bytes: VmRSS is held now, VmHWM was held at most."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith(field))


def import_first(*modules):
    """Imports what a route needs; memory and time count from here on."""
    start = time.perf_counter()
    for module in modules:
        __import__(module)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forgets how much memory importing took at most
    BASELINE.update(memory_mb=status("VmRSS"), import_ms=1e3 * (time.perf_counter() - start))


def timing(milliseconds):
    return {"median_ms": statistics.median(milliseconds), "min_ms": min(milliseconds), "count": len(milliseconds)}


def measure(work):
    """Warms up with five calls, for the first ones pay for the memory, and repeats until the time is spent.

    Work that takes long is called less often: no further call warms up once those after the first, which may compile, have taken
    four times as long as there is time; and three are measured if one takes longer than that time.
    """
    def call():
        begin = time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - begin)

    warm = []
    while len(warm) < 2 or (len(warm) < 5 and sum(warm[1:]) < 4e3 * SECONDS):
        warm.append(call())
    least = 3 if warm[-1] > 1e3 * SECONDS else 5
    times = []
    while len(times) < least or sum(times) < 1e3 * SECONDS:
        times.append(call())
    return timing(times)


def result(parameters=0, **times):
    """What compare.py reads: the times of each part, how much memory has come since imports at most, and how many parameters."""
    return {"times": {part: time for part, time in times.items() if time}, "parameters": parameters,
            "memory_mb": status("VmHWM") - BASELINE["memory_mb"], "import_ms": BASELINE["import_ms"]}
