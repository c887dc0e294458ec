//! How long the daemon takes to answer a login with an unknown user, with a wrong password and with
//! the right one: the first two must not be told apart.
//!
//! `cargo bench --bench login -- HOST PORT USER PASSWORD [ROUNDS]`, for a daemon without TLS.
//!
//! A round has each of them, the first two in random order, with a right login in between, so that
//! no delay begins. What is measured is the time from the proof to the answer, and that of the
//! whole exchange. The rank sum test (Mann and Whitney) says how surprising the difference would be
//! if there were none: beyond ±2 in one of twenty runs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use pgmoneta::crypto::Secret;
use pgmoneta::crypto::scram::ClientFirst;
use pgmoneta::protocol::login::{sasl_initial_response, sasl_response, startup};

/// The times of one login, in microseconds: after the proof, and in all.
type Times = (f64, f64);

fn message(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    stream.read_exact(&mut header).unwrap();
    let [tag, length @ ..] = header;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut rest).unwrap();
    (tag, rest)
}

fn log_in(address: &(String, u16), user: &str, password: &str, expected: u8) -> Times {
    let client = ClientFirst::new().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let begun = Instant::now();
    stream.write_all(&startup(user).unwrap()).unwrap();
    message(&mut stream);
    stream
        .write_all(&sasl_initial_response(&client.message))
        .unwrap();
    let first = message(&mut stream).1;
    let exchanged = begun.elapsed();
    // The work of the client is not measured.
    let secret = Secret::new(password.as_bytes().to_vec());
    let last = client.answer(&secret, &first[4..]).unwrap();
    let proven = Instant::now();
    stream.write_all(&sasl_response(&last.message)).unwrap();
    let (tag, _) = message(&mut stream);
    let answered = proven.elapsed();
    assert_eq!(tag, expected, "the answer for {user}");
    let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
    (micros(answered), micros(exchanged + answered))
}

fn quantile(sorted: &[f64], of: usize) -> f64 {
    sorted[(sorted.len() - 1) * of / 100]
}

fn describe(name: &str, times: &[f64]) {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [low, median, high, top] = [5, 50, 95, 99].map(|of| quantile(&sorted, of));
    println!(
        "{name:<34} 5 %: {low:7.1}  median: {median:7.1}  95 %: {high:7.1}  99 %: {top:7.1} µs"
    );
}

/// The standardized rank sum of the first sample.
fn rank_sum(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = one.iter().map(|time| (*time, true)).collect();
    all.extend(other.iter().map(|time| (*time, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut rank): (f64, f64) = (0.0, 0.0);
    for (_, of_first) in all {
        rank += 1.0;
        sum += if of_first { rank } else { 0.0 };
    }
    let count = |sample: &[f64]| sample.iter().fold(0.0, |count, _| count + 1.0);
    let (n, m) = (count(one), count(other));
    let mean = n * (n + m + 1.0) / 2.0;
    let variance: f64 = n * m * (n + m + 1.0) / 12.0;
    (sum - mean) / variance.sqrt()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&String> = arguments.iter().filter(|text| *text != "--bench").collect();
    let [host, port, user, password, rest @ ..] = arguments.as_slice() else {
        println!("cargo bench --bench login -- HOST PORT USER PASSWORD [ROUNDS]");
        return;
    };
    let address = (host.to_string(), port.parse().unwrap());
    let rounds: u32 = rest.first().map_or(1000, |text| text.parse().unwrap());
    let mut times: [Vec<Times>; 3] = Default::default();
    for _ in 0..rounds {
        let wrong = || log_in(&address, user, "certainly not this", b'E');
        let unknown = || log_in(&address, "nobody-of-this-name", "certainly not this", b'E');
        let right = || log_in(&address, user, password, b'R');
        let mut random = [0];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut random))
            .unwrap();
        if random[0] % 2 == 0 {
            times[0].push(unknown());
            times[2].push(right());
            times[1].push(wrong());
        } else {
            times[1].push(wrong());
            times[2].push(right());
            times[0].push(unknown());
        }
        right();
    }
    println!("{rounds} rounds");
    for (part, name) in [(0, "after the proof"), (1, "whole exchange")] {
        let of = |kind: usize| -> Vec<f64> {
            let times = times[kind].iter();
            times.map(|time| [time.0, time.1][part]).collect()
        };
        let (unknown, wrong, right) = (of(0), of(1), of(2));
        describe(&format!("{name}, unknown user"), &unknown);
        describe(&format!("{name}, wrong password"), &wrong);
        describe(&format!("{name}, right password"), &right);
        let z = rank_sum(&unknown, &wrong);
        println!("{name}, unknown against wrong: z = {z:+.2}\n");
    }
}
