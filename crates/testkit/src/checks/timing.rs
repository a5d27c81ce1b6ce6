//! Whether the time that a refusal takes tells what was wrong with a ciphertext.
//!
//! Welch's t-test on interleaved samples, as in Reparaz, Balasch and Verbauwhede, "Dude, is my code
//! constant time?" (2017): of each class the slowest tenth is left out, which is where the machine
//! speaks and not the code.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use fastrand::Rng;
use keystead_crypto::Key32;
use keystead_crypto::blob::{self, ParsedBlob};
use keystead_crypto::context::CanonicalContext;
use keystead_crypto::material::KeyMaterial;
use keystead_types::{KeyId, KeySpec};

use super::Outcome;

const PLAINTEXT: usize = 64;
/// Where a ciphertext has its commitment.
const COMMITMENT: usize = 60;
const COMMITMENT_LEN: usize = 32;
const TAG_LEN: usize = 16;

/// Arguments of `timing`.
#[derive(Debug, Args)]
pub struct Options {
    /// What all random choices follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Samples of each class.
    #[arg(long, default_value_t = 200_000)]
    samples: usize,
    /// The greatest |t| of two classes.
    #[arg(long, default_value_t = 4.5)]
    most: f64,
}

/// What is wrong with a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Commitment,
    Tag,
    Context,
}

const CLASSES: [Wrong; 3] = [Wrong::Commitment, Wrong::Tag, Wrong::Context];

/// Times refusals of the three kinds, in random order.
///
/// # Errors
/// A ciphertext could not be made, or was not refused.
pub fn run(options: &Options) -> Result<Outcome> {
    let mut rng = Rng::with_seed(options.seed);
    let subject = Subject::new()?;
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut order: Vec<usize> = (0..options.samples * CLASSES.len()).map(|at| at % 3).collect();
    rng.shuffle(&mut order);
    for _ in 0..1000 {
        subject.refuse(Wrong::Tag, &mut rng)?;
    }
    for class in order {
        times[class].push(subject.refuse(CLASSES[class], &mut rng)?);
    }
    let mut outcome = Outcome::default();
    let mut told = Vec::new();
    let samples = times.map(Sample::of);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let t = samples[one].welch(&samples[other]);
        let pair = format!("{:?}/{:?} {t:.2}", CLASSES[one], CLASSES[other]);
        outcome.require(t.abs() < options.most, || format!("|t| of {pair}: the time tells"));
        told.push(pair);
    }
    outcome.figures = format!(
        "refusals of {} ns to {} ns on average, {} of each class: t of {}",
        samples.iter().map(|sample| sample.mean).fold(f64::INFINITY, f64::min).round(),
        samples.iter().map(|sample| sample.mean).fold(0.0, f64::max).round(),
        options.samples,
        told.join(", "),
    );
    Ok(outcome)
}

/// A ciphertext and what opens it.
struct Subject {
    material: KeyMaterial,
    blob: Vec<u8>,
    right: CanonicalContext,
    wrong: CanonicalContext,
}

impl Subject {
    fn new() -> Result<Self> {
        let (material, key) =
            (KeyMaterial::Symmetric(Key32::generate()?), KeyId::new([7; 16], false));
        let context = |value: &str| {
            CanonicalContext::from_map(&BTreeMap::from([("name".to_owned(), value.to_owned())]))
        };
        let (right, wrong) = (context("right")?, context("wrong")?);
        let id = material.id(&key, KeySpec::SymmetricDefault)?;
        let blob = blob::encrypt(&material, &key, &id, &right, &[7; PLAINTEXT])?;
        Ok(Self { material, blob, right, wrong })
    }

    /// How long the refusal of a ciphertext took that is wrong in this way, in nanoseconds. All of
    /// them are made in the same way, so that caches and branches know as much of each.
    fn refuse(&self, wrong: Wrong, rng: &mut Rng) -> Result<f64> {
        let mut bytes = self.blob.clone();
        let commitment = COMMITMENT + rng.usize(..COMMITMENT_LEN);
        let tag = bytes.len() - 1 - rng.usize(..TAG_LEN);
        let flip = 1 << rng.u32(..8);
        bytes[commitment] ^= flip * u8::from(wrong == Wrong::Commitment);
        bytes[tag] ^= flip * u8::from(wrong == Wrong::Tag);
        let context = [&self.right, &self.wrong][usize::from(wrong == Wrong::Context)];
        let parsed = ParsedBlob::parse(&bytes)?;
        let began = Instant::now();
        let opened = black_box(blob::decrypt(&self.material, black_box(&parsed), context));
        let took = began.elapsed();
        ensure!(opened.is_err(), "a ciphertext with a wrong {wrong:?} was opened");
        Ok(took.as_nanos() as f64)
    }
}

/// What is left of a class's times.
struct Sample {
    mean: f64,
    variance: f64,
    count: f64,
}

impl Sample {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { mean, variance, count }
    }

    fn welch(&self, other: &Self) -> f64 {
        let error = (self.variance / self.count + other.variance / other.count).sqrt();
        (self.mean - other.mean) / error
    }
}
