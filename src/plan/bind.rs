//! Which step a reference means.

use std::collections::HashMap;

use super::StepId;
use crate::spec::suggest::{did_you_mean, known};
use crate::spec::{Cells, Reference, Workflow, label};
use crate::stage::Axes;

/// Finds steps by stage and cell.
pub(super) struct Cellbook<'a> {
    workflow: &'a Workflow,
    stages: HashMap<&'a str, usize>,
    cells: HashMap<(usize, Vec<String>), StepId>,
    by_stage: Vec<Vec<StepId>>,
}

/// What a reference cannot be resolved for: message and hint.
pub(super) type Unbound = (String, Option<String>);

impl<'a> Cellbook<'a> {
    pub(super) fn new(workflow: &'a Workflow) -> Self {
        let stages = workflow.stages.iter().enumerate().map(|(i, s)| (s.name.name.as_str(), i)).collect();
        let mut cells = HashMap::with_capacity(workflow.cells.len());
        let mut by_stage = vec![Vec::new(); workflow.stages.len()];
        for (id, cell) in workflow.cells.iter().enumerate() {
            cells.insert((cell.stage, labels(&cell.axes)), id);
            by_stage[cell.stage].push(id);
        }
        Cellbook { workflow, stages, cells, by_stage }
    }

    /// The cells (with the axes that were gathered) that `reference` means, seen from a cell with `axes`.
    pub(super) fn resolve(&self, reference: &Reference, axes: &Axes) -> Result<Vec<(StepId, Axes)>, Unbound> {
        let Some(&stage) = self.stages.get(reference.stage.as_str()) else {
            let names = || self.stages.keys().copied();
            let hint = did_you_mean(&reference.stage, names()).unwrap_or_else(|| {
                let mut sorted: Vec<&str> = names().collect();
                sorted.sort_unstable();
                known(sorted)
            });
            return Err((format!("there is no stage `{}`", reference.stage), Some(hint)));
        };
        let declared = &self.workflow.stages[stage].axes;
        match &reference.cells {
            Cells::Same => self.same(stage, declared, axes, reference),
            Cells::All => Ok(self.by_stage[stage]
                .iter()
                .map(|&id| (id, self.workflow.cells[id].axes.clone()))
                .collect()),
            Cells::Where(chosen) => self.chosen(stage, declared, chosen, axes, reference),
        }
    }

    fn same(
        &self,
        stage: usize,
        declared: &[String],
        axes: &Axes,
        reference: &Reference,
    ) -> Result<Vec<(StepId, Axes)>, Unbound> {
        let mut wanted = Vec::with_capacity(declared.len());
        for axis in declared {
            match axes.iter().find(|(name, _)| name == axis) {
                Some((_, value)) => wanted.push(label(value)),
                None => {
                    let message = format!("`{reference}` has the axis `{axis}`, which this stage has not");
                    let hint = format!(
                        "gather all cells with `{0}[*]`, choose one with `{0}[{axis}=…]`, or give this stage `matrix: {0}`",
                        reference.stage
                    );
                    return Err((message, Some(hint)));
                }
            }
        }
        match self.cells.get(&(stage, wanted)) {
            Some(&id) => Ok(vec![(id, Axes::new())]),
            None => Err((format!("`{reference}` has no cell that agrees with this one"), None)),
        }
    }

    fn chosen(
        &self,
        stage: usize,
        declared: &[String],
        chosen: &[(String, Option<String>)],
        axes: &Axes,
        reference: &Reference,
    ) -> Result<Vec<(StepId, Axes)>, Unbound> {
        for (axis, _) in chosen {
            if !declared.contains(axis) {
                let hint = did_you_mean(axis, declared.iter().map(String::as_str)).or_else(|| {
                    Some(if declared.is_empty() {
                        "it has no matrix".to_owned()
                    } else {
                        known(declared.iter().map(String::as_str))
                    })
                });
                return Err((format!("the stage `{}` has no axis `{axis}`", reference.stage), hint));
            }
        }
        let fits = |id: &&StepId| {
            self.workflow.cells[**id].axes.iter().all(|(axis, value)| {
                match chosen.iter().find(|(name, _)| name == axis) {
                    Some((_, Some(wanted))) => label(value) == *wanted,
                    Some((_, None)) => true,
                    None => axes.iter().find(|(name, _)| name == axis).is_none_or(|(_, mine)| mine == value),
                }
            })
        };
        let gathered = |id: StepId| {
            let cell = &self.workflow.cells[id].axes;
            let free = |axis: &String| match chosen.iter().find(|(name, _)| name == axis) {
                Some((_, wanted)) => wanted.is_none(),
                None => !axes.iter().any(|(name, _)| name == axis),
            };
            cell.iter().filter(|(axis, _)| free(axis)).cloned().collect::<Axes>()
        };
        let found: Vec<(StepId, Axes)> =
            self.by_stage[stage].iter().filter(fits).map(|&id| (id, gathered(id))).collect();
        if found.is_empty() {
            let cells =
                self.by_stage[stage].iter().map(|&id| labels(&self.workflow.cells[id].axes).join(","));
            let shown: Vec<String> = cells.collect();
            return Err((
                format!("`{reference}` means no cell"),
                Some(known(shown.iter().map(String::as_str))),
            ));
        }
        Ok(found)
    }
}

fn labels(axes: &Axes) -> Vec<String> {
    axes.iter().map(|(_, value)| label(value)).collect()
}
