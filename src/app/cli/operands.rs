//! Which argument is which operand of a command.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use crate::protocol::{Command, MemberKind, Operand, Presence};

/// The operands with their rows; `None` if there are too few or too many. Those that may be missing
/// are filled from the left, but the last one that is given goes to the row that has it as a word:
/// `verify <SERVER> <BACKUP> [DIRECTORY] [failed|all]`.
pub(super) fn assign(
    command: &'static Command,
    operands: Vec<OsString>,
) -> Option<Vec<(&'static Operand, OsString)>> {
    let required = |row: &&Operand| row.presence == Presence::Required;
    let mut spare = operands
        .len()
        .checked_sub(command.operands.iter().filter(required).count())?;
    let mut operands = operands.into_iter().peekable();
    let mut assigned = Vec::new();
    for (index, row) in command.operands.iter().enumerate() {
        if !required(&row) {
            let later = command.operands.iter().skip(index + 1);
            let word = operands.peek().and_then(|operand| operand.to_str());
            let of_later = |word| later.clone().any(|row| row.words.contains(&word));
            if spare == 0 || spare == 1 && word.is_some_and(of_later) {
                continue;
            }
            spare -= 1;
        }
        assigned.push((row, operands.next()?));
    }
    operands.next().is_none().then_some(assigned)
}

/// The operands as UTF-8. The position of a restore may contain the name of a restore point in any
/// encoding: there, invalid bytes become `\xHH`, an escape of the position syntax. `None` if
/// another operand has invalid bytes.
pub(super) fn operands_to_utf8(
    operands: Vec<(&'static Operand, OsString)>,
) -> Option<Vec<(&'static Operand, String)>> {
    let texts = operands.into_iter().map(|(row, operand)| {
        let text = operand.into_string().or_else(|operand| {
            let escaped = row.kind == MemberKind::EscapedText;
            escaped
                .then(|| escape_invalid(operand.as_bytes()))
                .ok_or(())
        });
        Some((row, text.ok()?))
    });
    texts.collect()
}

fn escape_invalid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\');
        if !chunk.invalid().is_empty() && backslashes.count() % 2 == 1 {
            // Escape it: a literal backslash must not combine with the escape that follows.
            text.push('\\');
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::cli::arguments::Arguments;
    use crate::protocol::COMMANDS;

    #[test]
    fn only_a_position_may_have_bytes_that_are_not_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let line = |at: usize| {
            let operands = [
                "pgmoneta-cli",
                "restore",
                "primary",
                "newest",
                "name=ü\\",
                "/r",
            ];
            let operands = operands.into_iter().enumerate();
            operands.map(move |(index, operand)| {
                let mut operand = operand.as_bytes().to_vec();
                if index == at {
                    operand.push(0xE9);
                }
                OsString::from_vec(operand)
            })
        };
        let arguments = Arguments::parse(COMMANDS, line(4)).unwrap();
        assert_eq!(arguments.operands[2].1, r"name=ü\\\xe9");
        assert_eq!(
            Arguments::parse(COMMANDS, line(3))
                .err()
                .unwrap()
                .exit_code(),
            2
        );
        assert_eq!(
            Arguments::parse(COMMANDS, line(5))
                .err()
                .unwrap()
                .exit_code(),
            2
        );
    }
}
