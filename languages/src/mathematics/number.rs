//! Exact decimal numbers.

use std::fmt;

/// A decimal number from 0 on, of any size, kept exactly.
///
/// Numbers are equal if they have the same value: `1.50`, `1.5` and `15e-1` are one number. Written and read again they are
/// the same. The sign is an operator, [`Operation::Negate`](super::Operation::Negate).
///
/// ```
/// use connectome_languages::mathematics::Number;
///
/// let number: Number = "0.1250".parse()?;
/// assert_eq!(number.to_string(), "0.125");
/// assert_eq!((number.value(), number.integer()), (0.125, None));
/// assert_eq!("1e3".parse::<Number>()?, Number::from(1000));
/// # Ok::<(), connectome_languages::mathematics::NumberError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    /// The digits, without zeros at either end; "0" for 0.
    digits: Box<str>,
    /// The power of ten that the integer of the digits is multiplied by.
    exponent: i64,
}

/// A text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It is not written as one.
    #[error("a number is digits, maybe with a decimal point and an exponent, such as 12, 0.5 or 6.02e23")]
    Malformed,
    /// Its exponent is too large.
    #[error("the exponent of a number is at most {} either way", Number::MAX_EXPONENT)]
    Exponent,
}

impl Number {
    /// The largest power of ten, up or down, that the first digit of a number may count.
    pub const MAX_EXPONENT: i64 = 1_000_000_000;

    /// The longest prefix of a text that is written as a number; empty if there is none.
    pub(crate) fn prefix(text: &str) -> &str {
        let digits = |from: usize| from + text[from..].bytes().take_while(u8::is_ascii_digit).count();
        let mut end = digits(0);
        let mut has_digits = end > 0;
        if text[end..].starts_with('.') {
            let fraction = digits(end + 1);
            has_digits |= fraction > end + 1;
            end = fraction;
        }
        if !has_digits {
            return "";
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        &text[..end]
    }

    /// The value, rounded to the nearest.
    pub fn value(&self) -> f64 {
        // Rust reads what is written here.
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The value if it is an integer below 2^64.
    pub fn integer(&self) -> Option<u64> {
        let power = 10_u64.checked_pow(u32::try_from(self.exponent).ok()?)?;
        self.digits.parse::<u64>().ok()?.checked_mul(power)
    }

    /// The digits, and the power of ten that the first one counts.
    pub(crate) fn scientific(&self) -> (&str, i64) {
        (&self.digits, self.exponent + self.digits.len() as i64 - 1)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        let digits = value.to_string();
        let significant = if value == 0 { "0" } else { digits.trim_end_matches('0') };
        Self { exponent: (digits.len() - significant.len()) as i64, digits: significant.into() }
    }
}

impl std::str::FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() || Self::prefix(text) != text {
            return Err(NumberError::Malformed);
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().map_err(|_| NumberError::Exponent)?;
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{integer}{fraction}");
        let significant = digits.trim_end_matches('0');
        let zeros = digits.len() - significant.len();
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self::from(0));
        }
        let exponent = exponent.checked_add(zeros as i64 - fraction.len() as i64).ok_or(NumberError::Exponent)?;
        let number = Self { digits: significant.into(), exponent };
        // Of the first digit, for so it is written, and read again.
        let power = exponent.saturating_add(number.digits.len() as i64 - 1);
        if power.unsigned_abs() > Self::MAX_EXPONENT.unsigned_abs() {
            return Err(NumberError::Exponent);
        }
        Ok(number)
    }
}

/// Plain digits where few zeros fill them up, else an exponent.
impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { digits, exponent } = self;
        // The number of digits before the decimal point.
        let point = digits.len() as i64 + exponent;
        match *exponent {
            0 => formatter.write_str(digits),
            1.. if point <= 21 => write!(formatter, "{digits}{:0<1$}", "", *exponent as usize),
            ..0 if point > 0 => {
                let (integer, fraction) = digits.split_at(point as usize);
                write!(formatter, "{integer}.{fraction}")
            }
            ..0 if point > -6 => write!(formatter, "0.{:0<1$}{digits}", "", point.unsigned_abs() as usize),
            _ => {
                let (first, rest) = digits.split_at(1);
                let point = if rest.is_empty() { "" } else { "." };
                write!(formatter, "{first}{point}{rest}e{}", self.scientific().1)
            }
        }
    }
}
