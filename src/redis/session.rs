//! One connection: who it is, what it speaks, how it reads and writes; and whom each of its commands goes to.

use super::Reply;
use super::command::everything;
use super::command::session as own;
use super::command::several;
use super::command::table::{self, Class, How, Spec};
use super::engine::Engine;
use super::lane::Call;
use super::pending::Pending;
use super::wire::Protocol;
use crate::quorum::QuorumRequest;
use crate::types::{Objects, TypedObjects};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

/// How a connection reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) read: QuorumRequest,
    pub(super) write: QuorumRequest,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    pub(super) id: u64,
    pub(super) peer: Option<SocketAddr>,
    pub(super) name: Bytes,
    pub(super) library: [Bytes; 2],
    pub(super) protocol: Protocol,
    pub(super) is_known: bool,
    pub(super) levels: Levels,
    pub(super) closing: bool,
}

impl Session {
    /// A connection that has just come.
    pub fn new<O: Objects>(engine: &Engine<O>, peer: Option<SocketAddr>) -> Session {
        Session {
            id: engine.0.connections.fetch_add(1, Ordering::Relaxed) + 1,
            peer,
            name: Bytes::new(),
            library: Default::default(),
            protocol: Protocol::Two,
            is_known: engine.0.settings.password.is_none(),
            levels: Levels::default(),
            closing: false,
        }
    }

    /// What its replies are written in.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether it ends when what was asked has been answered.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Takes a request; answers at once with what will be the reply. A [barrier](Pending::is_barrier) must have ended
    /// before the next one is submitted.
    pub fn submit<O: TypedObjects>(
        &mut self,
        engine: &Engine<O>,
        args: Vec<Bytes>,
    ) -> (Pending, Class) {
        engine.0.commands.fetch_add(1, Ordering::Relaxed);
        let Some(first) = args.first() else {
            return (Pending::ready(Reply::error("ERR empty command")), Class::Refused);
        };
        let Some(spec) = table::find(first) else {
            let is_known = self.is_known;
            let reply = if is_known { unknown(&args) } else { Reply::error(own::NO_AUTH) };
            return (Pending::ready(reply), Class::Refused);
        };
        if !self.is_known && !matches!(spec.name, "auth" | "hello" | "quit" | "reset") {
            return (Pending::ready(Reply::error(own::NO_AUTH)), Class::Refused);
        }
        if !spec.takes(args.len()) {
            return (Pending::ready(wrong_number(spec.name)), spec.class);
        }
        (self.dispatch(engine, spec, args), spec.class)
    }

    fn dispatch<O: TypedObjects>(
        &mut self,
        engine: &Engine<O>,
        spec: Spec,
        args: Vec<Bytes>,
    ) -> Pending {
        let name = spec.name;
        let each = |keys: &[Bytes], step: usize, combine| {
            let calls = keys.chunks(step).map(|words| {
                let args = [&args[..1], words].concat();
                engine.call(self.levels.call(name, args))
            });
            Pending::Many(calls.collect(), Vec::new(), Some(combine))
        };
        match spec.how {
            How::Refused(why) => Pending::ready(Reply::error(why)),
            How::Lane => engine.call(self.levels.call(name, args)),
            How::Sum if args.len() == 2 => engine.call(self.levels.call(name, args)),
            How::Sum => each(&args[1..], 1, several::sum()),
            How::List => each(&args[1..], 1, several::list()),
            How::Pairs if args.len().is_multiple_of(2) => Pending::ready(wrong_number(name)),
            How::Pairs => each(&args[1..], 2, several::all_ok()),
            How::Members(operation) => match several::members(operation, &args) {
                Err(reply) => Pending::ready(reply),
                Ok((keys, combine)) => {
                    let calls = keys.into_iter().map(|key| {
                        let args = vec![Bytes::from_static(b"SMEMBERS"), key];
                        engine.call(self.levels.call("smembers", args))
                    });
                    Pending::Many(calls.collect(), Vec::new(), Some(combine))
                }
            },
            How::Object => match own::object(&args) {
                Ok(args) => engine.call(self.levels.call(name, args)),
                Err(reply) => Pending::ready(reply),
            },
            How::Everything => {
                let (engine, levels) = (engine.clone(), self.levels);
                Pending::Later(Box::pin(everything::run(engine, name, args, levels)))
            }
            How::Session => Pending::ready(own::run(self, engine, name, &args)),
        }
    }
}

impl Levels {
    fn call(self, name: &'static str, args: Vec<Bytes>) -> Call {
        Call { name, args, read: self.read, write: self.write }
    }
}

pub(super) fn wrong_number(name: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{name}' command"))
}

fn unknown(args: &[Bytes]) -> Reply {
    let shown = |word: &Bytes| String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned();
    let mut text = format!("ERR unknown command '{}', with args beginning with: ", shown(&args[0]));
    for word in &args[1..] {
        if text.len() > 256 {
            break;
        }
        text.push_str(&format!("'{}' ", shown(word)));
    }
    Reply::error(text)
}
