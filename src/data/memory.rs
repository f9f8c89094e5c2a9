//! The memory of the machine.

/// Bytes that this machine can still hand out, as far as it tells.
pub(crate) fn available() -> usize {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|table| kilobytes(&table)?.checked_mul(1024))
        .unwrap_or(isize::MAX as usize)
}

fn kilobytes(table: &str) -> Option<usize> {
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_memory_is_read() {
        assert_eq!(kilobytes("MemTotal:  9 kB\nMemAvailable:   12345 kB\n"), Some(12345));
        assert_eq!(kilobytes("MemTotal:  9 kB\n"), None);
        assert_eq!(kilobytes("MemAvailable: much\n"), None);
    }
}
