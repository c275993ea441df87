//! Numbers that say how well predictions agree with targets.

use std::collections::HashMap;

use crate::stage::Failure;
use crate::table::Tensor;

/// Up to so many classes, the confusion lists pairs that never occur too.
const COMPLETE: usize = 1000;

/// Scores and how often which class was taken for which.
pub(super) struct Scores {
    /// Name, class (none for all together) and value.
    pub(super) metrics: Vec<(String, Option<String>, f64)>,
    /// Target, predicted, count.
    pub(super) confusion: Vec<(String, String, i64)>,
}

/// Classes by name, and the logits behind them.
pub(super) struct Answers {
    pub(super) target: Vec<String>,
    pub(super) prediction: Option<Vec<String>>,
    pub(super) logits: Option<Tensor<f32>>,
    /// True if the names are whole numbers.
    pub(super) numbered: bool,
}

/// Scores of a classification.
pub(super) fn classes(answers: &Answers) -> Result<Scores, Failure> {
    let target = &answers.target;
    let argmax: Vec<String>;
    let prediction = match (&answers.prediction, &answers.logits) {
        (Some(prediction), _) => prediction,
        (None, Some(logits)) => {
            let rows = logits.values.chunks_exact(logits.row_size().max(1));
            argmax = rows.map(|row| super::argmax(row).to_string()).collect();
            &argmax
        }
        (None, None) => return Err(Failure::new("there are neither predictions nor logits")),
    };
    let width = answers.logits.as_ref().map_or(0, Tensor::row_size);
    let names = names(target, prediction, width, answers.numbered);
    let index: HashMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (n.as_str(), i)).collect();
    let mut pairs: HashMap<(usize, usize), i64> = HashMap::new();
    let (mut truth, mut guess) = (vec![0_i64; names.len()], vec![0_i64; names.len()]);
    for (t, p) in target.iter().zip(prediction) {
        let (t, p) = (index[t.as_str()], index[p.as_str()]);
        *pairs.entry((t, p)).or_default() += 1;
        truth[t] += 1;
        guess[p] += 1;
    }
    let hit = |class: usize| pairs.get(&(class, class)).copied().unwrap_or(0);
    let hits: i64 = (0..names.len()).map(hit).sum();
    let mut metrics = vec![
        ("rows".to_owned(), None, target.len() as f64),
        ("accuracy".to_owned(), None, hits as f64 / target.len() as f64),
    ];
    if let Some(logits) = &answers.logits {
        metrics.push(("loss".to_owned(), None, cross_entropy(target, logits)?));
    }
    let mut each = Vec::new();
    let mut f1s = Vec::new();
    for (class, name) in names.iter().enumerate() {
        let mut add = |metric: &str, above: f64, below: i64| {
            if below > 0 {
                each.push((metric.to_owned(), Some(name.clone()), above / below as f64));
            }
        };
        let hit = hit(class) as f64;
        add("precision", hit, guess[class]);
        add("recall", hit, truth[class]);
        add("f1", 2.0 * hit, guess[class] + truth[class]);
        if guess[class] + truth[class] > 0 {
            f1s.push(2.0 * hit / (guess[class] + truth[class]) as f64);
        }
        each.push(("support".to_owned(), Some(name.clone()), truth[class] as f64));
    }
    metrics.push(("f1".to_owned(), None, f1s.iter().sum::<f64>() / f1s.len() as f64));
    metrics.extend(each);
    Ok(Scores { metrics, confusion: confusion(&names, &pairs) })
}

/// All classes: those of the logits, and those that occur; numbers by size, text by alphabet.
fn names(target: &[String], prediction: &[String], width: usize, numbered: bool) -> Vec<String> {
    let mut names: Vec<String> = target.iter().chain(prediction).cloned().collect();
    if numbered {
        names.extend((0..width).map(|class| class.to_string()));
    }
    names.sort_by(|a, b| match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) if numbered => a.cmp(&b),
        _ => a.cmp(b),
    });
    names.dedup();
    names
}

fn confusion(names: &[String], pairs: &HashMap<(usize, usize), i64>) -> Vec<(String, String, i64)> {
    let row = |t: usize, p: usize, count: i64| (names[t].clone(), names[p].clone(), count);
    if names.len() <= COMPLETE {
        let all = (0..names.len()).flat_map(|t| (0..names.len()).map(move |p| (t, p)));
        return all.map(|(t, p)| row(t, p, pairs.get(&(t, p)).copied().unwrap_or(0))).collect();
    }
    let mut seen: Vec<(&(usize, usize), &i64)> = pairs.iter().collect();
    seen.sort();
    seen.into_iter().map(|((t, p), count)| row(*t, *p, *count)).collect()
}

/// Mean of -log softmax(logits)[target], in 64 bits and with the largest logit taken out first.
fn cross_entropy(target: &[String], logits: &Tensor<f32>) -> Result<f64, Failure> {
    let width = logits.row_size();
    let mut sum = 0.0;
    for (index, (name, row)) in target.iter().zip(logits.values.chunks_exact(width.max(1))).enumerate() {
        let class = name.parse::<usize>().ok().filter(|class| *class < width).ok_or_else(|| {
            Failure::new(format!("row {index} has the target {name}, the logits have {width} classes"))
                .hint("targets are class numbers from 0; recode them with table.sql")
        })?;
        let largest = row.iter().fold(f64::NEG_INFINITY, |m, v| m.max(f64::from(*v)));
        let total: f64 = row.iter().map(|v| (f64::from(*v) - largest).exp()).sum();
        sum += total.ln() + largest - f64::from(row[class]);
    }
    Ok(sum / target.len() as f64)
}

/// Scores of a regression, over all values of all rows.
pub(super) fn regression(target: &Tensor<f32>, prediction: &Tensor<f32>) -> Result<Scores, Failure> {
    if target.values.len() != prediction.values.len() {
        return Err(Failure::new(format!(
            "targets of shape {:?} and predictions of shape {:?} do not fit",
            target.row_shape, prediction.row_shape
        )));
    }
    let count = target.values.len() as f64;
    let values = || target.values.iter().map(|v| f64::from(*v));
    let gaps = || values().zip(&prediction.values).map(|(t, p)| t - f64::from(*p));
    let squared: f64 = gaps().map(|g| g * g).sum();
    let mean = values().sum::<f64>() / count;
    let spread: f64 = values().map(|v| (v - mean) * (v - mean)).sum();
    let mut metrics = vec![
        ("rows".to_owned(), None, target.rows() as f64),
        ("loss".to_owned(), None, squared / count),
        ("mae".to_owned(), None, gaps().map(f64::abs).sum::<f64>() / count),
    ];
    if spread > 0.0 {
        metrics.push(("r2".to_owned(), None, 1.0 - squared / spread));
    }
    Ok(Scores { metrics, confusion: Vec::new() })
}
