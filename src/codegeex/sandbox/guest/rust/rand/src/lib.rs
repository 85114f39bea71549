//! Stands in for rand 0.4 where programs want random numbers. Not for secrets.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A type with numbers to draw, from a range or from all there are (floats: from 0 to 1).
pub trait Rand: PartialOrd + Sized {
    fn sample(low: Self, high: Self, bits: u64) -> Self;
    fn any(bits: u64) -> Self;
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Rand for $t {
            fn sample(low: Self, high: Self, bits: u64) -> Self {
                let width = (high as i128 - low as i128) as u128;
                (low as i128 + (bits as u128 % width) as i128) as $t
            }

            fn any(bits: u64) -> Self {
                bits as $t
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

macro_rules! floats {
    ($($t:ty),*) => {$(
        impl Rand for $t {
            fn sample(low: Self, high: Self, bits: u64) -> Self {
                low + (high - low) * Self::any(bits)
            }

            fn any(bits: u64) -> Self {
                (bits >> 40) as $t / (1u64 << 24) as $t
            }
        }
    )*};
}
floats!(f32, f64);

impl Rand for bool {
    fn sample(low: Self, _: Self, _: u64) -> Self {
        low
    }

    fn any(bits: u64) -> Self {
        bits >> 63 == 1
    }
}

/// A source of random numbers.
pub trait Rng {
    fn next_u64(&mut self) -> u64;

    /// A value out of all there are.
    fn gen<T: Rand>(&mut self) -> T {
        T::any(self.next_u64())
    }

    /// A number from low (inclusive) to high (exclusive).
    fn gen_range<T: Rand>(&mut self, low: T, high: T) -> T {
        assert!(low < high, "Rng.gen_range called with low >= high");
        T::sample(low, high, self.next_u64())
    }
}

/// The generator of a thread.
pub struct ThreadRng {
    state: Cell<u64>,
}

/// A generator with a random seed.
pub fn thread_rng() -> ThreadRng {
    ThreadRng { state: Cell::new(RandomState::new().build_hasher().finish()) }
}

/// A value out of all there are, from the thread's generator.
pub fn random<T: Rand>() -> T {
    thread_rng().gen()
}

impl Rng for ThreadRng {
    // SplitMix64 (Steele, Lea and Flood, 2014).
    fn next_u64(&mut self) -> u64 {
        self.state.set(self.state.get().wrapping_add(0x9e3779b97f4a7c15));
        let mut z = self.state.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }
}
