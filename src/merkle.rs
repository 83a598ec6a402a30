//! What a partition holds, summed up: equal roots say that two replicas hold the same, and where they differ,
//! the way down the tree says where.
//!
//! ```text
//!   root                 Σ            one comparison: the same, or not
//!   branches       Σ     Σ     Σ      w of them
//!   leaves        a b   c d   e f     w² of them; an item's leaf follows from its key alone
//! ```
//!
//! A leaf is the wrapping *sum* of a keyed hash of each item's key and digest. A sum can be kept up to date
//! without reading anything else: a write takes the old term out and puts the new one in; trees add up leaf by
//! leaf, so the buckets that two nodes share are compared as one; and unlike an exclusive or, two equal terms
//! do not cancel. The key is the cluster's: who stores items cannot choose them so that their sums collide.
//! (Merkle 1987; incremental hashing by addition: Bellare and Micciancio 1997.)

use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// How many leaves all partitions of a cluster have together, about: 4 MiB of sums.
const LEAVES: u32 = 1 << 18;
/// The fewest and the most branches of a tree.
const WIDTH: (u32, u32) = (2, 64);
/// The first byte of an encoded tree.
const VERSION: u8 = 1;
/// What one leaf takes when a tree is encoded: its number and its sum.
const ENTRY_BYTES: usize = 4 + 16;

/// How many branches a tree has, and how many leaves each of them: the same everywhere in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    width: u32,
}

impl Shape {
    /// The shape for a cluster of so many partitions: the more there are, the smaller each tree.
    pub fn of(partitions: u32) -> Shape {
        let leaves = LEAVES / partitions.max(1);
        let width = 1 << (leaves.max(1).ilog2() / 2);
        Shape { width: width.clamp(WIDTH.0, WIDTH.1) }
    }

    /// How many branches there are, and how many leaves under each.
    pub fn width(self) -> usize {
        self.width as usize
    }

    /// How many leaves there are.
    pub fn leaves(self) -> usize {
        self.width() * self.width()
    }

    /// The leaf of a store key.
    pub fn leaf(self, key: &[u8]) -> usize {
        // The top bits chose nothing yet; the multiplication maps them evenly, whatever the width.
        ((u128::from(xxh3_64(key)) * self.leaves() as u128) >> 64) as usize
    }
}

/// Makes terms. One for a cluster.
#[derive(Clone)]
pub struct Terms {
    key: [u8; 32],
}

impl Terms {
    /// With a key derived from the cluster's secret.
    pub fn new(secret: &[u8; 32]) -> Terms {
        Terms { key: blake3::derive_key("quorate 2026 merkle term", secret) }
    }

    /// What an item of this store key and digest adds to its leaf.
    pub fn term(&self, key: &[u8], digest: u128) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // The digest has a fixed length, so no two inputs share bytes.
        hasher.update(&digest.to_le_bytes()).update(key);
        let hash = hasher.finalize();
        u128::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terms")
    }
}

/// The sums of one partition's items.
///
/// - The root is the sum of all leaves.
/// - A tree without items has no leaves in memory; it equals one whose leaves are all zero.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    leaves: Vec<u128>,
    root: u128,
    items: i64,
}

impl Tree {
    /// Takes `before` out of a leaf and puts `after` in: terms of one item, `None` where it was or is not there.
    ///
    /// # Panics
    /// If the shape has no such leaf.
    pub fn change(&mut self, shape: Shape, leaf: usize, before: Option<u128>, after: Option<u128>) {
        let add = after.unwrap_or(0).wrapping_sub(before.unwrap_or(0));
        if self.leaves.is_empty() {
            self.leaves = vec![0; shape.leaves()];
        }
        self.leaves[leaf] = self.leaves[leaf].wrapping_add(add);
        self.root = self.root.wrapping_add(add);
        self.items += i64::from(after.is_some()) - i64::from(before.is_some());
    }

    /// How many items it has.
    pub fn items(&self) -> u64 {
        self.items.try_into().unwrap_or(0)
    }

    /// The sum of all.
    pub fn root(&self) -> u128 {
        self.root
    }

    /// Adds all its leaves to `sums`.
    pub fn add_to(&self, sums: &mut [u128]) {
        for (sum, leaf) in sums.iter_mut().zip(&self.leaves) {
            *sum = sum.wrapping_add(*leaf);
        }
    }

    /// Its bytes: version, width, items, then the leaves that are not zero.
    pub fn encode(&self, shape: Shape) -> Vec<u8> {
        let leaves = || self.leaves.iter().enumerate().filter(|(_, sum)| **sum != 0);
        let mut bytes = Vec::with_capacity(10 + leaves().count() * ENTRY_BYTES);
        bytes.push(VERSION);
        bytes.push(u8::try_from(shape.width()).expect("at most 64"));
        bytes.extend_from_slice(&self.items.to_le_bytes());
        for (at, sum) in leaves() {
            bytes.extend_from_slice(&(at as u32).to_le_bytes());
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        bytes
    }

    /// From its bytes; `None` if they are not those of a tree of this shape.
    pub fn decode(shape: Shape, bytes: &[u8]) -> Option<Tree> {
        let (head, rest) = bytes.split_first_chunk::<10>()?;
        if head[0] != VERSION || usize::from(head[1]) != shape.width() {
            return None;
        }
        let mut tree = Tree { items: i64::from_le_bytes(*head.last_chunk()?), ..Tree::default() };
        if tree.items < 0 || !rest.len().is_multiple_of(ENTRY_BYTES) {
            return None;
        }
        if !rest.is_empty() {
            tree.leaves = vec![0; shape.leaves()];
        }
        for entry in rest.chunks_exact(ENTRY_BYTES) {
            let (at, sum) = entry.split_first_chunk::<4>()?;
            let sum = u128::from_le_bytes(*sum.first_chunk()?);
            *tree.leaves.get_mut(u32::from_le_bytes(*at) as usize)? = sum;
            tree.root = tree.root.wrapping_add(sum);
        }
        Some(tree)
    }
}

/// The sums of the branches over these leaves.
pub fn branches(shape: Shape, leaves: &[u128]) -> Vec<u128> {
    let sum = |leaves: &[u128]| leaves.iter().fold(0u128, |sum, leaf| sum.wrapping_add(*leaf));
    leaves.chunks(shape.width()).map(sum).collect()
}

/// Where two lists of sums differ. What only one of them has, differs.
pub fn differing(mine: &[u128], theirs: &[u128]) -> Vec<usize> {
    let longest = mine.len().max(theirs.len());
    (0..longest).filter(|at| mine.get(*at) != theirs.get(*at)).collect()
}

/// Which leaves of a tree are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// All of them.
    All,
    /// These.
    Some(BTreeSet<usize>),
}

impl Leaves {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Leaves::Some(leaves) if leaves.is_empty())
    }

    /// Whether the leaf of this store key is among them.
    pub fn contain(&self, shape: Shape, key: &[u8]) -> bool {
        match self {
            Leaves::All => true,
            Leaves::Some(leaves) => leaves.contains(&shape.leaf(key)),
        }
    }

    /// One bit for each leaf, the lowest first; empty: all.
    pub fn to_bits(&self) -> Vec<u8> {
        let Leaves::Some(leaves) = self else { return Vec::new() };
        let mut bits = vec![0; leaves.last().map_or(1, |last| last / 8 + 1)];
        leaves.iter().for_each(|leaf| bits[leaf / 8] |= 1 << (leaf % 8));
        bits
    }

    /// The leaves of these bits; `None` if there are more than the shape has.
    pub fn from_bits(shape: Shape, bits: &[u8]) -> Option<Leaves> {
        if bits.is_empty() {
            return Some(Leaves::All);
        }
        let is_set = |leaf: &usize| bits[leaf / 8] & (1 << (leaf % 8)) != 0;
        let fits = bits.len() <= shape.leaves().div_ceil(8);
        fits.then(|| Leaves::Some((0..bits.len() * 8).filter(is_set).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SHAPE: Shape = Shape { width: 4 };

    fn tree_of(items: &BTreeMap<Vec<u8>, u128>) -> Tree {
        let terms = Terms::new(&[7; 32]);
        let mut tree = Tree::default();
        for (key, digest) in items {
            tree.change(SHAPE, SHAPE.leaf(key), None, Some(terms.term(key, *digest)));
        }
        tree
    }

    fn leaves(tree: &Tree) -> Vec<u128> {
        let mut sums = vec![0; SHAPE.leaves()];
        tree.add_to(&mut sums);
        sums
    }

    fn histories() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
        proptest::collection::vec((0u8..40, proptest::option::of(0u8..4)), 0..80)
    }

    proptest! {
        /// However the items came to be as they are.
        #[test]
        fn a_tree_that_was_kept_up_to_date_equals_one_that_was_computed(history in histories()) {
            let terms = Terms::new(&[7; 32]);
            let mut items = BTreeMap::new();
            let mut tree = Tree::default();
            for (key, digest) in history {
                let (key, digest) = (vec![key], digest.map(u128::from));
                let before = items.get(&key).map(|digest| terms.term(&key, *digest));
                let after = digest.map(|digest| terms.term(&key, digest));
                tree.change(SHAPE, SHAPE.leaf(&key), before, after);
                match digest {
                    Some(digest) => items.insert(key, digest),
                    None => items.remove(&key),
                };
            }
            let computed = tree_of(&items);
            prop_assert_eq!(leaves(&tree), leaves(&computed));
            prop_assert_eq!(tree.root(), computed.root());
            prop_assert_eq!(tree.items(), items.len() as u64);
            let decoded = Tree::decode(SHAPE, &tree.encode(SHAPE)).expect("its own bytes");
            prop_assert_eq!(leaves(&decoded), leaves(&tree));
            prop_assert_eq!((decoded.root(), decoded.items()), (tree.root(), tree.items()));
        }

        #[test]
        fn the_way_down_leads_to_exactly_the_keys_that_differ(
            mine in histories(), theirs in histories(),
        ) {
            let state = |history: Vec<(u8, Option<u8>)>| -> BTreeMap<Vec<u8>, u128> {
                let last: BTreeMap<_, _> = history.into_iter().collect();
                last.into_iter().filter_map(|(k, d)| Some((vec![k], d?.into()))).collect()
            };
            let (mine, theirs) = (state(mine), state(theirs));
            let (a, b) = (leaves(&tree_of(&mine)), leaves(&tree_of(&theirs)));
            let keys: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
            let differ = keys.iter().filter(|key| mine.get(**key) != theirs.get(**key));
            let expected: BTreeSet<usize> = differ.map(|key| SHAPE.leaf(key)).collect();
            let found: BTreeSet<usize> = differing(&a, &b).into_iter().collect();
            prop_assert_eq!(&found, &expected);
            let in_branches: BTreeSet<usize> = expected.iter().map(|l| l / SHAPE.width()).collect();
            let branches = differing(&branches(SHAPE, &a), &branches(SHAPE, &b));
            prop_assert_eq!(branches.into_iter().collect::<BTreeSet<_>>(), in_branches);
            let leaves = Leaves::Some(found);
            if !expected.is_empty() {
                prop_assert_eq!(Leaves::from_bits(SHAPE, &leaves.to_bits()), Some(leaves));
            }
        }

        #[test]
        fn junk_is_no_tree_or_one_that_stands(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = bytes;
            if let [version, width, ..] = &mut bytes[..] {
                (*version, *width) = (VERSION, 4);
            }
            if let Some(tree) = Tree::decode(SHAPE, &bytes) {
                let sum = leaves(&tree).iter().fold(0u128, |sum, leaf| sum.wrapping_add(*leaf));
                // A leaf that is named twice is no tree of ours; its root is not the sum, and differs.
                prop_assert!(sum == tree.root() || tree.encode(SHAPE) != bytes);
            }
        }
    }

    #[test]
    fn no_more_leaves_are_named_than_there_are() {
        assert_eq!(Leaves::from_bits(SHAPE, &[]), Some(Leaves::All));
        assert_eq!(Leaves::from_bits(SHAPE, &[0, 128]), Some(Leaves::Some([15].into())));
        assert_eq!(Leaves::from_bits(SHAPE, &[0; 3]), None);
    }

    #[test]
    fn two_equal_terms_do_not_cancel() {
        let mut tree = Tree::default();
        tree.change(SHAPE, 3, None, Some(5));
        tree.change(SHAPE, 3, None, Some(5));
        assert_eq!((tree.root(), tree.items()), (10, 2));
    }

    #[test]
    fn the_more_partitions_the_smaller_a_tree() {
        let widths = [1, 16, 64, 256, 1024, 4096, 65_536].map(|q| Shape::of(q).width());
        assert_eq!(widths, [64, 64, 64, 32, 16, 8, 2]);
    }

    #[test]
    fn keys_spread_over_all_leaves() {
        let shape = Shape::of(1024);
        let mut counts = vec![0u32; shape.leaves()];
        for n in 0..shape.leaves() as u32 * 100 {
            counts[shape.leaf(&n.to_be_bytes())] += 1;
        }
        assert!(counts.iter().all(|n| (50..160).contains(n)), "{counts:?}");
    }

    #[test]
    fn another_secret_makes_other_terms() {
        let [a, b] = [[1; 32], [2; 32]].map(|secret| Terms::new(&secret).term(b"k", 9));
        assert_ne!(a, b);
        let terms = Terms::new(&[1; 32]);
        assert_ne!(terms.term(b"k", 9), terms.term(b"k", 10));
        assert_ne!(terms.term(b"k", 9), terms.term(b"l", 9));
    }
}
