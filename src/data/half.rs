//! Floats of 16 bits.

/// The value of an IEEE 754 half, NumPy's `float16`, which every `f32` can hold.
pub(crate) fn from_half(bits: u16) -> f32 {
    let (sign, rest) = (u32::from(bits & 0x8000) << 16, bits & 0x7fff);
    let magnitude = match rest >> 10 {
        // Multiples of the smallest one, 2^-24.
        0 => f32::from(rest) * (1.0 / (1 << 24) as f32),
        31 => f32::from_bits(0x7f80_0000 | u32::from(rest & 0x3ff) << 13),
        _ => f32::from_bits((u32::from(rest) << 13) + ((127 - 15) << 23)),
    };
    f32::from_bits(sign | magnitude.to_bits())
}

/// The value of a `bfloat16`, the upper half of an `f32`.
pub(crate) fn from_bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_the_values_of_the_standard() {
        let cases = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(from_half(bits), value, "{bits:#x}");
        }
        assert!(from_half(0x8000).is_sign_negative());
        assert!(from_half(0x7e00).is_nan());
        assert_eq!(from_bfloat(0x3fc0), 1.5);
    }
}
