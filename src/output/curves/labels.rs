//! Keeping the labels at the ends of curves apart.

/// Moves labels as little as possible so that they are `spacing` apart and between `low` and `high`.
///
/// `wanted` is rising, and the answer has the same order. Should there be no room, the last ones run over `high`.
pub(super) fn spread(wanted: &[f64], spacing: f64, low: f64, high: f64) -> Vec<f64> {
    let offset = |index: usize| index as f64 * spacing;
    // Less their offsets, the positions only need to be rising: where they fall, neighbors share their mean.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    for (index, position) in wanted.iter().enumerate() {
        let mut group = (position - offset(index), 1);
        while let Some(before) = groups.pop_if(|before| mean(*before) > mean(group)) {
            group = (before.0 + group.0, before.1 + group.1);
        }
        groups.push(group);
    }
    let last = (high - offset(wanted.len().saturating_sub(1))).max(low);
    groups
        .iter()
        .flat_map(|&group| std::iter::repeat_n(mean(group).clamp(low, last), group.1))
        .enumerate()
        .map(|(index, position)| position + offset(index))
        .collect()
}

fn mean((sum, count): (f64, usize)) -> f64 {
    sum / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_room_stay_where_they_are() {
        assert_eq!(spread(&[10.0, 30.0], 16.0, 0.0, 100.0), [10.0, 30.0]);
        assert_eq!(spread(&[], 16.0, 0.0, 100.0), [0.0; 0]);
    }

    #[test]
    fn crowded_labels_give_way_evenly() {
        let spaced = spread(&[50.0, 50.0, 50.0], 16.0, 0.0, 100.0);
        assert_eq!(spaced, [34.0, 50.0, 66.0]);
        let spaced = spread(&[20.0, 90.0, 96.0], 10.0, 0.0, 200.0);
        assert_eq!(spaced, [20.0, 88.0, 98.0]);
    }

    #[test]
    fn labels_stay_within_the_panel() {
        assert_eq!(spread(&[0.0, 1.0], 10.0, 0.0, 100.0), [0.0, 10.0]);
        assert_eq!(spread(&[99.0, 100.0], 10.0, 0.0, 100.0), [90.0, 100.0]);
        assert_eq!(spread(&[0.0, 0.0], 10.0, 0.0, 5.0), [0.0, 10.0]);
    }
}
