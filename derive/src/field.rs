//! A field of a component and its features.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, Field, LitFloat, LitInt, Member, Result, Type};

/// A field that is not skipped.
pub struct FeatureField {
    member: Member,
    /// Its number of features.
    pub width: TokenStream,
    kind: Kind,
    scale: Option<f32>,
}

/// How the values of a field are accessed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Array,
    /// By `AsRef` and `AsMut` of an array.
    Vector,
}

/// The settings in `#[features(...)]`.
#[derive(Default)]
struct Settings {
    skip: bool,
    scale: Option<f32>,
    width: Option<TokenStream>,
}

impl FeatureField {
    /// None if the field is skipped.
    pub fn of(member: Member, field: &Field) -> Result<Option<Self>> {
        let Settings { skip, scale, width } = Settings::of(field)?;
        if skip {
            return Ok(None);
        }
        let (kind, known) = known_width(&field.ty).unzip();
        let kind = kind.filter(|_| width.is_none()).unwrap_or(Kind::Vector);
        let width = width.or(known).ok_or_else(|| {
            let message = "the number of features of this type is unknown; use f32, [f32; N], Vec2, Vec3, Vec3A or \
                           Vec4, set `#[features(width = N)]`, or skip the field by `#[features(skip)]`";
            Error::new_spanned(&field.ty, message)
        })?;
        Ok(Some(Self { member, width, kind, scale }))
    }

    /// Copies the field to the next values of `rest`.
    pub fn read(&self) -> TokenStream {
        let Self { member, width, .. } = self;
        let values = match self.kind {
            Kind::Scalar => quote!([self.#member]),
            Kind::Array => quote!(self.#member),
            Kind::Vector => quote!(*::core::convert::AsRef::<[f32; #width]>::as_ref(&self.#member)),
        };
        let scale = self.scale.map(|scale| quote!(.map(|value| value * #scale)));
        quote! {
            let (features, rest) = rest.split_at_mut(#width);
            let values: [f32; #width] = #values;
            features.copy_from_slice(&values #scale);
        }
    }

    /// Sets the field to the next values of `rest`.
    pub fn write(&self) -> TokenStream {
        let Self { member, width, .. } = self;
        let target = match self.kind {
            Kind::Scalar => quote!(::core::slice::from_mut(&mut self.#member)),
            Kind::Array => quote!(self.#member),
            Kind::Vector => quote!(::core::convert::AsMut::<[f32; #width]>::as_mut(&mut self.#member)),
        };
        let scale = self.scale.map(|scale| quote!(/ #scale));
        quote! {
            let (features, rest) = rest.split_at(#width);
            for (target, value) in #target.iter_mut().zip(features) {
                *target = *value #scale;
            }
        }
    }
}

impl Settings {
    fn of(field: &Field) -> Result<Self> {
        let mut settings = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("features")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    settings.skip = true;
                } else if meta.path.is_ident("scale") {
                    settings.scale = Some(scale(&meta.value()?.parse()?)?);
                } else if meta.path.is_ident("width") {
                    let width: LitInt = meta.value()?.parse()?;
                    let width = width.base10_parse::<usize>()?;
                    settings.width = Some(quote!(#width));
                } else {
                    return Err(meta.error("unknown setting; use `skip`, `scale = 0.1` or `width = 2`"));
                }
                Ok(())
            })?;
        }
        Ok(settings)
    }
}

/// A scale factor: finite and not 0.
fn scale(expression: &Expr) -> Result<f32> {
    let text = quote!(#expression).to_string().replace(' ', "");
    let number = syn::parse_str::<LitFloat>(&text).ok().and_then(|literal| literal.base10_parse::<f32>().ok());
    let number = number.or_else(|| text.parse().ok());
    match number {
        Some(scale) if scale.is_finite() && scale != 0.0 => Ok(scale),
        _ => Err(Error::new_spanned(expression, "a scale is a finite number other than 0, such as `scale = 0.1`")),
    }
}

/// The number of features of a scalar, an array or a vector.
fn known_width(field: &Type) -> Option<(Kind, TokenStream)> {
    if let Type::Array(array) = field {
        let length = &array.len;
        let length = match length {
            Expr::Lit(_) | Expr::Path(_) => quote!(#length),
            _ => quote!({ #length }),
        };
        return is_named(&array.elem, "f32").then_some((Kind::Array, length));
    }
    if is_named(field, "f32") {
        return Some((Kind::Scalar, quote!(1)));
    }
    let widths = [("Vec2", 2usize), ("Vec3", 3), ("Vec3A", 3), ("Vec4", 4)];
    let (_, width) = widths.into_iter().find(|(name, _)| is_named(field, name))?;
    Some((Kind::Vector, quote!(#width)))
}

/// Whether a path ends in a name.
fn is_named(field: &Type, name: &str) -> bool {
    let Type::Path(path) = field else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == name && segment.arguments.is_none())
}
