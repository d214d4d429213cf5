//! The event ids in a Kinesis record: aggregated or not, one stream record or several lines of them.

use headgate_proto::aggregate::read_aggregate;
use headgate_proto::record::read_record;
use uuid::Uuid;

/// Appends the ids that a consumer would find in a record, in order; how many user records are something else, or hold
/// something else besides.
pub(super) fn read_ids(data: &[u8], ids: &mut Vec<u128>) -> u64 {
    match read_aggregate(data) {
        Some(records) => records.iter().map(|record| read_lines(record.data, ids)).sum(),
        None => read_lines(data, ids),
    }
}

fn read_lines(data: &[u8], ids: &mut Vec<u128>) -> u64 {
    let mut unreadable = false;
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    for line in data.split(|byte| *byte == b'\n') {
        let id = read_record(line).ok().and_then(|record| Uuid::try_parse(&record.event.event_id).ok());
        match id {
            Some(id) => ids.push(id.as_u128()),
            None => unreadable = true,
        }
    }
    u64::from(unreadable)
}

#[cfg(test)]
pub(super) mod tests {
    use headgate_proto::aggregate::{begin_user_record, seal};

    use super::*;

    /// A stream record as the gateway writes it.
    pub(in super::super) fn line(id: u128) -> Vec<u8> {
        let id = Uuid::from_u128(id);
        format!(
            "{{\"event\":{{\"event_id\":\"{id}\",\"event_type\":\"login\",\"event_name\":\"login.ok\",\
             \"event_timestamp\":1700000000.5,\"event_data\":{{}}}},\"aws_ga_api_validated_flag\":true,\
             \"aws_ga_api_requestId\":\"r\",\"aws_ga_api_requestTimeEpoch\":1700000000000,\"application_id\":\"a\"}}\n"
        )
        .into_bytes()
    }

    pub(in super::super) fn aggregate(records: &[Vec<u8>]) -> Vec<u8> {
        let mut framed = Vec::new();
        for record in records {
            begin_user_record(&mut framed, record.len());
            framed.extend_from_slice(record);
        }
        seal(&framed, 17)
    }

    fn read(data: &[u8]) -> (Vec<u128>, u64) {
        let mut ids = Vec::new();
        let unreadable = read_ids(data, &mut ids);
        (ids, unreadable)
    }

    #[test]
    fn ids_come_out_of_plain_and_aggregated_records_in_order() {
        assert_eq!(read(&line(1)), (vec![1], 0));
        assert_eq!(read(&[line(1), line(2)].concat()), (vec![1, 2], 0));
        assert_eq!(read(&aggregate(&[line(3), line(1), line(3)])), (vec![3, 1, 3], 0));
        assert_eq!(read(&aggregate(&[[line(5), line(6)].concat(), line(7)])), (vec![5, 6, 7], 0));
        assert_eq!(read(&aggregate(&[])), (vec![], 0));
    }

    #[test]
    fn what_is_no_stream_record_is_counted_and_costs_only_itself() {
        assert_eq!(read(b"hello"), (vec![], 1));
        assert_eq!(read(b""), (vec![], 1));
        let mut bad_id = String::from_utf8(line(1)).expect("text");
        bad_id = bad_id.replace(&Uuid::from_u128(1).to_string(), "not an id");
        assert_eq!(read(&aggregate(&[line(1), bad_id.into_bytes(), b"{}".to_vec(), line(2)])), (vec![1, 2], 2));
        assert_eq!(read(&[b"?\n?\n".to_vec(), line(3)].concat()), (vec![3], 1));
        let mut damaged = aggregate(&[line(1)]);
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert_eq!(read(&damaged), (vec![], 1), "with a wrong MD5 it is one record that nobody can read");
    }
}
