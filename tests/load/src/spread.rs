//! How evenly values lie between two bounds.

use serde::Serialize;

/// Values are evenly spread if their counts have at most this coefficient of variation. A hundred random values in each
/// slice have 0.1, twenty 0.22; what comes in step, or in half of the time only, has 1 and more.
const BOUND: f64 = 0.4;
/// Fewest values to expect in a slice: fewer vary more than the bound by chance.
const FEWEST: f64 = 15.0;
/// Longest bar, in characters.
const BAR: u32 = 40;

/// Values counted in slices of the same size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Spread {
    low: f64,
    high: f64,
    /// How many there are in each slice.
    counts: Vec<u32>,
    /// How many there would be in each if they were spread with a ruler.
    expected: f64,
    /// Coefficient of variation: standard deviation of the counts by their mean.
    variation: f64,
    /// The largest that is still even.
    bound: f64,
    /// Chi-square of the counts by its degrees of freedom; of random values it is about one.
    chi_square_per_degree: f64,
    even: bool,
}

impl Spread {
    /// Counts what lies between two bounds; a value outside is counted in the slice next to it.
    pub(crate) fn of(values: impl Iterator<Item = f64>, low: f64, high: f64, slices: u32) -> Self {
        let mut counts = vec![0_u32; slices as usize];
        for value in values {
            let slice = ((value - low) / (high - low) * f64::from(slices)).clamp(0.0, f64::from(slices - 1));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just clamped")]
            let slice = slice as usize;
            counts[slice] += 1;
        }
        let expected = f64::from(counts.iter().sum::<u32>()) / f64::from(slices);
        let squares: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2)).sum();
        let of_expected = |value: f64| if expected > 0.0 { value / expected } else { 0.0 };
        let variation = of_expected((squares / f64::from(slices)).sqrt());
        Self {
            low,
            high,
            counts,
            expected,
            variation,
            bound: BOUND,
            chi_square_per_degree: of_expected(squares) / f64::from(slices - 1),
            even: expected >= FEWEST && variation <= BOUND,
        }
    }

    /// True if the values are spread evenly, and are enough to say so.
    pub(crate) fn is_even(&self) -> bool {
        self.even
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { low, high, counts, expected, variation, chi_square_per_degree, bound, even } = self;
        let width = (high - low) / counts.len().max(1) as f64;
        let most = counts.iter().copied().max().unwrap_or(1).max(1);
        for (slice, count) in (0_u32..).zip(counts) {
            let bar = "#".repeat((count * BAR / most) as usize);
            writeln!(f, "  {:8.2} {count:6}  {bar}", low + width * f64::from(slice))?;
        }
        let verdict = if *even { "even" } else { "NOT even" };
        writeln!(
            f,
            "  {verdict}: {expected:.1} expected in each, {} to {most} seen; coefficient of variation {variation:.2} \
            (at most {bound}), chi-square by degree of freedom {chi_square_per_degree:.2}",
            counts.iter().min().unwrap_or(&0)
        )
    }
}
