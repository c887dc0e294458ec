//! No compression: a frame is a copy of its plain bytes.

use super::super::cipher::DecryptingReader;
use super::method::{Coder, FrameReader, Method};

pub const METHOD: Method = Method {
    names: ("none", &[]),
    suffix: "",
    code: 0,
    levels: (0, 0),
    is_start: |_| true,
};

pub const CODER: Coder = Coder {
    default_level: 0,
    compress: |_, plain, frame| {
        frame.extend_from_slice(plain);
        Ok(())
    },
    compress_pages: None,
    decompress: |input| Ok(Box::new(input)),
    compress_message: |plain| Ok(plain.to_vec()),
    decompress_message: |packed, _| Ok(std::mem::take(packed).to_vec()),
};

impl FrameReader for DecryptingReader {
    fn into_input(self: Box<Self>) -> Option<DecryptingReader> {
        Some(*self)
    }
}
