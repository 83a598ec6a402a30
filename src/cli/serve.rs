//! `quorate serve`: one node. Flags become settings; flags beat environment beats file.

use super::args::ServeArgs;
use super::failure::{Failure, Result};
use super::output::say;
use crate::config::{ServerConfig, Setting};
use crate::server::Server;
use rustix::process::{Pid, Signal};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Runs a node until it is told to stop.
pub(super) fn serve(args: &ServeArgs) -> Result<()> {
    attach(args)?;
    let config = config(args)?;
    log(&config.log.level)?;
    let name = config.node.name.clone();
    let running = Server::start(config).map_err(|error| Failure::said(&error))?;
    let resp = running.resp().map(|at| format!(", resp {at}")).unwrap_or_default();
    let syslog = running.syslog().map(|at| format!(", syslog {at}")).unwrap_or_default();
    let (native, http) = (running.native(), running.http());
    say(format!("{name} listens on {native}, http://{http}/{resp}{syslog}"))?;
    running.wait_for_signals().map_err(|error| Failure::said(&error))
}

/// What the node has to say goes to standard error; colours only where somebody looks.
fn log(level: &str) -> Result<()> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        let what = format!("log.level `{level}`: {error}");
        Failure::new("invalid", what, "use error, warn, info, debug or trace")
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second node in one process keeps the log of the first.
    let _ = subscriber.try_init();
    Ok(())
}

/// What the flags say, each under the name that it has in a file.
fn settings(args: &ServeArgs) -> Vec<Setting> {
    let path = |path: &std::path::PathBuf| path.display().to_string();
    let values = [
        ("--name", "node.name", args.name.clone()),
        ("--data-dir", "node.data_dir", args.data_dir.as_ref().map(path)),
        ("--zone", "node.zone", args.zone.clone()),
        ("--listen", "listen.native", args.listen.map(|address| address.to_string())),
        ("--http", "listen.http", args.http.map(|address| address.to_string())),
        ("--resp", "listen.resp", args.resp.clone()),
        ("--syslog", "listen.syslog", args.syslog.map(|address| address.to_string())),
        ("--advertise", "listen.advertise", args.advertise.map(|address| address.to_string())),
        ("--join", "cluster.join", args.join.as_ref().map(|members| members.join(","))),
        ("--bootstrap", "cluster.bootstrap", args.bootstrap.then(|| "true".to_string())),
        ("--spare", "cluster.spare", args.spare.then(|| "true".to_string())),
        ("--enable-chaos", "node.enable_chaos", args.enable_chaos.then(|| "true".to_string())),
        ("--key-file", "cluster.key_file", args.key_file.as_ref().map(path)),
        ("--insecure", "cluster.insecure", args.insecure.then(|| "true".to_string())),
    ];
    let given = values.into_iter().filter_map(|(flag, name, value)| Some((flag, name, value?)));
    given.map(|(flag, name, value)| Setting::flag(flag, name, value)).collect()
}

/// The node's configuration.
fn config(args: &ServeArgs) -> Result<ServerConfig> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    ServerConfig::load(args.config.as_deref(), environment, &settings(args))
        .map_err(|error| Failure::said(&error))
}

/// Ties the process to whoever started it, or cuts it loose. Before anything else happens: from the
/// thread that lives as long as the process.
fn attach(args: &ServeArgs) -> Result<()> {
    let system = |error| Failure::from(std::io::Error::from(error));
    if args.detached {
        // Fails only for a group's leader, who is out of the terminal's reach already.
        let _ = rustix::process::setsid();
    }
    if let Some(parent) = args.die_with {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(system)?;
        // It may have died before we asked to be told.
        let ours = rustix::process::getppid().map(Pid::as_raw_pid);
        if ours.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
            let next = "start the node without --die-with";
            return Err(Failure::new(
                "invalid",
                format!("process {parent} is not our parent"),
                next,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use clap::Parser;

    fn args(line: &str) -> ServeArgs {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Serve(args) = cli.command else { panic!("not a serve") };
        args
    }

    #[test]
    fn every_flag_is_a_setting() {
        let args = args(
            "quorate serve --name n --data-dir /d --listen 127.0.0.1:1 --http 127.0.0.1:2 \
             --syslog 127.0.0.1:6 --resp 127.0.0.1:7 --advertise 127.0.0.1:3 --join a:4,b:5 --zone z --insecure",
        );
        let config = ServerConfig::load(None, [], &settings(&args)).unwrap();
        assert_eq!(config.node.name, "n");
        assert_eq!(config.node.data_dir, std::path::Path::new("/d"));
        assert_eq!(config.node.zone, "z");
        assert_eq!(config.listen.native, "127.0.0.1:1".parse().unwrap());
        assert_eq!(config.listen.http, "127.0.0.1:2".parse().unwrap());
        assert_eq!(config.listen.resp, Some("127.0.0.1:7".parse().unwrap()));
        assert_eq!(config.listen.syslog, Some("127.0.0.1:6".parse().unwrap()));
        assert_eq!(config.listen.advertise, Some("127.0.0.1:3".parse().unwrap()));
        assert_eq!(config.cluster.join.0, ["a:4", "b:5"]);
        assert!(config.cluster.insecure && !config.cluster.bootstrap);
        let founder = self::args("quorate serve --name n --bootstrap");
        assert!(ServerConfig::load(None, [], &settings(&founder)).unwrap().cluster.bootstrap);
    }

    #[test]
    fn flags_beat_environment_beats_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.toml");
        std::fs::write(&file, "[node]\nname = \"file\"\nzone = \"file\"\ndata_dir = \"file\"\n")
            .unwrap();
        let environment = [("QUORATE_NODE__NAME", "env"), ("QUORATE_NODE__ZONE", "env")];
        let environment = environment.map(|(name, value)| (name.to_string(), value.to_string()));
        let args = args("quorate serve --name flag");
        let config = ServerConfig::load(Some(&file), environment, &settings(&args)).unwrap();
        assert_eq!((config.node.name.as_str(), config.node.zone.as_str()), ("flag", "env"));
        assert_eq!(config.node.data_dir, std::path::Path::new("file"));
    }

    #[test]
    fn a_child_whose_parent_is_another_refuses_to_live() {
        // No process has this id.
        let args = args("quorate serve --name n --die-with 4294967295");
        assert_eq!(attach(&args).unwrap_err().code(), "invalid");
        rustix::process::set_parent_process_death_signal(None).unwrap();
    }
}
