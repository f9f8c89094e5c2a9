//! The derive macro of connectome, re-exported by its prelude.
#![forbid(unsafe_code)]

mod field;
mod picture;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitStr, Result, parse_macro_input};

use field::FeatureField;

/// Implements `Features` for a component that is not `Pod`: the values of its fields, in order, are its features.
///
/// A field is `f32`, `Vec2`, `Vec3`, `Vec3A`, `Vec4` or `[f32; N]`. Attributes of a field:
/// - `#[features(skip)]` excludes it, whatever its type; writing does not touch it;
/// - `#[features(scale = 0.1)]` multiplies its values by the scale when they are read, and divides by it when they are
///   written;
/// - `#[features(width = 2)]` is the number of features of another type that is `AsRef<[f32; 2]>` and
///   `AsMut<[f32; 2]>`.
///
/// A component of `f32`s that is `Pod` needs no derive: it implements `Features`, and its values are not copied.
///
/// ```ignore
/// #[derive(Component, Default, Features)]
/// struct Ship {
///     #[features(skip)]
///     name: String,
///     #[features(scale = 0.01)]
///     position: Vec3,
///     fuel: f32,
/// }
/// ```
#[proc_macro_derive(Features, attributes(features))]
pub fn derive_features(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implementation(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// A picture for the documentation of connectome itself.
#[doc(hidden)]
#[proc_macro]
pub fn picture(path: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let path = parse_macro_input!(path as LitStr);
    picture::definition(&path).unwrap_or_else(Error::into_compile_error).into()
}

fn implementation(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        let message = "only a struct has features; write `impl Features` for other types";
        return Err(Error::new_spanned(&input.ident, message));
    };
    let mut features = Vec::new();
    for (member, field) in data.fields.members().zip(&data.fields) {
        features.extend(FeatureField::of(member, field)?);
    }
    if features.is_empty() {
        let message = "the component has no features; add a field of `f32`s that is not skipped";
        return Err(Error::new_spanned(&input.ident, message));
    }
    let widths = features.iter().map(|field| &field.width);
    let reads = features.iter().map(FeatureField::read);
    let writes = features.iter().map(FeatureField::write);
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::connectome::components::Features for #name #arguments #bounds {
            const WIDTH: usize = 0 #(+ #widths)*;

            fn read(&self, row: &mut [f32]) {
                let rest = row;
                #(#reads)*
                ::core::debug_assert!(rest.is_empty());
            }

            fn write(&mut self, row: &[f32]) {
                let rest = row;
                #(#writes)*
                ::core::debug_assert!(rest.is_empty());
            }
        }
    })
}
