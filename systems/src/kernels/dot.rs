//! Dot products.

/// `sum of a[i] * b[i]`.
///
/// Eight partial sums of every eighth product are added pairwise: the same order on every processor.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let mut rest = 0.0;
    for (a, b) in rest_of_a.iter().zip(rest_of_b) {
        rest += a * b;
    }
    let [a, b, c, d, e, f, g, h] = sums;
    (((a + e) + (c + g)) + ((b + f) + (d + h))) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_summed_completely() {
        for length in 0..40 {
            let a: Vec<f32> = (0..length).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..length).map(|i| (i % 5) as f32 - 1.0).collect();
            let expected: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&a, &b), expected, "length {length}");
        }
    }
}
