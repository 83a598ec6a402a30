//! Several machines over real bytes, on disks that forget what was not synced.

mod disk;
mod look;
mod network;

mod agree;
mod lives;
mod meet;
