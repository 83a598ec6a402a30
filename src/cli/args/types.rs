//! Typed buckets: `counter set map register hll`.

use super::{Print, Spelling, Target, parse_consistency};
use crate::quorum::{Consistency, QuorumRequest};
use clap::{Args, Subcommand};

/// One value, and how it is asked for.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct TypedArgs {
    /// Bucket; the first change creates it with this type
    pub bucket: String,
    /// Partition key
    #[arg(allow_hyphen_values = true)]
    pub key: String,
    #[command(flatten)]
    pub how: HowArgs,
}

/// What every typed operation may say.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct HowArgs {
    /// any, one, two, three, quorum or all; the bucket's default where open
    #[arg(long, value_name = "C", value_parser = parse_consistency)]
    pub consistency: Option<Consistency>,
    /// Replicas that must answer a read; beats the consistency
    #[arg(long, value_name = "N")]
    pub r: Option<u8>,
    /// Replicas that must hold a write durably; beats the consistency
    #[arg(long, value_name = "N")]
    pub w: Option<u8>,
    /// Owners only: no fallback may stand in
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub spelling: Spelling,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub print: Print,
}

impl HowArgs {
    /// What reads ask for, and what writes do.
    pub(in crate::cli) fn quorums(&self) -> (Option<QuorumRequest>, Option<QuorumRequest>) {
        let HowArgs { consistency, strict, .. } = *self;
        let quorum = |count| Some(QuorumRequest { consistency, count, strict });
        (quorum(self.r), quorum(self.w))
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CounterArgs {
    #[command(subcommand)]
    pub command: CounterCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CounterCommand {
    /// Count up, or with less than nothing down; prints the number
    Add {
        #[command(flatten)]
        at: TypedArgs,
        /// How much
        #[arg(allow_hyphen_values = true, default_value_t = 1)]
        by: i64,
    },
    /// Print the number
    Get(TypedArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SetArgs {
    #[command(subcommand)]
    pub command: SetCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SetCommand {
    /// Add members
    Add(NamesArgs),
    /// Remove members; prints how many were there
    Remove(NamesArgs),
    /// List the members, in order, as they come
    Members(TypedArgs),
    /// Print whether a member is there
    Contains {
        #[command(flatten)]
        at: TypedArgs,
        /// The member
        #[arg(allow_hyphen_values = true)]
        member: String,
    },
}

/// A value, and names in it.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct NamesArgs {
    #[command(flatten)]
    pub at: TypedArgs,
    /// One or more
    #[arg(required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MapArgs {
    #[command(subcommand)]
    pub command: MapCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MapCommand {
    /// Change one field
    Update {
        #[command(flatten)]
        at: TypedArgs,
        /// The field
        #[arg(allow_hyphen_values = true)]
        field: String,
        #[command(flatten)]
        what: UpdateArgs,
    },
    /// Remove fields; prints how many were there
    Remove(NamesArgs),
    /// Print the fields, in order
    Get(TypedArgs),
}

/// What becomes of a field.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct UpdateArgs {
    /// Count: the field is a counter
    #[arg(long, value_name = "BY", allow_hyphen_values = true, conflicts_with_all = ["assign", "flag", "add", "remove"])]
    pub increment: Option<i64>,
    /// Assign: the field is a register
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, conflicts_with_all = ["flag", "add", "remove"])]
    pub assign: Option<String>,
    /// Up or down: the field is a flag
    #[arg(long, value_name = "true|false", conflicts_with_all = ["add", "remove"])]
    pub flag: Option<bool>,
    /// Add members: the field is a small set
    #[arg(long, value_name = "MEMBER", allow_hyphen_values = true)]
    pub add: Vec<String>,
    /// Remove members of it, before others are added
    #[arg(long, value_name = "MEMBER", allow_hyphen_values = true)]
    pub remove: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RegisterArgs {
    #[command(subcommand)]
    pub command: RegisterCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RegisterCommand {
    /// Assign a value
    Assign {
        #[command(flatten)]
        at: TypedArgs,
        /// Value; `-` reads it from standard input, as it is
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Print the value
    Get(TypedArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HllArgs {
    #[command(subcommand)]
    pub command: HllCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HllCommand {
    /// Add elements
    Add(NamesArgs),
    /// Print how many different elements there were, about
    Count(TypedArgs),
}
