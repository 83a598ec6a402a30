//! Load, measured: what `quorate bench` runs.
