//! A row group while it is made.
//!
//! In the file its columns lie one behind the other, but rows come with all of theirs. So each column is encoded and
//! compressed as its values come, into a chunk in memory, and when the row group ends the chunks are written one behind the
//! other. Rows need not be kept for that: what is in memory is what goes into the file, and a page of each column. The
//! chunks' memory is used again for the next row group.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnWriter, get_column_writer};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::SchemaDescriptor;

use super::rows::{Column, Rows};

/// Bytes of spare chunks at most: those of a row group whose payloads compress to a half.
const SPARE_BYTES: usize = 16 << 20;

/// See the module.
pub(super) struct RowGroup {
    columns: Vec<OpenColumn>,
    rows: usize,
}

struct OpenColumn {
    writer: ColumnWriter<'static>,
    chunk: Chunk,
}

impl RowGroup {
    /// An empty one, of a table whose columns are those of [`Rows::columns`].
    pub(super) fn new(table: &SchemaDescriptor, properties: &WriterPropertiesPtr, spare: &SpareChunks) -> Self {
        let columns = table.columns().iter().enumerate().map(|(index, column)| {
            let chunk = Chunk(Arc::new(Mutex::new(spare.take(index))));
            let pages = Box::new(Pages(TrackedWrite::new(chunk.clone())));
            OpenColumn { writer: get_column_writer(Arc::clone(column), Arc::clone(properties), pages), chunk }
        });
        Self { columns: columns.collect(), rows: 0 }
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds rows.
    pub(super) fn add(&mut self, rows: &Rows) -> Result<(), ParquetError> {
        for (column, values) in self.columns.iter_mut().zip(rows.columns()) {
            match (&mut column.writer, values) {
                (ColumnWriter::ByteArrayColumnWriter(writer), Column::Required(values)) => {
                    writer.write_batch(values, None, None)?
                }
                (ColumnWriter::ByteArrayColumnWriter(writer), Column::Optional(optional)) => {
                    writer.write_batch(&optional.values, Some(&optional.levels), None)?
                }
                (ColumnWriter::Int64ColumnWriter(writer), Column::Number(values)) => {
                    writer.write_batch(values, None, None)?
                }
                _ => return Err(ParquetError::General("a column is of another type than its values".to_owned())),
            };
        }
        self.rows += rows.len();
        Ok(())
    }

    /// Ends it and writes it.
    pub(super) fn write<W: Write + Send>(
        self,
        mut group: SerializedRowGroupWriter<'_, W>,
        spare: &SpareChunks,
    ) -> Result<(), ParquetError> {
        for (index, OpenColumn { writer, chunk }) in self.columns.into_iter().enumerate() {
            let closed = writer.close()?;
            let bytes = Arc::new(chunk.take());
            group.append_column(&Bytes::from_owner(Shared(Arc::clone(&bytes))), closed)?;
            spare.give(index, bytes);
        }
        group.close()?;
        Ok(())
    }
}

/// The memory of chunks that have been written, one of each column: what the allocator gets back the kernel clears again,
/// page by page.
#[derive(Clone, Default)]
pub(super) struct SpareChunks(Arc<Mutex<Vec<Vec<u8>>>>);

impl SpareChunks {
    fn take(&self, column: usize) -> Vec<u8> {
        lock(&self.0).get_mut(column).map(std::mem::take).unwrap_or_default()
    }

    fn give(&self, column: usize, chunk: Arc<Vec<u8>>) {
        let Ok(mut chunk) = Arc::try_unwrap(chunk) else { return };
        chunk.clear();
        let mut spare = lock(&self.0);
        if spare.len() <= column {
            spare.resize_with(column + 1, Vec::new);
        }
        // A column may have more than one, where rows of several days are written.
        let others = spare.iter().map(Vec::capacity).sum::<usize>() - spare[column].capacity();
        if spare[column].capacity() < chunk.capacity() && others + chunk.capacity() <= SPARE_BYTES {
            spare[column] = chunk;
        }
    }

    /// Gives the memory back.
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// A chunk while it is written.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A column's pages as they go into the file. Its writer has it, too, until it is closed.
#[derive(Clone)]
struct Chunk(Arc<Mutex<Vec<u8>>>);

impl Chunk {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.0))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Write for Chunk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pages(TrackedWrite<Chunk>);

impl PageWriter for Pages {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        SerializedPageWriter::new(&mut self.0).write_page(page)
    }

    fn close(&mut self) -> Result<(), ParquetError> {
        self.0.flush()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(capacity: usize) -> Arc<Vec<u8>> {
        let mut chunk = Vec::with_capacity(capacity);
        chunk.push(7);
        Arc::new(chunk)
    }

    #[test]
    fn of_each_column_the_largest_chunk_is_used_again() {
        let spare = SpareChunks::default();
        spare.give(1, chunk(1_000));
        spare.give(1, chunk(100));
        assert_eq!(spare.take(0).capacity(), 0);
        let again = spare.take(1);
        assert!(again.is_empty() && again.capacity() >= 1_000);
        assert_eq!(spare.take(1).capacity(), 0, "nobody else gets it");
    }

    #[test]
    fn what_is_too_much_together_or_still_read_is_not_kept() {
        let spare = SpareChunks::default();
        spare.give(0, chunk(SPARE_BYTES - 1_000));
        spare.give(1, chunk(2_000));
        let read = chunk(100);
        spare.give(2, Arc::clone(&read));
        assert_eq!([1, 2].map(|column| spare.take(column).capacity()), [0, 0]);
        spare.give(0, chunk(SPARE_BYTES));
        assert!(spare.take(0).capacity() >= SPARE_BYTES, "a larger one may take the place of its column's own");
        spare.give(0, chunk(100));
        spare.clear();
        assert_eq!(spare.take(0).capacity(), 0);
    }
}
