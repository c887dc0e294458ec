//! The output of `check` as a Nagios plugin: a line with the state and the performance data, and
//! lines for each server (Nagios Plugins Development Guidelines, "Plugin Output for Nagios").

use std::fmt::Write;

use super::document::{CheckReply, CheckState, CheckedServer, PerformanceValue};

/// The output of a plugin that knows nothing but why.
pub fn unknown_state(why: &str) -> String {
    format!("PGMONETA UNKNOWN - {}\n", plain(why))
}

impl CheckReply {
    /// The output of the plugin.
    pub fn plugin_output(&self) -> String {
        let mut text = format!(
            "PGMONETA {} - {}",
            self.state.word(),
            plain(&self.summary())
        );
        let values = self
            .servers
            .iter()
            .flat_map(CheckedServer::performance_data);
        let values: Vec<String> = values.collect();
        if !values.is_empty() {
            text.push_str(" | ");
            text.push_str(&values.join(" "));
        }
        text.push('\n');
        for server in self.servers.iter() {
            server.add_lines(&mut text);
        }
        text
    }

    fn summary(&self) -> String {
        let bad = self.servers.iter();
        let bad: Vec<_> = bad
            .filter(|server| server.state != CheckState::Ok)
            .collect();
        match (self.servers.as_ref(), bad.as_slice()) {
            ([], _) => "there is no server".to_owned(),
            ([server], []) => format!("{}: {}", server.server.server, server.summary),
            (servers, []) => format!("{} servers are safe", servers.len()),
            ([_], [server, ..]) => server.worst(),
            (servers, [worst, ..]) => {
                let (count, all) = (bad.len(), servers.len());
                format!("{count} of {all} servers need attention: {}", worst.worst())
            }
        }
    }
}

impl CheckedServer {
    /// The worst problem, and how many more there are.
    fn worst(&self) -> String {
        let name = &self.server.server;
        let problem = self.problems.first();
        let problem = problem.map_or(self.state.word(), |problem| problem.problem.as_str());
        match self.problems.len() {
            0 | 1 => format!("{name}: {problem}"),
            count => format!("{name}: {problem} (and {} more)", count.saturating_sub(1)),
        }
    }

    fn add_lines(&self, text: &mut String) {
        let name = plain(&self.server.server);
        let (state, summary) = (self.state.word(), plain(&self.summary));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {state}: {summary}");
        for problem in self.problems.iter() {
            let what = plain(&problem.problem);
            let _ = writeln!(text, "  {}: {what}", problem.state.word());
            if !problem.action.is_empty() {
                let _ = writeln!(text, "    to do: {}", plain(&problem.action));
            }
        }
    }

    fn performance_data(&self) -> impl Iterator<Item = String> {
        let name = &self.server.server;
        self.performance.iter().map(move |value| value.text(name))
    }
}

impl PerformanceValue {
    /// `'label'=value[unit];warning;critical;minimum;maximum`
    fn text(&self, server: &str) -> String {
        let PerformanceValue {
            label,
            unit,
            warning,
            critical,
            ..
        } = self;
        // A label has neither a quote nor an equals sign.
        let label = plain(&format!("{server}.{label}"));
        let label = label.replace('\'', "''").replace('=', "_");
        let Some(value) = self.value else {
            return format!("'{label}'=U");
        };
        let maximum = self.maximum.map_or_else(String::new, |max| max.to_string());
        let text = format!("'{label}'={value}{unit};{warning};{critical};0;{maximum}");
        text.trim_end_matches(';').to_owned()
    }
}

/// Without what has a meaning in the output of a plugin: the bar, and control characters.
fn plain(text: &str) -> String {
    let chars = text.chars().map(|c| match c {
        '|' => '/',
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    chars.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{CheckProblem, List, ServerMembers};

    fn value(
        label: &str,
        value: Option<u64>,
        warning: &str,
        maximum: Option<u64>,
    ) -> PerformanceValue {
        PerformanceValue {
            label: label.to_owned(),
            value,
            unit: "s".to_owned(),
            warning: warning.to_owned(),
            critical: String::new(),
            maximum,
        }
    }

    fn server(name: &str, problems: &[(CheckState, &str)]) -> CheckedServer {
        let state = problems.first().map_or(CheckState::Ok, |(state, _)| *state);
        let problems = problems.iter().map(|(state, text)| CheckProblem {
            state: *state,
            problem: (*text).to_owned(),
            action: "act".to_owned(),
        });
        CheckedServer {
            server: ServerMembers::new(name, None),
            state,
            summary: "known".to_owned(),
            problems: problems.collect(),
            performance: List::default(),
        }
    }

    fn reply(servers: Vec<CheckedServer>) -> CheckReply {
        let worst = servers.iter().map(|server| server.state).max();
        CheckReply {
            state: worst.unwrap_or_default(),
            servers: List(servers),
        }
    }

    #[test]
    fn the_first_line_has_the_state_and_the_worst_problem() {
        use CheckState::{Critical, Warning};
        for (servers, line) in [
            (vec![], "PGMONETA UNKNOWN - there is no server"),
            (vec![server("a", &[])], "PGMONETA OK - a: known"),
            (
                vec![server("a", &[]), server("b", &[])],
                "PGMONETA OK - 2 servers are safe",
            ),
            (
                vec![server("a", &[(Warning, "old")])],
                "PGMONETA WARNING - a: old",
            ),
            (
                vec![
                    server("b", &[(Critical, "gone\n|x=1\u{7}"), (Warning, "old")]),
                    server("a", &[]),
                ],
                "PGMONETA CRITICAL - 1 of 2 servers need attention: b: gone /x=1\u{fffd} (and 1 \
                 more)",
            ),
        ] {
            let output = reply(servers).plugin_output();
            assert_eq!(output.lines().next(), Some(line));
        }
        let output = reply(vec![server("b", &[(Critical, "gone")]), server("a", &[])]);
        let lines = output.plugin_output();
        let lines: Vec<&str> = lines.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "b: CRITICAL: known",
                "  CRITICAL: gone",
                "    to do: act",
                "a: OK: known"
            ]
        );
        assert_eq!(
            unknown_state("no\ndaemon|"),
            "PGMONETA UNKNOWN - no daemon/\n"
        );
    }

    #[test]
    fn performance_data_have_the_form_of_the_guidelines() {
        let mut one = server("it's=a|", &[]);
        one.performance = List(vec![
            value("age", Some(7), "93600", None),
            value("left", Some(8), "604800:", Some(9)),
            value("none", None, "1", None),
            value("plain", Some(0), "", None),
        ]);
        let output = reply(vec![one]).plugin_output();
        let line = output.lines().next().unwrap();
        assert_eq!(
            line.split_once(" | ").unwrap().1,
            "'it''s_a/.age'=7s;93600;;0 'it''s_a/.left'=8s;604800:;;0;9 'it''s_a/.none'=U \
             'it''s_a/.plain'=0s;;;0"
        );
    }
}
