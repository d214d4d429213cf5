//! The lines of a record of Kinesis or Firehose, each one event: the record is such a line itself, several of them joined by
//! newlines, or an aggregated record of either.

use headgate_proto::aggregate::{MAGIC, read_aggregate};

/// Every line with something in it, in order.
pub(crate) fn lines(data: &[u8]) -> Vec<&[u8]> {
    match read_aggregate(data) {
        Some(records) => records.into_iter().flat_map(|record| split(record.data)).collect(),
        // What its bytes happen to hold between newlines is not what somebody put into it.
        None if data.starts_with(&MAGIC) => vec![data],
        None => split(data).collect(),
    }
}

fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use headgate_proto::aggregate::{begin_user_record, seal};

    use super::*;

    fn aggregate(records: &[&[u8]]) -> Vec<u8> {
        let mut framed = Vec::new();
        for record in records {
            begin_user_record(&mut framed, record.len());
            framed.extend_from_slice(record);
        }
        seal(&framed, 7)
    }

    #[test]
    fn lines_are_found_however_they_were_put_together() {
        assert_eq!(lines(b"{\"a\":1}"), [b"{\"a\":1}"]);
        assert_eq!(lines(b"{\"a\":1}\n{\"a\":2}\r\n\n{\"a\":3}\n"), [b"{\"a\":1}", b"{\"a\":2}", b"{\"a\":3}"]);
        assert_eq!(lines(&aggregate(&[b"{\"a\":1}\n", b"{\"a\":2}\n{\"a\":3}", b""])).len(), 3);
        for nothing in [&b""[..], b"\n", b" \r\n\t"] {
            assert!(lines(nothing).is_empty());
        }
    }

    #[test]
    fn an_aggregate_that_was_damaged_is_one_line_that_nobody_can_read() {
        let mut damaged = aggregate(&[b"{}\n", b"\n{}\n"]);
        *damaged.last_mut().expect("has bytes") ^= 1;
        assert_eq!(lines(&damaged), [&damaged[..]]);
    }
}
