//! Huge pages for large columns.

use bevy_ecs::{
    component::ComponentId,
    storage::{Table, TableId, TableRow},
    world::World,
};
use core::ops::Range;
use nonmax::NonMaxU32;

use super::register::AttachedFields;
use crate::Rows;

/// Bytes of a huge page, on x86-64 and most other processors.
const HUGE_PAGE: usize = 2 << 20;

/// Asks the operating system to hold large columns in huge pages.
///
/// Aggregation reads rows in any order. A column of 100 MB has 25,000 pages, of which a processor finds some 2,000 at
/// once, so every other row costs a walk through the page tables; of huge pages it has 50. Linux gives them to those who
/// ask (`madvise`, from 6.1 on), elsewhere nothing is done. It changes no value.
#[derive(Debug, Default)]
pub struct HugePages {
    /// The addresses for which they were asked.
    known: Vec<((TableId, ComponentId), Range<usize>)>,
}

impl HugePages {
    /// Asks for the attached fields of these rows, where columns have moved or grown by a huge page.
    ///
    /// Pages that are in use are copied once.
    pub fn request(&mut self, world: &World, rows: &Rows) {
        let Some(fields) = world.get_resource::<AttachedFields>() else { return };
        for (id, _) in rows.tables() {
            let Some(table) = world.storages().tables.get(*id) else { continue };
            for field in fields.ids().filter(|field| table.has_column(*field)) {
                let size = world.components().get_info(field).map_or(0, |info| info.layout().size());
                let pages = huge_pages(table, field, size);
                if pages.is_empty() {
                    continue;
                }
                let known = self.known.iter_mut().find(|(key, _)| *key == (*id, field));
                let asked = match known {
                    Some((_, known)) => core::mem::replace(known, pages.clone()),
                    None => {
                        self.known.push(((*id, field), pages.clone()));
                        0..0
                    }
                };
                let start = if asked.start == pages.start { asked.end } else { pages.start };
                if start < pages.end {
                    _ = advise(start..pages.end);
                }
            }
        }
    }
}

/// The addresses of whole huge pages in a column whose components have `size` bytes.
fn huge_pages(table: &Table, id: ComponentId, size: usize) -> Range<usize> {
    let Some(column) = table.get_column(id).filter(|_| !table.is_empty()) else { return 0..0 };
    // SAFETY: there is a first row; nothing is read here.
    let start = unsafe { column.get_data_unchecked(TableRow::new(NonMaxU32::ZERO)) }.as_ptr().addr();
    let end = start + table.entity_count() as usize * size;
    start.next_multiple_of(HUGE_PAGE)..end / HUGE_PAGE * HUGE_PAGE
}

/// Returns whether the system has done so.
#[cfg(all(target_os = "linux", not(miri)))]
fn advise(pages: Range<usize>) -> bool {
    /// Of Linux 6.1; not in all versions of libc. Unlike `MADV_HUGEPAGE` it says nothing of what the addresses are used
    /// for later, when the column has moved: what is small would take huge pages then.
    const MADV_COLLAPSE: libc::c_int = 25;
    // SAFETY: advice on pages that a column holds whole; it changes neither their contents nor who may access them. A
    // system that has no huge pages, or none left, refuses it, and all stays as it was.
    unsafe { libc::madvise(core::ptr::with_exposed_provenance_mut(pages.start), pages.len(), MADV_COLLAPSE) == 0 }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn advise(_: Range<usize>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, GraphNode, attach_fields};

    #[test]
    fn large_columns_are_in_huge_pages_and_keep_their_values() {
        let mut world = World::new();
        let nodes = world.register_component::<GraphNode>();
        let field = Field::<f32>::register(&mut world, "wide", nodes, 256).unwrap();
        let (mut rows, mut pages) = (Rows::default(), HugePages::default());
        for count in [3_000, 10_000] {
            let missing = count - rows.len();
            world.spawn_batch((0..missing).map(|_| GraphNode)).for_each(drop);
            attach_fields(&mut world, nodes);
            rows.update(&world, &[nodes]);
            for (number, row) in field.matrix_mut(&mut world).rows_mut().enumerate() {
                row.fill(number as f32);
            }
            pages.request(&world, &rows);
            let is_same = |(number, row): (usize, &[f32])| row.iter().all(|value| *value == number as f32);
            assert!(field.matrix(&world).rows().enumerate().all(is_same));
        }
        let table = &world.storages().tables[rows.tables()[0].0];
        let whole = huge_pages(table, field.id(), 1024);
        assert_eq!(
            pages.known.iter().map(|(_, pages)| pages.clone()).max_by_key(|pages| pages.len()),
            Some(whole.clone())
        );
        assert!((3..5).contains(&(whole.len() / HUGE_PAGE)), "{whole:?}");
        if advise(whole.clone()) {
            assert!(is_huge(whole.start).unwrap_or(true));
        }
    }

    /// Whether there are huge pages in the mapping of an address; none if the system does not tell.
    fn is_huge(address: usize) -> Option<bool> {
        let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
        let bounds = |line: &str| -> Option<Range<usize>> {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
        };
        let mut lines = maps.lines().skip_while(|line| !bounds(line).is_some_and(|bounds| bounds.contains(&address)));
        let line = lines.find_map(|line| line.strip_prefix("AnonHugePages:"))?;
        Some(line.trim() != "0 kB")
    }
}
