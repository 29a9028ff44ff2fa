//! Taking figures of several contenders in turn, and printing them.
//!
//! Every contender of a bench is measured once a round, so that whatever else the machine does
//! disturbs all of them alike. A contender's figure is its smallest sample: noise only ever adds.

use crate::targets;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Contender {
    /// Trampette.
    Ours,
    /// The peer as it comes.
    PeerDefault,
    /// The peer without concurrency, with a pooling allocator.
    PeerTuned,
    /// The same with inlining across functions.
    PeerInlined,
}

impl Contender {
    /// Those that are the peer.
    pub const PEERS: [Contender; 3] = [
        Contender::PeerDefault,
        Contender::PeerTuned,
        Contender::PeerInlined,
    ];

    /// All.
    pub const ALL: [Contender; 4] = [
        Contender::Ours,
        Contender::PeerDefault,
        Contender::PeerTuned,
        Contender::PeerInlined,
    ];

    /// Its name on command lines of child processes.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::PeerDefault => "peer-default",
            Contender::PeerTuned => "peer-tuned",
            Contender::PeerInlined => "peer-inlined",
        }
    }

    /// The contender of that name.
    pub fn named(name: &str) -> Option<Contender> {
        Contender::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// Runs something a number of times and says how long that took.
pub type Sample = Box<dyn FnMut(u64) -> Result<Duration>>;

/// A sample of `once`.
pub fn repeated(mut once: impl FnMut() -> Result<()> + 'static) -> Sample {
    Box::new(move |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            once()?;
        }
        Ok(start.elapsed())
    })
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each contender.
    pub rounds: u32,
    /// Length of a sample.
    pub sample: Duration,
    /// Whether what takes long is left out.
    pub quick: bool,
}

impl Effort {
    /// For trying things.
    pub const QUICK: Effort = Effort {
        rounds: 9,
        sample: Duration::from_millis(2),
        quick: true,
    };

    /// For figures to keep.
    pub const FULL: Effort = Effort {
        rounds: 30,
        sample: Duration::from_millis(5),
        quick: false,
    };
}

/// The figures of one bench, by contender, in the unit of the bench.
pub type Figures = BTreeMap<Contender, f64>;

/// Measures contenders in turn: seconds for one iteration of each.
pub fn in_turn(mut contenders: Vec<(Contender, Sample)>, effort: Effort) -> Result<Figures> {
    let mut iterations = Vec::new();
    for (contender, sample) in &mut contenders {
        let count =
            calibrate(sample, effort.sample).with_context(|| contender.name().to_string())?;
        iterations.push(count);
    }
    let mut figures = Figures::new();
    for _ in 0..effort.rounds {
        for ((contender, sample), count) in contenders.iter_mut().zip(&iterations) {
            let time = sample(*count)?.as_secs_f64() / *count as f64;
            let figure = figures.entry(*contender).or_insert(f64::INFINITY);
            *figure = figure.min(time);
        }
    }
    Ok(figures)
}

/// The number of iterations that take about `length`, or fewer where what a sample does beside the
/// measured part takes much longer.
fn calibrate(sample: &mut Sample, length: Duration) -> Result<u64> {
    let mut count = 1u64;
    loop {
        let start = Instant::now();
        // The shortest of a few: one that was interrupted would give too small a number.
        let mut time = sample(count)?;
        for _ in 0..3 {
            if time * 4 < length {
                break;
            }
            time = time.min(sample(count)?);
        }
        let enough = time * 4 >= length || count >= 1 << 30;
        if enough {
            let fits = length.as_secs_f64() / time.as_secs_f64().max(1e-9) * count as f64;
            return Ok((fits as u64).clamp(1, 1 << 30));
        }
        if start.elapsed() >= length * 4 {
            return Ok(count);
        }
        count *= 4;
    }
}

/// One line of the result.
#[derive(Clone, Debug)]
pub struct Row {
    /// The bench's name.
    pub bench: String,
    /// What the figures count.
    pub unit: String,
    /// By contender.
    pub figures: Figures,
}

impl Row {
    /// A row for seconds, in the unit of the bench's target, or nanoseconds.
    pub fn of_seconds(bench: &str, mut figures: Figures) -> Row {
        let unit = targets::find(bench).map_or("ns", |target| target.unit);
        let scale = match unit {
            "ns" => 1e9,
            "us" => 1e6,
            _ => 1.0,
        };
        for figure in figures.values_mut() {
            *figure *= scale;
        }
        Row {
            bench: bench.to_string(),
            unit: unit.to_string(),
            figures,
        }
    }

    fn ours(&self) -> Option<f64> {
        self.figures.get(&Contender::Ours).copied()
    }

    fn default(&self) -> Option<f64> {
        self.figures.get(&Contender::PeerDefault).copied()
    }

    /// The better of the tuned configurations; the default one if only that was measured.
    fn best(&self) -> Option<f64> {
        let tuned = [Contender::PeerTuned, Contender::PeerInlined];
        let tuned = tuned.iter().filter_map(|c| self.figures.get(c).copied());
        tuned.reduce(f64::min).or(self.default())
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.ours()? / self.best()?)
    }

    fn target(&self) -> Option<f64> {
        targets::find(&self.bench).map(targets::Target::ratio)
    }

    fn met(&self) -> Option<bool> {
        Some(self.ratio()? <= self.target()?)
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::json!({
            "bench": self.bench,
            "unit": self.unit,
            "ours": self.ours(),
            "peer_default": self.default(),
            "peer_best": self.best(),
            "ratio": self.ratio(),
            "target_ratio": self.target(),
            "met": self.met(),
        })
        .to_string()
    }

    /// The heading of a table.
    pub fn heading() -> String {
        format!(
            "{:<30} {:>8} {:>11} {:>11} {:>11} {:>8} {:>8}  met",
            "bench", "unit", "ours", "default", "best", "ratio", "target"
        )
    }

    /// One line of a table.
    pub fn line(&self) -> String {
        format!(
            "{:<30} {:>8} {:>11} {:>11} {:>11} {:>8} {:>8}  {}",
            self.bench,
            self.unit,
            number(self.ours()),
            number(self.default()),
            number(self.best()),
            number(self.ratio()),
            number(self.target()),
            match self.met() {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            }
        )
    }
}

/// Three significant digits or so.
fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_string(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) if value.abs() >= 1.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
    }
}
