//! Checks the data checksums of a stopped cluster as `pg_checksums --check` does, for every major
//! version and without that program.

use std::fs;
use std::path::Path;

const PAGE: usize = 8192;
const SUMS: usize = 32;
const PRIME: u32 = 16_777_619;
/// Pages of a file of a relation (1 GiB) before the next one starts.
const SEGMENT_PAGES: u32 = 131_072;

/// The start values of the 32 partial sums (src/include/storage/checksum_impl.h, PostgreSQL 13 to
/// 18).
const OFFSETS: [u32; SUMS] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// The result of a check.
#[derive(Debug, Default)]
pub struct Pages {
    /// Pages with a checksum.
    pub checked: u64,
    /// The pages with a wrong checksum: file and block.
    pub bad: Vec<String>,
}

/// Checks every page of every relation below a data directory (its tablespaces included).
pub fn check_pages(data: &Path) -> Pages {
    let mut pages = Pages::default();
    for name in ["global", "base", "pg_tblspc"] {
        walk(&data.join(name), &mut pages);
    }
    pages
}

fn walk(directory: &Path, pages: &mut Pages) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, pages);
        } else if let Some(segment) = segment(path.file_name().unwrap().to_str().unwrap()) {
            check_file(&path, segment, pages);
        }
    }
}

/// The number of the segment when the name is that of a relation's file: `16384`, `16384_vm.2`.
fn segment(name: &str) -> Option<u32> {
    let (base, segment) = name.split_once('.').unwrap_or((name, "0"));
    let (number, fork) = base.split_once('_').unwrap_or((base, "main"));
    let known = ["main", "fsm", "vm", "init"].contains(&fork);
    (known && number.parse::<u32>().is_ok()).then(|| segment.parse().ok())?
}

fn check_file(path: &Path, segment: u32, pages: &mut Pages) {
    let bytes = fs::read(path).unwrap();
    for (index, page) in bytes.chunks_exact(PAGE).enumerate() {
        let upper = u16::from_le_bytes([page[14], page[15]]);
        if upper == 0 {
            continue; // a new page
        }
        let block = segment * SEGMENT_PAGES + index as u32;
        let stored = u16::from_le_bytes([page[8], page[9]]);
        pages.checked += 1;
        if stored != checksum(page, block) {
            pages.bad.push(format!("{} block {block}", path.display()));
        }
    }
}

/// The checksum of a page (src/include/storage/checksum_impl.h: `pg_checksum_page`); little-endian
/// machines.
fn checksum(page: &[u8], block: u32) -> u16 {
    let mut sums = OFFSETS;
    let step = |sum: &mut u32, value: u32| {
        let mixed = *sum ^ value;
        *sum = mixed.wrapping_mul(PRIME) ^ (mixed >> 17);
    };
    for (index, word) in page.chunks_exact(4).enumerate() {
        let mut value = u32::from_le_bytes(word.try_into().unwrap());
        if index == 2 {
            value &= 0xFFFF_0000; // the checksum itself
        }
        step(&mut sums[index % SUMS], value);
    }
    for _ in 0..2 {
        sums.iter_mut().for_each(|sum| step(sum, 0));
    }
    let mixed = sums.iter().fold(0, |all, sum| all ^ sum) ^ block;
    (mixed % 65_535 + 1) as u16
}
