//! How many different elements there were, about: HyperLogLog with 2^14 registers.
//!
//! ```text
//!   hash of an element   14 bits: which register   50 bits: how many zeros before the first one, and one
//!   a register           the largest of these      joined: the larger of both
//! ```
//!
//! Flajolet, Fusy, Gandouet, Meunier 2007; the count is Ertl's improved estimator ("New cardinality estimation
//! algorithms for HyperLogLog sketches", 2017), which needs no table of corrections from the first element to 2^50.
//! Own code, for the crates at hand show no registers, or draw a hasher at random.

use super::bytes::{Malformed, byte, number, put_number};
use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many bits of the hash choose the register.
const BITS: u32 = 14;
const REGISTERS: usize = 1 << BITS;
/// The largest value of a register.
const LARGEST: u8 = (64 - BITS + 1) as u8;
/// Up to so many registers are written one by one; then all of them.
const SPARSE_LIMIT: usize = REGISTERS / 4;
const SPARSE: u8 = 0;
const DENSE: u8 = 1;
/// The seed of the hash; it is on disks, and never changes.
const SEED: u64 = 0;

/// The standard error of a count: 1.04 / √2^14.
pub const HLL_ERROR: f64 = 0.008_125;

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct Hll {
    registers: Vec<u8>,
}

impl Default for Hll {
    fn default() -> Hll {
        Hll { registers: vec![0; REGISTERS] }
    }
}

impl std::fmt::Debug for Hll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hll").field("count", &self.count()).finish()
    }
}

impl Hll {
    /// Counts an element. Answers whether anything changed.
    pub fn add(&mut self, element: &[u8]) -> bool {
        let hash = xxh3_64_with_seed(element, SEED);
        let register = (hash >> (64 - BITS)) as usize;
        // A one behind the last bit that counts ends the zeros.
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        let before = &mut self.registers[register];
        let larger = rank > *before;
        *before = rank.max(*before);
        larger
    }

    /// Takes in another version of it.
    pub fn join(&mut self, other: &Hll) {
        for (ours, theirs) in self.registers.iter_mut().zip(&other.registers) {
            *ours = (*theirs).max(*ours);
        }
    }

    /// How many different elements were added, about: see [`HLL_ERROR`].
    pub fn count(&self) -> u64 {
        let mut histogram = [0.0_f64; LARGEST as usize + 1];
        for register in &self.registers {
            histogram[usize::from(*register)] += 1.0;
        }
        let m = REGISTERS as f64;
        let mut z = m * tau(1.0 - histogram[usize::from(LARGEST)] / m);
        for count in histogram[1..usize::from(LARGEST)].iter().rev() {
            z = 0.5 * (z + count);
        }
        z += m * sigma(histogram[0] / m);
        let estimate = m * m / (2.0 * std::f64::consts::LN_2 * z);
        estimate.round() as u64
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let set = self.registers.iter().enumerate().filter(|(_, register)| **register > 0);
        let count = set.clone().count();
        if count > SPARSE_LIMIT {
            out.push(DENSE);
            return out.extend_from_slice(&self.registers);
        }
        out.push(SPARSE);
        put_number(out, count as u128);
        let mut next = 0;
        for (place, register) in set {
            put_number(out, (place - next) as u128);
            out.push(*register);
            next = place + 1;
        }
    }

    pub(super) fn decode(from: &mut Bytes) -> Result<Hll, Malformed> {
        let mut hll = Hll::default();
        match byte(from)? {
            SPARSE => {
                let mut next = 0_usize;
                let count = number::<usize>(from)?;
                for _ in 0..count {
                    let place = next.checked_add(number(from)?).ok_or(Malformed)?;
                    let register = byte(from)?;
                    if register == 0 {
                        return Err(Malformed);
                    }
                    *hll.registers.get_mut(place).ok_or(Malformed)? = register;
                    next = place + 1;
                }
                if count > SPARSE_LIMIT {
                    return Err(Malformed);
                }
            }
            DENSE if from.remaining() >= REGISTERS => {
                from.copy_to_slice(&mut hll.registers);
                // Fewer are written the other way: equal values have equal bytes.
                let set = hll.registers.iter().filter(|register| **register > 0).count();
                if set <= SPARSE_LIMIT {
                    return Err(Malformed);
                }
            }
            _ => return Err(Malformed),
        }
        match hll.registers.iter().all(|register| *register <= LARGEST) {
            true => Ok(hll),
            false => Err(Malformed),
        }
    }
}

/// Ertl's σ, x + Σ x^(2^k) · 2^(k−1): of the registers that nothing has hit.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// Ertl's τ: of those that can grow no more.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}
