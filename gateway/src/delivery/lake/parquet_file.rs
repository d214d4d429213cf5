//! Writes one Parquet file: under a temporary name until it is whole and on the disk, counted and checksummed on the
//! way. A file that fails is removed, and if that fails too, replaced when the segment's turn comes again.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crc_fast::{CrcAlgorithm, Digest};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{Type, TypePtr};

use super::files::{FileLayer, WriteFile, temporary_name};
use super::manifest::{Checksum, ManifestFile};
use super::row_group::{RowGroup, SpareChunks};
use super::rows::{COLUMNS_WITHOUT_STATISTICS, Rows, SCHEMA, UNIQUE_COLUMNS};
use super::{LakeError, layout::Layout};

/// Bytes of a column's page, before compression: small enough that a page stays in the processor's cache until it is
/// written, and that the allocator keeps its memory.
const PAGE_BYTES: usize = 48 << 10;

static TABLE: LazyLock<TypePtr> =
    LazyLock::new(|| Arc::new(parse_message_type(SCHEMA).expect("the table's schema is valid")));

static PROPERTIES: LazyLock<WriterPropertiesPtr> = LazyLock::new(|| {
    let mut properties = WriterProperties::builder()
        // Read by everything: Athena, DuckDB, Spark of any age.
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("headgate ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in UNIQUE_COLUMNS {
        properties = properties.set_column_dictionary_enabled(column.into(), false);
    }
    // A compressor finds nothing in it, and takes its time.
    properties = properties.set_column_compression("event_id".into(), Compression::UNCOMPRESSED);
    for column in COLUMNS_WITHOUT_STATISTICS {
        properties = properties.set_column_statistics_enabled(column.into(), EnabledStatistics::None);
    }
    Arc::new(properties.build())
});

/// Whether a file has the columns of the table, as this version writes them.
pub(super) fn is_of_the_table(found: &Type) -> bool {
    let (ours, theirs) = (TABLE.get_fields(), found.get_fields());
    let is_same = |one: &Type, other: &Type| {
        one.name() == other.name()
            && one.is_optional() == other.is_optional()
            && other.is_primitive()
            && one.get_physical_type() == other.get_physical_type()
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(one, other)| is_same(one, other))
}

/// A Parquet file being written.
pub(super) struct ParquetFile {
    /// Relative to the lake's root.
    path: PathBuf,
    /// `None` once it is finished.
    writer: Option<SerializedFileWriter<Counted>>,
    /// Rows that are not in the file yet.
    group: Option<RowGroup>,
    spare: SpareChunks,
    rows: u64,
    event_times: Option<(i64, i64)>,
}

impl ParquetFile {
    /// Begins the file `path`, relative to the lake's root, whose folder must be there.
    pub(super) fn create(
        files: &dyn FileLayer,
        layout: &Layout,
        path: PathBuf,
        spare: SpareChunks,
    ) -> Result<Self, LakeError> {
        let temporary = temporary_name(&layout.root.join(&path));
        let file = files.create(&temporary).map_err(|source| LakeError::file("create", &temporary, source))?;
        let counted = Counted { file, bytes: 0, checksum: Digest::new(CrcAlgorithm::Crc32Iscsi) };
        let writer = SerializedFileWriter::new(counted, Arc::clone(&TABLE), Arc::clone(&PROPERTIES))
            .map_err(|source| LakeError::parquet(&path, source))?;
        Ok(Self { path, writer: Some(writer), group: None, spare, rows: 0, event_times: None })
    }

    /// Its path, relative to the lake's root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the rows to the row group that is open, and empties `rows`.
    pub(super) fn add(&mut self, rows: &mut Rows) -> Result<(), LakeError> {
        let (Some(writer), Some((earliest, latest))) = (&self.writer, rows.event_times()) else { return Ok(()) };
        let group =
            self.group.get_or_insert_with(|| RowGroup::new(writer.schema_descr(), writer.properties(), &self.spare));
        group.add(rows).map_err(|source| LakeError::parquet(&self.path, source))?;
        let (first, last) = self.event_times.unwrap_or((earliest, latest));
        self.event_times = Some((first.min(earliest), last.max(latest)));
        rows.clear();
        Ok(())
    }

    /// Writes the row group that is open, if one is.
    pub(super) fn end_row_group(&mut self) -> Result<(), LakeError> {
        let (Some(writer), Some(group)) = (&mut self.writer, self.group.take()) else { return Ok(()) };
        self.rows += group.rows() as u64;
        let written = writer.next_row_group().and_then(|file| group.write(file, &self.spare));
        written.map_err(|source| LakeError::parquet(&self.path, source))
    }

    /// Writes what is left and the footer, and makes the file durable, still under its temporary name.
    pub(super) fn finish(&mut self) -> Result<ManifestFile, LakeError> {
        self.end_row_group()?;
        let (Some(writer), Some((min_event_time_ms, max_event_time_ms))) = (self.writer.take(), self.event_times)
        else {
            return Err(LakeError::parquet(&self.path, ParquetError::General("the file has no rows".to_owned())));
        };
        let mut counted = writer.into_inner().map_err(|source| LakeError::parquet(&self.path, source))?;
        counted.file.sync_data().map_err(|source| LakeError::file("sync", &self.path, source))?;
        Ok(ManifestFile {
            path: self.path.clone(),
            rows: self.rows,
            bytes: counted.bytes,
            // A 32-bit checksum, in the low half.
            crc32c: Checksum(counted.checksum.finalize() as u32),
            min_event_time_ms,
            max_event_time_ms,
        })
    }
}

/// Counts and checksums what goes to the file.
struct Counted {
    file: Box<dyn WriteFile>,
    bytes: u64,
    checksum: Digest,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.checksum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
