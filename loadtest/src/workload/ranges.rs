//! Checks of a model's fields.

use super::model::{ModelError, Weighted};

/// More would overflow sums of weights.
const MOST_WEIGHT: u64 = 1_000_000;
const LONGEST_NAME: usize = 32;

fn fail(field: &'static str, value: impl ToString, mend: impl Into<String>) -> Result<(), ModelError> {
    Err(ModelError::Range { field, value: value.to_string(), mend: mend.into() })
}

pub(super) fn within(field: &'static str, value: f64, from: f64, to: f64) -> Result<(), ModelError> {
    if (from..=to).contains(&value) { Ok(()) } else { fail(field, value, format!("{from} to {to}")) }
}

/// Weights of names that the catalog knows.
pub(super) fn known_names(
    field: &'static str,
    weights: &Weighted,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<(), ModelError> {
    if let Some(stranger) = weights.keys().find(|name| !known.clone().any(|one| one == *name)) {
        return fail(field, stranger, format!("names of {}", known.collect::<Vec<_>>().join(", ")));
    }
    sum(field, weights)
}

/// Weights of free names. They are written into JSON as they are.
pub(super) fn free_names(field: &'static str, weights: &Weighted, most: usize) -> Result<(), ModelError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let usable = |name: &str| (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fine);
    if let Some(name) = weights.keys().find(|name| !usable(name)) {
        return fail(field, format!("`{name}`"), "1 to 32 letters, digits, '-', '_' and '.'");
    }
    if weights.len() > most {
        return fail(field, format!("{} names", weights.len()), format!("at most {most}"));
    }
    sum(field, weights)
}

fn sum(field: &'static str, weights: &Weighted) -> Result<(), ModelError> {
    let sum: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
    if (1..=MOST_WEIGHT).contains(&sum) {
        return Ok(());
    }
    fail(field, format!("weights of {sum} in all"), format!("a sum of 1 to {MOST_WEIGHT}"))
}
