//! Progress for people: on standard error, and only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// How often a spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// For work of unknown length.
pub(super) fn spinner(message: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message.to_string());
    if !bar.is_hidden() {
        bar.enable_steady_tick(TICK);
    }
    bar
}

/// For work of known length.
pub(super) fn bar(total: u64, message: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec}")
        .expect("the template is ours");
    ProgressBar::new(total).with_style(style).with_message(message.to_string())
}

/// For so many bytes.
pub(super) fn bytes(message: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec}",
    )
    .expect("the template is ours");
    ProgressBar::new(0).with_style(style).with_message(message.to_string())
}
