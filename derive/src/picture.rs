//! Pictures inside of documentation, which is one file for each page and has no folder of pictures beside it.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Error, LitStr, Result};

/// The alphabet of base64 (RFC 4648).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The definition of a link in Markdown, `[flock]: data:...`, to an SVG whose path in the package is given: its name is that
/// of the file, and it holds the picture itself.
pub fn definition(path: &LitStr) -> Result<TokenStream> {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let file = std::path::Path::new(&folder).join(path.value());
    let picture = std::fs::read(&file)
        .map_err(|error| Error::new(path.span(), format!("{}: {error}; check the path", file.display())))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let definition = format!("[{name}]: data:image/svg+xml;base64,{}", base64(&picture));
    Ok(LitStr::new(&definition, path.span()).into_token_stream())
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().enumerate().fold(0_u32, |group, (index, byte)| group | u32::from(*byte) << (16 - 8 * index));
        for digit in 0..4 {
            let value = (group >> (18 - 6 * digit)) as usize % 64;
            text.push(if digit <= chunk.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_its_standard() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(texts.map(|text| base64(text.as_bytes())), expected);
    }
}
