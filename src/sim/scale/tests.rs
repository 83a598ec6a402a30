//! What must hold at every size, in clusters small enough for a test.

use super::*;
use std::time::Duration;

#[test]
#[ignore]
fn probe() {
    for (size, seconds) in [(5, 1000), (50, 360), (200, 60), (1000, 20)] {
        let t = std::time::Instant::now();
        let c = calm::<Ours>(1, size, 0, seconds, || {});
        println!("{size} {:?} {c:?}", t.elapsed());
    }
    let t = std::time::Instant::now();
    let c = calm::<Ours>(1, 1000, 50, 20, || {});
    println!("loss {:?} {c:?}", t.elapsed());
    let t = std::time::Instant::now();
    println!("{:?} {:?}", grow(crate::ring::Partitions::new(1024).unwrap(), &[5, 50, 200], || {}), t.elapsed());
    let _ = Duration::ZERO;
}
