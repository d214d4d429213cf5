//! From when until when a certificate is good (RFC 5280, 4.1.2.5). TLS itself is rustls's business, which checks the dates
//! of others' certificates and does not tell those of our own; two dates are no reason to bring a second X.509 stack.

use std::time::UNIX_EPOCH;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
/// `[0]`, in which the version is, where it is said.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Of a certificate in DER, in milliseconds since 1970-01-01 UTC; none for what is no certificate.
pub(super) fn of(certificate: &[u8]) -> Option<(i64, i64)> {
    let mut outer = Der(certificate);
    let mut signed = Der(Der(outer.take(SEQUENCE)?).take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    // Serial number, signature's algorithm, issuer.
    signed.take(INTEGER)?;
    signed.take(SEQUENCE)?;
    signed.take(SEQUENCE)?;
    let mut validity = Der(signed.take(SEQUENCE)?);
    Some((validity.time()?, validity.time()?))
}

/// What is left to read of an encoding in DER (X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            // The number of bytes in which the length stands; no certificate takes more than four.
            0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(len)?;
        self.0 = after;
        (*found == tag).then_some(content)
    }

    fn time(&mut self) -> Option<i64> {
        let tag = *self.0.first()?;
        let text = std::str::from_utf8(self.take(tag)?).ok()?;
        let (century, digits) = match tag {
            // Two digits of a year, 1950 to 2049.
            UTC_TIME if text.len() == 13 => (if text < "50" { "20" } else { "19" }, text),
            GENERALIZED_TIME if text.len() == 15 => ("", text),
            _ => return None,
        };
        let all = format!("{century}{digits}");
        let part = |from: usize, to: usize| all.get(from..to);
        let time = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4)?,
            part(4, 6)?,
            part(6, 8)?,
            part(8, 10)?,
            part(10, 12)?,
            part(12, 14)?
        );
        // Dates before 1970 are as good as 1970.
        let time = humantime::parse_rfc3339(&time).ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(time.as_millis()).ok()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(until_year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a good name");
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(until_year, 1, 2);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("it signs").der().to_vec()
    }

    #[test]
    fn dates_are_read_in_both_of_their_forms() {
        // 2024-02-29 and 2030-01-02, and a year that UTCTime has no digits for: 2100-01-02.
        assert_eq!(of(&certificate(2030)), Some((1_709_164_800_000, 1_893_542_400_000)));
        assert_eq!(of(&certificate(2100)).map(|(_, until)| until), Some(4_102_531_200_000));
    }

    #[test]
    fn what_is_no_certificate_has_no_dates_and_does_no_harm() {
        let whole = certificate(2030);
        for end in 0..whole.len().min(200) {
            let _ = of(&whole[..end]);
        }
        for wrong in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x02\x01\x00"] {
            assert_eq!(of(wrong), None);
        }
    }
}
