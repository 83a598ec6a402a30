//! Several machines over real bytes, on disks that forget what was not synced.

mod disk;
mod network;

mod agree;
mod lives;
mod meet;
