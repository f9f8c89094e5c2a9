//! Sums, means and variances of a row.

/// Number of partial sums, that of the lanes of the widest vectors.
const LANES: usize = 16;

/// `sum of term(i)` for `i < count`, in an order that depends on `count` alone.
#[inline(always)]
pub fn sum(count: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let whole = count - count % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    for (lane, sum) in lanes.iter_mut().enumerate().take(count - whole) {
        *sum += term(whole + lane);
    }
    lanes.iter().sum()
}

/// The mean of a row and `1 / sqrt(variance + epsilon)`, with the variance over the length of the row.
#[inline(always)]
pub fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let factor = 1.0 / row.len().max(1) as f32;
    let mean = factor * sum(row.len(), |i| row[i]);
    let variance = factor * sum(row.len(), |i| (row[i] - mean) * (row[i] - mean));
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_summed() {
        for count in 0..70 {
            let row: Vec<f32> = (0..count).map(|i| (i * 7 % 23) as f32 - 11.0).collect();
            assert_eq!(sum(count, |i| row[i]), row.iter().sum::<f32>(), "{count} elements");
        }
    }

    #[test]
    fn moments_are_the_mean_and_the_reciprocal_deviation() {
        let (mean, reciprocal) = moments(&[1.0, 3.0, 5.0, 7.0], 0.0);
        assert_eq!(mean, 4.0);
        assert!((reciprocal - 1.0 / 5f32.sqrt()).abs() < 1e-6);
    }
}
