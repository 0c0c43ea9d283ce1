//! SHA-256 of many buffers at once, each in a lane of the processor's vector registers.
//!
//! One stream is bound by the chain of its 64 rounds a block, whatever the width of the registers; 8 or 16 independent streams
//! side by side take hardly longer than one. Where the processor has instructions for SHA-256 those are faster than
//! lanes, and where it has no AVX2 there is nothing to gain: there each buffer is hashed by itself.
//!
//! Here: who is hashed in which lane. The arithmetic is in `kernel`, what differs between processors in `avx2`
//! and `avx512`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod kernel;
mod streams;
#[cfg(test)]
mod tests;

use super::sha256::Sha256;
pub use streams::Sha256Stream;

const BLOCK: usize = 64;

/// What a block costs in a stream hashed by itself; see [`Lanes::cost`].
const ALONE: usize = 4;

/// The state that FIPS 180-4 starts with (section 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// What this processor can do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lanes {
    /// One buffer after the other.
    None,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Lanes {
    /// The widest that pays.
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if !is_x86_feature_detected!("sha") {
            return Self::available().last().copied().unwrap_or(Self::None);
        }
        Self::None
    }

    /// All that work on this processor, whether they pay or not; the widest last.
    fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there is only one"))]
        let mut all = vec![Self::None];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// How many lanes there are, and how long they take for a block each, in quarters of what one stream takes by itself.
    const fn cost(self) -> (usize, usize) {
        match self {
            Self::None => (1, ALONE),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => (8, 11),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => (16, 11),
        }
    }
}

/// The SHA-256 of each of `buffers`, in their order. Many short ones take a fraction of the time that hashing them one by one
/// does, on processors with AVX2 or AVX-512 and without instructions for SHA-256; nowhere does it take longer.
///
/// It works on the calling thread alone.
#[must_use]
pub fn sha256_many(buffers: &[&[u8]]) -> Vec<[u8; 32]> {
    many(Lanes::detect(), buffers)
}

fn many(lanes: Lanes, buffers: &[&[u8]]) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; buffers.len()];
    // The longest first, so that lanes end together.
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_unstable_by_key(|i| std::cmp::Reverse(buffers[*i].len()));
    let alone = by_themselves(lanes, &order, buffers);
    for i in order.drain(..alone) {
        let mut hasher = Sha256::new();
        hasher.update(buffers[i]);
        digests[i] = hasher.finish();
    }
    let jobs = order.into_iter().map(|i| (i, buffers[i]));
    match lanes {
        Lanes::None => {}
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx2 => Queue::new(jobs).run(
            // SAFETY: a value of `Lanes` names what the processor was seen to have.
            |s, b, n| unsafe { avx2::blocks(s, b, n) },
            &mut digests,
        ),
        #[cfg(target_arch = "x86_64")]
        Lanes::Avx512 => Queue::new(jobs).run(
            // SAFETY: as above.
            |s, b, n| unsafe { avx512::blocks(s, b, n) },
            &mut digests,
        ),
    }
    digests
}

/// How many of the longest buffers are better hashed by themselves, because the others would not fill the lanes beside them.
fn by_themselves(lanes: Lanes, order: &[usize], buffers: &[&[u8]]) -> usize {
    let blocks = |i: &usize| buffers[*i].len() / BLOCK + 1;
    let (width, cost) = lanes.cost();
    if width == 1 {
        return order.len();
    }
    let mut rest: usize = order.iter().map(blocks).sum();
    let mut alone = 0;
    let mut best = (usize::MAX, 0);
    for n in 0..=order.len() {
        let longest = order.get(n).map_or(0, blocks);
        let time = longest.max(rest.div_ceil(width)) * cost + alone * ALONE;
        best = best.min((time, n));
        alone += longest;
        rest -= longest;
    }
    best.1
}

/// The end of a message: its last bytes, the bit that ends it, its length. One block or two.
struct Tail {
    bytes: [u8; 2 * BLOCK],
    len: usize,
}

impl Tail {
    /// Of a message of `len` bytes that ends with `data`, which begins with a block.
    fn new(data: &[u8], len: u64) -> Self {
        let rest = &data[data.len() / BLOCK * BLOCK..];
        let mut bytes = [0; 2 * BLOCK];
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        let end = if rest.len() < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
        bytes[end - 8..end].copy_from_slice(&(len * 8).to_be_bytes());
        Self { bytes, len: end }
    }
}

/// What a lane works on.
struct Lane<'a> {
    job: usize,
    /// The whole blocks of the message that are left.
    data: &'a [u8],
    tail: Tail,
    /// How much of the tail is done; it comes after the data.
    tail_done: usize,
}

impl Lane<'_> {
    /// What is to be hashed next, without a break.
    fn next(&self) -> &[u8] {
        if self.data.is_empty() {
            &self.tail.bytes[self.tail_done..self.tail.len]
        } else {
            self.data
        }
    }

    /// `bytes` of [`Lane::next`] are done. Whether the message is.
    fn advance(&mut self, bytes: usize) -> bool {
        if self.data.is_empty() {
            self.tail_done += bytes;
        } else {
            self.data = &self.data[bytes..];
        }
        self.data.is_empty() && self.tail_done == self.tail.len
    }
}

/// The states of `N` streams, word by word.
type State<const N: usize> = [[u32; N]; 8];

/// The messages that wait for a lane, and those in one.
struct Queue<'a, const N: usize, I> {
    jobs: I,
    lanes: [Option<Lane<'a>>; N],
    state: State<N>,
}

impl<'a, const N: usize, I: Iterator<Item = (usize, &'a [u8])>> Queue<'a, N, I> {
    fn new(jobs: I) -> Self {
        Self { jobs, lanes: [const { None }; N], state: [[0; N]; 8] }
    }

    /// Gives a lane the next message.
    fn fill(&mut self, lane: usize) {
        self.lanes[lane] = self.jobs.next().map(|(job, data)| {
            for (words, start) in self.state.iter_mut().zip(START) {
                words[lane] = start;
            }
            let whole = data.len() / BLOCK * BLOCK;
            Lane {
                job,
                data: &data[..whole],
                tail: Tail::new(data, data.len() as u64),
                tail_done: 0,
            }
        });
    }

    /// Hashes all. `blocks` takes that many blocks of each lane into its state.
    fn run(mut self, blocks: impl Fn(&mut State<N>, &[&[u8]; N], usize), digests: &mut [[u8; 32]]) {
        for lane in 0..N {
            self.fill(lane);
        }
        // While there is a message: a lane without one does again what another does, for nothing.
        while let Some(any) = self.lanes.iter().flatten().next() {
            let inputs = std::array::from_fn(|l| self.lanes[l].as_ref().unwrap_or(any).next());
            let n = inputs.iter().map(|input: &&[u8]| input.len() / BLOCK).min().unwrap_or(0);
            blocks(&mut self.state, &inputs, n);
            for lane in 0..N {
                let Some(done) = &mut self.lanes[lane] else { continue };
                if done.advance(n * BLOCK) {
                    let digest = &mut digests[done.job];
                    for (bytes, words) in digest.as_chunks_mut().0.iter_mut().zip(&self.state) {
                        *bytes = words[lane].to_be_bytes();
                    }
                    self.fill(lane);
                }
            }
        }
    }
}
