//! What people type: the command line of the one binary that is server, tool and demo.
//!
//! ```text
//! words ──args──▶ Command ──one file a command──▶ client library or local processes
//!                                    │
//!               stdout ◀──output─────┴─────failure──▶ stderr: one line, exit code 0, 1 or 2
//! ```

mod args;
mod backup;
mod bench;
mod census;
mod cluster;
mod connect;
mod data;
mod debug;
mod demo;
mod doctor;
mod drain;
mod dump;
mod explain;
mod failure;
mod file;
mod input;
mod keygen;
mod keys;
mod latency;
mod local;
mod logs;
mod look;
mod loss;
mod manual;
mod monitor;
mod output;
mod probe;
mod process;
mod progress;
mod repair;
mod repl;
mod ring;
mod scale;
mod scrub;
mod serve;
mod sim;
mod staleness;
mod survivors;
mod types;
mod units;
mod watch;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use failure::{Failure, Result};
use std::process::ExitCode;
use tokio::runtime::Builder;

/// Does what the command line says. Returns 0 when it worked, 1 when not, 2 when it was not understood.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.exit_code() == 0 => {
            // Help and version: what was asked for. A closed pipe is no failure.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nothing was asked yet: the help is the answer.
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => return Failure::usage(&error).report(),
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        // A node brings its own threads and runtimes.
        Command::Serve(args) => serve::serve(&args),
        Command::Demo(args) => on(Builder::new_multi_thread(), demo::run(args)),
        Command::Cluster(args) => alone(cluster::run(args)),
        Command::Put(args) => alone(data::put(args)),
        Command::Get(args) => alone(data::get(args)),
        Command::Watch(args) => alone(watch::watch(args)),
        Command::Delete(args) => alone(data::delete(args)),
        Command::Scan(args) => alone(data::scan(args)),
        Command::Keys(args) => alone(keys::keys(args)),
        Command::Bucket(args) => alone(data::bucket(args)),
        Command::Counter(args) => alone(types::counter(args)),
        Command::Set(args) => alone(types::set(args)),
        Command::Map(args) => alone(types::map(args)),
        Command::Register(args) => alone(types::register(args)),
        Command::Hll(args) => alone(types::hll(args)),
        Command::Status(args) => alone(look::status(args)),
        Command::Members(args) => alone(look::members(args)),
        Command::Ring(args) => alone(ring::ring(args)),
        Command::Locate(args) => alone(look::locate(args)),
        Command::Hints(args) => alone(look::hints(args)),
        Command::Info(args) => alone(look::info(args)),
        Command::Dump(args) => alone(dump::dump(args)),
        Command::Repair(args) => alone(repair::repair(args)),
        Command::Scrub(args) => alone(scrub::scrub(args)),
        Command::Drain(args) => alone(drain::drain(args)),
        Command::Leave(args) => alone(ring::leave(args)),
        Command::Remove(args) => alone(ring::remove(args)),
        Command::Replace(args) => alone(ring::replace(args)),
        Command::Transfers(args) => alone(ring::transfers(args)),
        Command::AcceptLoss(args) => alone(loss::accept_loss(args)),
        Command::Backup(args) => alone(backup::backup(args)),
        Command::Restore(args) => backup::restore(&args),
        Command::File(args) => alone(file::file(args.command)),
        Command::Logs(args) => on(Builder::new_multi_thread(), logs::logs(args.command)),
        Command::Latency(args) => alone(latency::latency(args)),
        // One thread makes the load, and leaves the other cores to the nodes.
        Command::Bench(args) => alone(bench::bench(args)),
        Command::Doctor(args) => alone(doctor::doctor(args)),
        Command::Monitor(args) => alone(monitor::monitor(args)),
        Command::Debug(args) => alone(debug::debug(args)),
        // It runs the others, each as it is run here.
        Command::Repl(args) => repl::repl(args),
        Command::Keygen(args) => keygen::keygen(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Sim(args) => sim::sim(&args),
    }
}

fn alone(work: impl Future<Output = Result<()>>) -> Result<()> {
    on(Builder::new_current_thread(), work)
}

/// Does the work on this thread, which is the main one: children that die with us die with it.
fn on(mut runtime: Builder, work: impl Future<Output = Result<()>>) -> Result<()> {
    runtime.enable_all().build()?.block_on(work)
}
