"""The machine, and the environments that children of compare.py run in."""
import json, os, platform, subprocess, time
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What would make a library other than as installed.
FOREIGN = ("OPENBLAS_", "MKL_", "OMP_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
# Large arrays stay in the heap, in huge pages, instead of being mapped and unmapped for each operation.
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "MALLOC_MMAP_THRESHOLD_": "4294967296",
             "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "268435456"}


def processor():
    """Fields of the first processor."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def describe():
    """Date, processor, cores, memory and system."""
    cpu = processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": f"{cpu.get('model name', platform.machine())} (family {cpu.get('cpu family')}, model {cpu.get('model')}"
                       f"{', AVX-512' * ('avx512f' in cpu.get('flags', '').split())}), "
                       f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release()}, "
                       f"{' '.join(platform.libc_ver())}"}


def environments(folder):
    """Variables for peers as installed, and tuned as their users would."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)} | {"GRAPHS": str(folder)}
    tuned = plain | ALLOCATOR
    if processor().get("vendor_id") == "AuthenticAMD":  # MKL keeps its best kernels for Intel
        source, library = Path(folder, "intel.c"), Path(folder, "intel.so")
        source.write_text("int mkl_serv_intel_cpu_true(void) { return 1; }\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        tuned["LD_PRELOAD"] = str(library)
    return {"tuned": tuned, "installed": plain}


def high_water(process):
    """The most memory that a child has held so far, in megabytes of a million bytes."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):  # it has just ended
        return 0.0


def run(command, threads, limit, environment):
    """What a child prints as JSON in its last line, its wall time and memory; or why there is nothing."""
    start, peak = time.perf_counter(), 0.0
    variables = environment | {variable: str(threads) for variable in THREAD_COUNTS}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE, env=variables)
    while True:
        try:
            output, errors = child.communicate(timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, high_water(child.pid))
            if time.perf_counter() - start > limit:
                child.kill()
                child.communicate()
                return {"error": f"over {limit:.0f} s"}
        except KeyboardInterrupt:
            child.kill()
            raise
    wall = 1e3 * (time.perf_counter() - start)
    if child.returncode or not output.strip():
        lines = errors.strip().splitlines() or [f"ended with {child.returncode}"]
        return {"error": next((line for line in lines if line.startswith("error")), lines[-1])[:200]}
    return json.loads(output.strip().splitlines()[-1]) | {"process_ms": wall, "peak_mb": peak}
