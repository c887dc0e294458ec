//! Parts of buffers, and lengths as 64-bit numbers.

use std::io::{self, ErrorKind, Read};

/// A length as a `u64`, which holds every length.
pub const fn to_u64(length: usize) -> u64 {
    const { assert!(usize::BITS <= u64::BITS) };
    length as u64
}

/// A length as a `usize`. One that is too large for it is its maximum, as for a limit.
pub fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// The first `count` elements; all of them if there are fewer, which is a bug.
pub fn first<T>(slice: &[T], count: usize) -> &[T] {
    debug_assert!(count <= slice.len(), "{count} of {}", slice.len());
    slice.get(..count).unwrap_or(slice)
}

/// The first `count` elements; all of them if there are fewer, which is a bug.
pub fn first_mut<T>(slice: &mut [T], count: usize) -> &mut [T] {
    debug_assert!(count <= slice.len(), "{count} of {}", slice.len());
    let count = count.min(slice.len());
    slice.split_at_mut(count).0
}

/// The elements after the first `count`; none if there are fewer, which is a bug.
pub fn after<T>(slice: &[T], count: usize) -> &[T] {
    debug_assert!(count <= slice.len(), "{count} of {}", slice.len());
    slice.get(count..).unwrap_or_default()
}

/// Reads once; returns the part of the buffer that was filled, which is empty at the end.
pub fn read_some<'b>(
    input: &mut (impl Read + ?Sized),
    buffer: &'b mut [u8],
) -> io::Result<&'b mut [u8]> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            count => return Ok(first_mut(buffer, count?)),
        }
    }
}

/// Reads until the buffer is full or the input ends; returns the part that was filled.
pub fn read_full<'b>(
    input: &mut (impl Read + ?Sized),
    buffer: &'b mut [u8],
) -> io::Result<&'b mut [u8]> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match read_some(input, room)?.len() {
            0 => break,
            count => filled += count,
        }
    }
    Ok(first_mut(buffer, filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one byte at a time, each after an interruption.
    struct Slow(Vec<u8>, bool);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            match (self.0.pop(), buffer.first_mut()) {
                (Some(byte), Some(to)) => *to = byte,
                _ => return Ok(0),
            }
            Ok(1)
        }
    }

    #[test]
    fn a_buffer_is_filled_up_to_the_end_of_the_input() {
        let mut input = Slow(vec![5, 4, 3, 2, 1], false);
        let mut buffer = [0; 3];
        assert_eq!(read_some(&mut input, &mut buffer).unwrap(), [1]);
        assert_eq!(read_full(&mut input, &mut buffer).unwrap(), [2, 3, 4]);
        assert_eq!(read_full(&mut input, &mut buffer).unwrap(), [5]);
        assert!(read_full(&mut input, &mut buffer).unwrap().is_empty());
        assert!(read_full(&mut input, &mut []).unwrap().is_empty());
    }

    #[test]
    fn a_slice_is_split_after_its_first_elements() {
        let all = [1, 2, 3];
        assert_eq!((first(&all, 1), after(&all, 1)), (&all[..1], &all[1..]));
        assert_eq!((first(&all, 3), after(&all, 3)), (&all[..], &[][..]));
        assert_eq!(first_mut(&mut [1, 2, 3], 2), [1, 2]);
    }
}
