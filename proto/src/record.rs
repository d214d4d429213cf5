//! Reads and writes the stream record.
