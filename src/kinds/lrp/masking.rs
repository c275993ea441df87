//! Masked images and what models answer of them.

use schemars::JsonSchema;
use science::maps::fill::Filler;
use science::maps::order::{self, count, ranking};
use serde::{Deserialize, Serialize};

use super::images::Images;
use super::scorer::{Answer, Scorer};
use crate::kinds::table::draw::bits;
use crate::stage::{Complaint, Failure};
use crate::table::Frame;

/// Image values of one call into the runtime, about.
const VALUES_A_CALL: usize = 1 << 21;
/// Images of one call at most.
const IMAGES_A_CALL: usize = 256;

/// Which pixels are masked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The most relevant.
    Most,
    /// The least relevant.
    Least,
    /// Any: a shuffle.
    Random,
}

impl Order {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Order::Most => "most",
            Order::Least => "least",
            Order::Random => "random",
        }
    }
}

/// What stands in place of masked pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", untagged)]
pub enum Fill {
    /// zero; mean: each channel's mean over the image; dataset_mean: its mean over all images; noise:
    /// Gaussian noise with its mean and deviation over all images.
    Named(NamedFill),
    /// One value.
    Value {
        /// Which.
        value: f32,
    },
    /// The image blurred by a Gaussian.
    Blur {
        /// Its standard deviation in pixels.
        blur: f32,
    },
}

/// A fill without numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum NamedFill {
    Zero,
    Mean,
    DatasetMean,
    Noise,
}

/// What is masked, in which order, with what.
pub struct Masking<'a> {
    pub orders: &'a [Order],
    pub fractions: &'a [f64],
    pub fill: Fill,
    pub draws: usize,
    pub seed: u64,
}

/// One masked image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// The image's row.
    pub row: usize,
    /// Which of the orders.
    pub order: usize,
    /// Which of the random draws.
    pub draw: usize,
    /// Which of the fractions.
    pub fraction: usize,
}

impl Masking<'_> {
    /// Refuses what has no meaning.
    pub fn check(&self) -> Result<(), Complaint> {
        if self.fractions.is_empty() || !self.fractions.iter().all(|f| (0.0..=1.0).contains(f)) {
            return Err(Complaint::param("fractions", "the fractions must be numbers from 0 to 1"));
        }
        if !self.fractions.is_sorted() {
            return Err(Complaint::param("fractions", "the fractions must rise"));
        }
        let repeated = (1..self.orders.len()).any(|i| self.orders[..i].contains(&self.orders[i]));
        if self.orders.is_empty() || repeated {
            return Err(Complaint::param("orders", "name each order once: `orders: [most, least, random]`"));
        }
        if self.draws == 0 || self.draws > 10_000 {
            return Err(Complaint::param("draws", "there must be 1 to 10000 random draws"));
        }
        match self.fill {
            Fill::Blur { blur } if !(blur > 0.0 && blur <= 1000.0) => {
                Err(Complaint::param("fill", "the blur must be more than 0 and at most 1000 pixels"))
            }
            Fill::Value { value } if !value.is_finite() => {
                Err(Complaint::param("fill", "the value must be a number"))
            }
            _ => Ok(()),
        }
    }

    /// Every masked image, those of one image and order together, with rising fractions.
    pub fn cases(&self, rows: usize) -> Vec<Case> {
        let draws = |order: &Order| if *order == Order::Random { self.draws } else { 1 };
        let mut cases = Vec::new();
        for row in 0..rows {
            for (order, name) in self.orders.iter().enumerate() {
                for draw in 0..draws(name) {
                    cases.extend((0..self.fractions.len()).map(|fraction| Case {
                        row,
                        order,
                        draw,
                        fraction,
                    }));
                }
            }
        }
        cases
    }

    /// The answers of every model to every case: `planes` rank the pixels of `images`, `classes` are true.
    ///
    /// # Errors
    /// If a model fails, or `tell` (images done, all) says to stop.
    pub fn answers(
        &self,
        images: &Images,
        planes: &[Vec<f32>],
        classes: &[i64],
        models: &mut [Scorer],
        tell: &mut dyn FnMut(usize, usize) -> Result<(), Failure>,
    ) -> Result<Vec<Vec<Answer>>, Failure> {
        let layout = images.layout;
        let filler = Filler::new(self.fill(), layout, &images.tensor.values);
        let cases = self.cases(planes.len());
        let batch = (VALUES_A_CALL / layout.values()).clamp(1, IMAGES_A_CALL);
        let mut answers = vec![Vec::with_capacity(cases.len()); models.len()];
        let mut masked = Masked::default();
        let maps = Maps { images, planes, filler: &filler };
        for (index, chunk) in cases.chunks(batch).enumerate() {
            let mut values = Vec::with_capacity(chunk.len() * layout.values());
            for case in chunk {
                if case.fraction == 0 {
                    masked = self.whole(case, &maps, masked);
                }
                let wanted = count(layout.pixels(), self.fractions[case.fraction]);
                masked.advance(wanted, layout);
                values.extend_from_slice(&masked.image);
            }
            let truth: Vec<i64> = chunk.iter().map(|case| classes[case.row]).collect();
            for (model, answers) in models.iter_mut().zip(&mut answers) {
                answers.extend(model.answers(values.clone(), &truth)?);
            }
            tell((index * batch + chunk.len()).min(cases.len()), cases.len())?;
        }
        Ok(answers)
    }

    /// Every image with the last of the fractions masked, in the first of the orders.
    pub fn images(&self, images: &Images, planes: &[Vec<f32>]) -> Vec<f32> {
        let (layout, last) = (images.layout, self.fractions.len() - 1);
        let filler = Filler::new(self.fill(), layout, &images.tensor.values);
        let maps = Maps { images, planes, filler: &filler };
        let mut values = Vec::with_capacity(images.tensor.values.len());
        for row in 0..planes.len() {
            let case = Case { row, order: 0, draw: 0, fraction: last };
            let mut masked = self.whole(&case, &maps, Masked::default());
            masked.advance(count(layout.pixels(), self.fractions[last]), layout);
            values.extend(masked.image);
        }
        values
    }

    /// The image of a case before anything is masked; `before` may hold its fill.
    fn whole(&self, case: &Case, maps: &Maps, before: Masked) -> Masked {
        let (id, image) = (&maps.images.ids[case.row], maps.images.of(case.row));
        let pixels = ranking(&maps.planes[case.row], self.order(case, id));
        let fill = if before.row == Some(case.row) {
            before.fill
        } else {
            maps.filler.of(image, bits(self.seed, "fill", id.as_bytes()))
        };
        Masked { row: Some(case.row), image: image.to_vec(), fill, pixels, done: 0 }
    }

    fn fill(&self) -> science::maps::fill::Fill {
        use science::maps::fill::Fill as Pixels;
        match self.fill {
            Fill::Named(NamedFill::Zero) => Pixels::Value(0.0),
            Fill::Named(NamedFill::Mean) => Pixels::Mean,
            Fill::Named(NamedFill::DatasetMean) => Pixels::DatasetMean,
            Fill::Named(NamedFill::Noise) => Pixels::Noise(self.seed),
            Fill::Value { value } => Pixels::Value(value),
            Fill::Blur { blur } => Pixels::Blur(blur),
        }
    }

    /// A random order depends on the seed, the draw and the image's id alone.
    fn order(&self, case: &Case, id: &str) -> order::Order {
        match self.orders[case.order] {
            Order::Most => order::Order::Most,
            Order::Least => order::Order::Least,
            Order::Random => {
                order::Order::Random(bits(self.seed, &format!("mask {}", case.draw), id.as_bytes()))
            }
        }
    }

    /// A table with one row a case.
    pub fn table(&self, ids: &Frame, classes: &[i64], answers: &[Answer]) -> Result<Frame, Failure> {
        let cases = self.cases(classes.len());
        let rows: Vec<usize> = cases.iter().map(|c| c.row).collect();
        let mut frame = Frame::new();
        frame.push_column_of(&ids.take(&rows)?, "id")?;
        let names: Vec<&str> = cases.iter().map(|c| self.orders[c.order].name()).collect();
        frame.push_strings("order", &names)?;
        frame.push_i64s("draw", cases.iter().map(|c| c.draw as i64).collect())?;
        frame.push_f64s("fraction", cases.iter().map(|c| self.fractions[c.fraction]).collect())?;
        let truth: Vec<i64> = rows.iter().map(|row| classes[*row]).collect();
        frame.push_i64s("prediction", answers.iter().map(|a| a.prediction).collect())?;
        let correct = answers.iter().zip(&truth).map(|(a, class)| i64::from(a.prediction == *class));
        frame.push_i64s("correct", correct.collect())?;
        frame.push_f64s("logit", answers.iter().map(|a| a.logit).collect())?;
        frame.push_f64s("probability", answers.iter().map(|a| a.probability).collect())?;
        frame.push_i64s("target", truth)?;
        Ok(frame)
    }
}

/// Images, what ranks their pixels, and what stands in place of these.
struct Maps<'a> {
    images: &'a Images,
    planes: &'a [Vec<f32>],
    filler: &'a Filler,
}

/// An image on its way from whole to masked.
#[derive(Default)]
struct Masked {
    row: Option<usize>,
    image: Vec<f32>,
    fill: Vec<f32>,
    pixels: Vec<u32>,
    done: usize,
}

impl Masked {
    /// Masks the first `wanted` pixels.
    fn advance(&mut self, wanted: usize, layout: science::maps::Layout) {
        for pixel in self.pixels.get(self.done..wanted).unwrap_or_default() {
            for channel in 0..layout.channels {
                let at = layout.at(channel, *pixel as usize);
                self.image[at] = self.fill[at];
            }
        }
        self.done = self.done.max(wanted);
    }
}

/// What is measured of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Was the class right?
    Accuracy,
    /// The true class's logit.
    Logit,
    /// The true class's probability.
    Probability,
}

impl Measure {
    /// All of them.
    pub const ALL: [Measure; 3] = [Measure::Accuracy, Measure::Logit, Measure::Probability];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Accuracy => "accuracy",
            Measure::Logit => "logit",
            Measure::Probability => "probability",
        }
    }

    /// The number.
    pub fn of(self, answer: &Answer, class: i64) -> f64 {
        match self {
            Measure::Accuracy => f64::from(u8::from(answer.prediction == class)),
            Measure::Logit => answer.logit,
            Measure::Probability => answer.probability,
        }
    }
}

/// For one order and measure the values [image][fraction], random draws averaged.
pub fn curves(
    masking: &Masking,
    order: usize,
    measure: Measure,
    classes: &[i64],
    answers: &[Answer],
) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; masking.fractions.len()]; classes.len()];
    let draws = if masking.orders[order] == Order::Random { masking.draws } else { 1 };
    for (case, answer) in masking.cases(classes.len()).iter().zip(answers).filter(|(c, _)| c.order == order) {
        sums[case.row][case.fraction] += measure.of(answer, classes[case.row]) / draws as f64;
    }
    sums
}

/// The area under each image's curve ÷ the range of fractions, by trapezoids; with one fraction its value.
pub fn areas(fractions: &[f64], curves: &[Vec<f64>]) -> Vec<f64> {
    let range = fractions.last().zip(fractions.first()).map_or(0.0, |(l, f)| l - f);
    let area = |curve: &Vec<f64>| {
        let strips = fractions.windows(2).zip(curve.windows(2));
        let sum: f64 = strips.map(|(f, v)| (f[1] - f[0]) * (v[0] + v[1]) / 2.0).sum();
        if range > 0.0 { sum / range } else { curve.first().copied().unwrap_or(f64::NAN) }
    };
    curves.iter().map(area).collect()
}
