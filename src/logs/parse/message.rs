//! A message of syslog as it comes over a network: a line that also says who wrote it.
//!
//! ```text
//!   <34>1 2031-04-05T06:07:08.009Z web-1 sshd 7 - - lost       host web-1, app sshd
//!   <34>Apr  5 06:07:08 web-1 sshd[7]: lost                    host web-1, app sshd
//!   <34>Apr  5 06:07:08 sshd[7]: lost                          app sshd: a program that writes to its own daemon
//!   <34>sshd: lost                                             app sshd, no time
//!   2031-04-05T06:07:08.009Z ERROR lost                        no syslog: taken as a line of a file would be
//! ```

use super::{Found, Level, Nanos, Parsed, Parser, syslog};
use std::borrow::Cow;

/// What a message says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// When it was written.
    pub at: Option<Nanos>,
    /// How bad it is.
    pub level: Option<Level>,
    /// The level as it was written, or as its number is called.
    pub word: Option<Cow<'a, str>>,
    /// It is a message of its own; else it may be a line of the one before, as in a stack trace.
    pub begins: bool,
    /// The machine.
    pub host: Option<&'a str>,
    /// The program.
    pub app: Option<Cow<'a, str>>,
}

impl Parser {
    /// Takes the next message, without what frames it.
    pub fn message<'a>(&mut self, text: &'a str) -> Message<'a> {
        let calendar = &mut self.calendar;
        let head = syslog::head_5424(text, calendar)
            .map(|(found, rest)| (found, sender_5424(rest)))
            .or_else(|| {
                let (found, rest) = syslog::head_3164(text, calendar)?;
                Some((found, sender_3164(rest)))
            })
            .or_else(|| {
                let (found, rest) = syslog::head_undated(text)?;
                Some((found, (None, tag(first_word(rest).0))))
            });
        let Some((found, (host, app))) = head else {
            let Parsed { at, level, word, begins, source, .. } = self.line(text);
            return Message { at, level, word, begins, host: None, app: source };
        };
        let Found { at, level, word, .. } = found;
        self.dated |= at.is_some();
        Message { at, level, word, begins: true, host, app: app.map(Cow::Borrowed) }
    }
}

type Sender<'a> = (Option<&'a str>, Option<&'a str>);

/// ` HOSTNAME APP-NAME …`, each perhaps `-`.
fn sender_5424(rest: &str) -> Sender<'_> {
    let (host, rest) = first_word(rest);
    (name(host), name(first_word(rest).0))
}

/// ` HOSTNAME TAG: …`, and either may be missing.
fn sender_3164(rest: &str) -> Sender<'_> {
    let (first, rest) = first_word(rest);
    match tag(first) {
        Some(app) => (None, Some(app)),
        None => (name(first), tag(first_word(rest).0)),
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    text.split_once(' ').unwrap_or((text, ""))
}

/// The name in `sshd[7]:` or `sshd:`.
fn tag(word: &str) -> Option<&str> {
    name(&word[..word.find('[').or_else(|| word.ends_with(':').then(|| word.len() - 1))?])
}

/// What can be a name; `-` says that there is none, and a word of prose or of a switch (`%SYS-5-…`) is none.
fn name(word: &str) -> Option<&str> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@".contains(&b);
    let is_name = word.bytes().all(is_part) && word.bytes().any(|b| b.is_ascii_alphanumeric());
    is_name.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_who_wrote_it_and_how_bad_it_is() {
        use Level::*;
        let fatal = (Some(Fatal), Some("crit"));
        type Told = (Option<Level>, Option<&'static str>);
        type Case = (&'static str, Option<&'static str>, Option<&'static str>, Told, bool);
        let cases: [Case; 12] = [
            (
                "<34>1 2031-04-05T06:07:08.009Z web-1 sshd 7 - - lost",
                Some("web-1"),
                Some("sshd"),
                fatal,
                true,
            ),
            ("<34>1 2031-04-05T06:07:08.009Z - - - - - lost", None, None, fatal, true),
            (
                "<165>1 - web-1 app - - - x",
                Some("web-1"),
                Some("app"),
                (Some(Info), Some("notice")),
                false,
            ),
            ("<34>Apr  5 06:07:08 web-1 sshd[7]: lost", Some("web-1"), Some("sshd"), fatal, true),
            (
                "<34>Apr  5 06:07:08 10.0.0.1 postfix/smtpd[7]: x",
                Some("10.0.0.1"),
                Some("postfix/smtpd"),
                fatal,
                true,
            ),
            ("<34>Apr  5 06:07:08 sshd[7]: lost", None, Some("sshd"), fatal, true),
            ("<34>Apr  5 06:07:08 web-1 message repeated", Some("web-1"), None, fatal, true),
            ("<34>Apr  5 06:07:08 sw %SYS-5-CONFIG: x", Some("sw"), None, fatal, true),
            ("<34>app: lost", None, Some("app"), fatal, false),
            ("<34>lost and found", None, None, fatal, false),
            ("2031-04-05T06:07:08.009Z ERROR lost", None, None, (Some(Error), Some("ERROR")), true),
            ("<999>no priority", None, None, (None, None), false),
        ];
        for (text, host, app, level, dated) in cases {
            let message = Parser::auto(0).message(text);
            assert_eq!((message.host, message.app.as_deref()), (host, app), "{text}");
            assert_eq!((message.level, message.word.as_deref()), level, "{text}");
            assert_eq!((message.at.is_some(), message.begins), (dated, true), "{text}");
        }
    }

    #[test]
    fn a_line_of_a_trace_goes_on_with_the_message_before() {
        let mut parser = Parser::auto(0);
        assert!(parser.message("<11>Apr  5 06:07:08 web-1 app: lost").begins);
        for line in ["java.io.IOException: reset", "\tat Job.run(Job.java:7)"] {
            assert!(!parser.message(line).begins, "{line}");
        }
        assert!(parser.message("<11>app: again").begins);
    }

    proptest::proptest! {
        #[test]
        fn junk_never_panics(text in "(<[0-9]{1,3}>)?(1 )?(- |Apr  5 06:07:08 )?.{0,40}") {
            Parser::auto(0).message(&text);
        }
    }
}
