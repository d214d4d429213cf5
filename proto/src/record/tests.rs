use super::*;

fn tail() -> RecordTail {
    RecordTail::new("req-1", 1_700_000_000_123, "f0000000-0000-4000-8000-000000000001")
}

fn fields() -> EventFields<'static> {
    EventFields {
        event_id: b"0d5f2a34-3f0a-4c6e-8a54-2f4a7c1b9e01",
        event_type: b"login",
        event_name: b"login.ok",
        seconds: 1_700_000_000,
        nanos: 250_000_000,
        event_version: b"1.0",
        app_version: b"2.3.4",
        event_data: br#"{"player_id":"p1"}"#,
        data_has_line_breaks: false,
    }
}

fn written(event: &EventFields<'_>, tail: &RecordTail) -> String {
    let mut out = Vec::new();
    write_record(&mut out, event, tail);
    assert_eq!(out.len(), record_len(event, tail));
    String::from_utf8(out).expect("is UTF-8")
}

#[test]
fn the_record_is_awss_shape_on_one_line() {
    assert_eq!(
        written(&fields(), &tail()),
        concat!(
            r#"{"event":{"event_id":"0d5f2a34-3f0a-4c6e-8a54-2f4a7c1b9e01","event_type":"login","event_name":"login.ok","#,
            r#""event_timestamp":1700000000.25,"event_version":"1.0","app_version":"2.3.4","#,
            r#""event_data":{"player_id":"p1"}},"aws_ga_api_validated_flag":true,"aws_ga_api_requestId":"req-1","#,
            r#""aws_ga_api_requestTimeEpoch":1700000000123,"application_id":"f0000000-0000-4000-8000-000000000001"}"#,
            "\n"
        )
    );
}

#[test]
fn empty_optional_fields_are_absent() {
    let event = EventFields { event_version: b"", app_version: b"", event_data: b"", nanos: 0, ..fields() };
    let line = written(&event, &tail());
    assert!(line.contains(r#""event_timestamp":1700000000},"aws_ga"#), "{line}");
    let record = read_record(line.as_bytes()).expect("reads");
    assert!(record.event.event_version.is_none());
    assert!(record.event.app_version.is_none());
    assert!(record.event.event_data.is_none());
}

#[test]
fn line_breaks_between_tokens_become_spaces() {
    let event = EventFields { event_data: b"{\r\n\"a\":1\n}", data_has_line_breaks: true, ..fields() };
    let line = written(&event, &tail());
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.ends_with('\n'));
    let record = read_record(line.as_bytes()).expect("reads");
    assert_eq!(record.event.event_data.expect("is there").get(), "{  \"a\":1 }");
}

#[test]
fn request_ids_and_applications_are_escaped() {
    let tail = RecordTail::new("a\"b\\c\n\u{1}é", -5, "app\t\"");
    let line = written(&fields(), &tail);
    assert_eq!(line.matches('\n').count(), 1);
    let record = read_record(line.as_bytes()).expect("reads");
    assert_eq!(record.request_id, "a\"b\\c\n\u{1}é");
    assert_eq!(record.request_time_ms, -5);
    assert_eq!(record.application_id, "app\t\"");
}

#[test]
fn strings_without_escapes_are_borrowed_from_the_line() {
    use std::borrow::Cow;
    let line = written(&fields(), &tail());
    let record = read_record(line.as_bytes()).expect("reads");
    assert!(matches!(record.event.event_id, Cow::Borrowed(_)));
    assert!(matches!(record.event.event_version, Some(Cow::Borrowed(_))));
    assert!(matches!(record.application_id, Cow::Borrowed(_)));
}

#[test]
fn foreign_shapes_are_refused() {
    let good = written(&fields(), &tail());
    assert!(read_record(good.as_bytes()).is_ok());
    let spoilt = [
        good.replacen('{', r#"{"extra":1,"#, 1),
        good.replacen(r#"{"event_id""#, r#"{"extra":1,"event_id""#, 1),
        good.replace(r#""event_type":"login","#, ""),
        good.replace(r#""aws_ga_api_validated_flag":true,"#, ""),
        good.replace(":true", ":\"true\""),
        good.replace("1700000000.25", "\"1700000000.25\""),
        good.replace("1700000000.25", "1e30"),
        good.replace(r#"{"player_id":"p1"}"#, "[1]"),
        good.replace(r#""event_name":"login.ok""#, r#""event_name":"login.ok","event_name":"again""#),
        good.trim_end().trim_end_matches('}').to_owned(),
        format!("{good}{good}"),
    ];
    for line in &spoilt {
        assert!(read_record(line.as_bytes()).is_err(), "{line}");
    }
    let mut not_utf8 = good.into_bytes();
    let place = not_utf8.iter().position(|byte| *byte == b'p').expect("has a p");
    not_utf8[place] = 0xff;
    assert!(matches!(read_record(&not_utf8), Err(RecordError::Utf8(_))));
}

/// 20,000 records of seeded random fields: what is written is read back equal, and the length was known before.
#[test]
fn what_is_written_is_read_back_without_loss() {
    let mut random = Random(0x5eed_cafe);
    for round in 0..20_000 {
        let names: Vec<Vec<u8>> = (0..4).map(|_| random.name()).collect();
        let event_id = random.event_id();
        let (event_data, data_has_line_breaks) = random.event_data();
        let nanos = match random.below(4) {
            0 => 0,
            1 => random.below(1_000) as u32 * 1_000_000,
            _ => random.below(1_000_000_000) as u32,
        };
        let event = EventFields {
            event_id: event_id.as_bytes(),
            event_type: &names[0],
            event_name: &names[1],
            // 0001-01-01 to 9999-12-31.
            seconds: random.below(315_537_897_600) as i64 - 62_135_596_800,
            nanos,
            event_version: if random.below(2) == 0 { b"" } else { &names[2] },
            app_version: if random.below(2) == 0 { b"" } else { &names[3] },
            event_data: &event_data,
            data_has_line_breaks,
        };
        let tail = RecordTail::new(&format!("request-{round}"), round, "app");
        let line = written(&event, &tail);
        assert_eq!(line.matches('\n').count(), 1, "{line}");

        let record = read_record(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(record.event.event_id.as_bytes(), event.event_id);
        assert_eq!(record.event.event_type.as_bytes(), event.event_type);
        assert_eq!(record.event.event_name.as_bytes(), event.event_name);
        assert_eq!((record.event.seconds, record.event.nanos), (event.seconds, event.nanos), "{line}");
        assert_eq!(record.event.event_version.as_deref().unwrap_or("").as_bytes(), event.event_version);
        assert_eq!(record.event.app_version.as_deref().unwrap_or("").as_bytes(), event.app_version);
        let data: Vec<u8> =
            event_data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        assert_eq!(record.event.event_data.map_or("", |raw| raw.get()).as_bytes(), data);
        assert_eq!(record.request_time_ms, round);
        assert!(record.validated);
        assert_eq!(split_record(line.trim_end()), Some(SplitRecord::from(&record)), "{line}");
    }
}

/// 200,000 lines with one byte changed, removed or doubled. Where both readers take a line they agree, and where only
/// the fast one does, it is `event_data` that is no JSON.
#[test]
fn the_fast_reader_takes_nothing_for_something_else() {
    let mut random = Random(0x0dd_b17e5);
    let (mut both, mut only_fast, mut only_strict) = (0, 0, 0);
    let line = written(&fields(), &tail());
    for _ in 0..200_000 {
        let mut bytes = line.trim_end().as_bytes().to_vec();
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(3) {
            0 => bytes[at] = random.below(128) as u8,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
        let changed = String::from_utf8(bytes).expect("is ASCII");
        let fast = split_record(&changed);
        let mut splitter = Splitter::default();
        assert!(splitter.split(line.trim_end()).is_some());
        assert_eq!(splitter.split(&changed), fast, "after another line: {changed}");
        match (read_record(changed.as_bytes()), fast) {
            (Ok(strict), Some(fast)) => {
                both += 1;
                assert_eq!(SplitRecord::from(&strict), fast, "{changed}");
            }
            (Err(_), Some(fast)) => {
                only_fast += 1;
                let data = fast.event_data.unwrap_or("{}");
                assert!(serde_json::from_str::<serde::de::IgnoredAny>(data).is_err(), "{changed}");
            }
            (Ok(_), None) => only_strict += 1,
            (Err(_), None) => {}
        }
    }
    assert!(both > 10_000 && only_fast > 100 && only_strict > 10, "{both} {only_fast} {only_strict}");
}

/// A small seeded generator (SplitMix64), so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn name(&mut self) -> Vec<u8> {
        const CHARACTERS: &[u8] = b"ABCXYZabcxyz0189-_.";
        let len = 1 + self.below(40);
        (0..len).map(|_| CHARACTERS[self.below(CHARACTERS.len() as u64) as usize]).collect()
    }

    fn event_id(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// An object of strings with escapes and letters beyond ASCII, sometimes spread over lines; empty one time in eight.
    fn event_data(&mut self) -> (Vec<u8>, bool) {
        if self.below(8) == 0 {
            return (Vec::new(), false);
        }
        let breaks = self.below(3) == 0;
        let space = if breaks { "\r\n " } else { " " };
        let members: Vec<String> = (0..self.below(6))
            .map(|member| {
                let value = ["\"\\n\\u00e9\\\"\"", "\"é漢🎮\"", "-1.5e+300", "[{},[]]", "null", "{\"x\":{}}"]
                    [self.below(6) as usize];
                format!("{space}\"k{member}\":{space}{value}")
            })
            .collect();
        let data = format!("{{{}{space}}}", members.join(","));
        (data.into_bytes(), breaks)
    }
}
