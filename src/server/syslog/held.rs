//! A message from a connection is held until the next one comes, or nothing for a while: the next line may be of its stack trace.

use crate::logs::{Entry, LINE_LIMIT, Message, Nanos, Parser, SOURCE_LIMIT};
use std::net::IpAddr;
use std::sync::Arc;

/// A message and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    pub(super) source: Arc<str>,
    pub(super) entry: Entry,
}

/// What a message becomes, and whether it begins something. Its source is `host/app`; the host is the sender's address
/// where none is said.
pub(super) fn read(
    parser: &mut Parser,
    text: &str,
    from: IpAddr,
    arrival: Nanos,
) -> (Dispatch, bool) {
    parser.arrive(arrival);
    let Message { at, level, word, begins, host, app } = parser.message(text);
    let mut source = host.map_or_else(|| from.to_canonical().to_string(), str::to_owned);
    if let Some(app) = app {
        source.push('/');
        source.extend(app.chars().map(|c| if c.is_control() { '?' } else { c }));
    }
    while source.len() > SOURCE_LIMIT {
        source.pop();
    }
    // The name of the level itself says nothing more.
    let word = word.filter(|word| level.is_none_or(|level| level.as_str() != word));
    let entry = Entry {
        at: at.unwrap_or(arrival),
        level,
        word: word.map(Into::into),
        by_arrival: at.is_none(),
        text: text.to_owned(),
    };
    (Dispatch { source: source.into(), entry }, begins)
}

/// The last message of a connection, which may grow.
#[derive(Default)]
pub(super) struct Held(Option<Dispatch>);

impl Held {
    /// Takes a line; returns the message that it closes.
    pub(super) fn line(&mut self, (line, begins): (Dispatch, bool)) -> Option<Dispatch> {
        if !begins
            && let Some(Dispatch { entry, .. }) = &mut self.0
            && entry.text.len() + 1 + line.entry.text.len() <= LINE_LIMIT
        {
            entry.text.push('\n');
            entry.text.push_str(&line.entry.text);
            return None;
        }
        self.0.replace(line)
    }

    /// What is held is complete.
    pub(super) fn take(&mut self) -> Option<Dispatch> {
        self.0.take()
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_host_and_the_program_or_the_sender() {
        for (text, wanted) in [
            ("<34>Apr  5 06:07:08 web-1 sshd[7]: lost", "web-1/sshd"),
            ("<34>Apr  5 06:07:08 sshd[7]: lost", "10.0.0.7/sshd"),
            ("<34>1 - web-1 - - - - lost", "web-1"),
            ("lost", "10.0.0.7"),
        ] {
            let from = "::ffff:10.0.0.7".parse().unwrap();
            let (read, begins) = read(&mut Parser::auto(0), text, from, 5);
            assert_eq!((&*read.source, begins), (wanted, true), "{text}");
        }
        let long = format!("<34>1 - {} {} - - - x", "h".repeat(300), "a".repeat(90));
        let (read, _) = read(&mut Parser::auto(0), &long, IpAddr::from([10, 0, 0, 7]), 5);
        assert_eq!(read.source.len(), SOURCE_LIMIT);
    }

    #[test]
    fn the_lines_of_a_trace_are_one_message() {
        let (mut parser, mut held) = (Parser::auto(0), Held::default());
        let mut line = |text: &str| {
            let from = IpAddr::from([10, 0, 0, 7]);
            held.line(read(&mut parser, text, from, 5)).map(|closed| closed.entry.text)
        };
        assert_eq!(line("<11>Apr  5 06:07:08 web-1 app: lost"), None);
        assert_eq!(line("java.io.IOException: reset"), None);
        assert_eq!(line("\tat Job.run(Job.java:7)"), None);
        let whole = "<11>Apr  5 06:07:08 web-1 app: lost\njava.io.IOException: reset\n\tat Job.run(Job.java:7)";
        assert_eq!(line("<11>Apr  5 06:07:09 web-1 app: again").as_deref(), Some(whole));
        assert!(held.take().is_some() && !held.is_some());
    }
}
