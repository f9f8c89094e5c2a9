//! The memory that the process may still take.

use std::path::Path;

/// Where Linux mounts the control groups: those of version 2, and those of version 1 that limit memory.
const GROUPS: [(&str, [&str; 3]); 2] = [
    ("/sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
    ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"]),
];

/// Address space that each thread of the workers takes for its stack, and the allocator for it: mostly room that takes no memory.
const THREAD: usize = 66 << 20;

/// Tables grow by doubling, which is room as well: at most one part in this number of the address space that is left without
/// the threads is handed out.
const PART_OF_ADDRESSES: usize = 2;

/// Bytes that the process may still take, as far as the machine says: the least of what is free, of what its limits leave
/// (`RLIMIT_AS` and `RLIMIT_DATA`, which `ulimit` sets), and of what its control groups leave, which limit containers.
pub(crate) fn available() -> usize {
    #[expect(unexpected_cfgs, reason = "cargo-fuzz sets it")]
    let is_fuzzed = cfg!(fuzzing);
    if is_fuzzed {
        // The same on every machine, and quick: to ask takes longer than most inputs.
        return 1 << 30;
    }
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    least(threads, |path| std::fs::read_to_string(path).ok())
}

/// The least of all limits, for this number of threads; `read` returns the content of a file.
fn least(threads: usize, read: impl Fn(&Path) -> Option<String>) -> usize {
    let proc = |name: &str| read(&Path::new("/proc").join(name)).unwrap_or_default();
    let (memory, limits, status) = (proc("meminfo"), proc("self/limits"), proc("self/status"));
    let left = |limit: &str, used: &str| {
        let left = bytes(&limits, limit)?.saturating_sub(kilobytes(&status, used).unwrap_or(0));
        // Where the threads would have more than half of it the allocator lets them share.
        let reserved = threads.saturating_mul(THREAD).min(left / 2);
        Some((left - reserved) / PART_OF_ADDRESSES)
    };
    let memberships = proc("self/cgroup");
    let groups = memberships.lines().filter_map(|line| group(line, &read)).min();
    let all = [
        kilobytes(&memory, "MemAvailable:"),
        left("Max address space", "VmSize:"),
        left("Max data size", "VmData:"),
        groups,
    ];
    all.into_iter().flatten().min().unwrap_or(isize::MAX as usize)
}

/// The number of kilobytes in the line that begins so, in bytes.
fn kilobytes(table: &str, name: &str) -> Option<usize> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// The soft limit of this name; none if it is `unlimited`.
fn bytes(limits: &str, name: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a control group and those around it leave, by a line of `/proc/self/cgroup`: a number, controllers, and a path. In a
/// container the path may be that outside, where nothing is mounted; the root is that of the container then.
fn group(line: &str, read: &impl Fn(&Path) -> Option<String>) -> Option<usize> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let version = if controllers.is_empty() { 0 } else { 1 };
    if version == 1 && !controllers.split(',').any(|controller| controller == "memory") {
        return None;
    }
    let (root, [limit, used, reclaimable]) = GROUPS[version];
    let number = |folder: &Path, name: &str| read(&folder.join(name))?.trim().parse::<usize>().ok();
    let left = |folder: &Path| {
        let limit = number(folder, limit)?;
        // Files that were read stay in memory as long as nobody needs it.
        let statistics = read(&folder.join("memory.stat")).unwrap_or_default();
        let lines = statistics.lines().filter_map(|line| line.strip_prefix(reclaimable));
        let reclaimable = lines.filter_map(|rest| rest.trim().parse::<usize>().ok()).next().unwrap_or(0);
        let used = number(folder, used).unwrap_or(0).saturating_sub(reclaimable);
        Some(limit.saturating_sub(used))
    };
    let folder = Path::new(root).join(path.trim_start_matches('/'));
    folder.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(left).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: (&str, &str) = ("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   12345 kB\n");

    fn check(files: &[(&str, &str)], expected: usize) {
        let read = |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|file| file.1.to_owned());
        assert_eq!(least(1, read), expected, "{files:?}");
    }

    #[test]
    fn free_memory_is_read() {
        check(&[FREE], 12345 * 1024);
        check(&[("/proc/meminfo", "MemTotal:  9 kB\n")], isize::MAX as usize);
        check(&[("/proc/meminfo", "MemAvailable: much\n")], isize::MAX as usize);
    }

    #[test]
    fn limits_of_the_process_count_less_what_it_has_taken() {
        let status = ("/proc/self/status", "Name:\tx\nVmSize:\t    1024 kB\nVmData:\t     512 kB\n");
        let limits = |size: &str, data: &str| {
            format!(
                "Limit          Soft Limit  Hard Limit  Units\n\
                 Max data size             {data}            unlimited            bytes     \n\
                 Max address space         {size}            unlimited            bytes     \n"
            )
        };
        let check = |size, data, expected| {
            check(&[FREE, status, ("/proc/self/limits", &limits(size, data))], expected);
        };
        check("unlimited", "unlimited", 12345 * 1024);
        check("3145728", "unlimited", 1 << 19);
        check("3145728", "1048576", 1 << 17);
        check("4096", "unlimited", 0);
    }

    #[test]
    fn control_groups_of_both_versions_count() {
        let second = ("/proc/self/cgroup", "1:name=systemd:/\n0::/user/job\n");
        let root = "/sys/fs/cgroup/user";
        let [outer, inner] = [root.to_owned(), format!("{root}/job")];
        let [limit, used, inside] =
            [format!("{outer}/memory.max"), format!("{outer}/memory.current"), format!("{inner}/memory.max")];
        let statistics = format!("{outer}/memory.stat");
        check(&[FREE, second, (&inside, "max\n"), (&limit, "5000\n"), (&used, "3000\n")], 2000);
        let cached = (&*statistics, "anon 1\ninactive_file 1000\n");
        check(&[FREE, second, (&limit, "5000\n"), (&used, "3000\n"), cached], 3000);
        check(&[FREE, second, (&limit, "max\n")], 12345 * 1024);

        let first = ("/proc/self/cgroup", "5:devices:/\n4:cpu,memory:/docker/outside\n");
        let limit = ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "7000\n");
        let used = ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "6000\n");
        check(&[FREE, first, limit, used], 1000);
        check(&[FREE, ("/proc/self/cgroup", "4:cpu:/\nnonsense\n"), limit, used], 12345 * 1024);
    }
}
