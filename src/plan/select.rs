//! Which steps a request means: by stage, by cell, by tag.

use super::{Plan, StepId};
use crate::spec::suggest::{self, known};
use crate::spec::{Cells, Diagnostic, Reference, label};

/// The steps meant by `targets` (`stage`, `stage[seed=0]`, `@tag`) in order; all of them if there are none.
///
/// # Errors
/// A target that means no step.
pub fn select(plan: &Plan, targets: &[String]) -> Result<Vec<StepId>, Diagnostic> {
    if targets.is_empty() {
        return Ok(plan.order.clone());
    }
    let mut wanted = vec![false; plan.steps.len()];
    for target in targets {
        let found = meant(plan, target)?;
        found.into_iter().for_each(|id| wanted[id] = true);
    }
    Ok(plan.order.iter().copied().filter(|id| wanted[*id]).collect())
}

/// Is it this stage, or one of those that it stands for?
fn is_of(name: &str, stage: &str) -> bool {
    name.strip_prefix(stage).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn meant(plan: &Plan, target: &str) -> Result<Vec<StepId>, Diagnostic> {
    let all = || 0..plan.steps.len();
    if let Some(tag) = target.strip_prefix('@') {
        let found: Vec<StepId> =
            all().filter(|id| plan.steps[*id].options.tags.iter().any(|t| t == tag)).collect();
        if found.is_empty() {
            return Err(Diagnostic::new(format!("no stage has the tag `{tag}`")));
        }
        return Ok(found);
    }
    let reference = Reference::parse(target).map_err(Diagnostic::new)?;
    let fits = |id: &StepId| {
        is_of(plan.stage_name(*id), &reference.stage)
            && match &reference.cells {
                Cells::Same | Cells::All => true,
                Cells::Where(chosen) => chosen.iter().all(|(axis, wanted)| {
                    let axes = &plan.steps[*id].axes;
                    axes.iter().any(|(name, value)| {
                        name == axis && wanted.as_ref().is_none_or(|w| *w == label(value))
                    })
                }),
            }
    };
    let found: Vec<StepId> = all().filter(fits).collect();
    if found.is_empty() {
        let stages = || plan.workflow.stages.iter().map(|s| s.name.name.as_str());
        let hint = if stages().any(|s| s == reference.stage) {
            known(
                all()
                    .filter(|id| plan.stage_name(*id) == reference.stage)
                    .map(|id| plan.steps[id].name.as_str()),
            )
        } else {
            suggest::hint(&reference.stage, stages())
        };
        return Err(Diagnostic::new(format!("the workflow has no step `{target}`")).hint(hint));
    }
    Ok(found)
}

/// `targets` and every step that they read, directly or not, in order.
pub fn ancestors(plan: &Plan, targets: &[StepId]) -> Vec<StepId> {
    let mut wanted = vec![false; plan.steps.len()];
    let mut stack = targets.to_vec();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut wanted[id], true) {
            stack.extend(&plan.steps[id].upstream);
        }
    }
    plan.order.iter().copied().filter(|id| wanted[*id]).collect()
}
