//! What a step's outputs will look like, from what is known of its inputs.

use super::{Plan, Source, StepId};
use crate::spec::Diagnostic;
use crate::stage::{Facts, InferContext, InputFacts, Outputs};

/// Looks up the facts of an output of a step: known from a record, inferred so far, or opaque.
pub type Lookup<'a> = dyn Fn(StepId, &str) -> Facts + 'a;

/// Checks a step against the facts of its inputs and infers those of its outputs.
///
/// # Errors
/// The mistake, with its place.
pub fn infer_step(plan: &Plan, id: StepId, known: &Lookup) -> Result<Outputs, Box<Diagnostic>> {
    let step = &plan.steps[id];
    step.kind.infer(&step.params, &context(plan, id, known)).map_err(|c| Box::new(plan.place(id, &c)))
}

/// What the kind of a step is told of its inputs and files.
pub fn context(plan: &Plan, id: StepId, known: &Lookup) -> InferContext {
    let step = &plan.steps[id];
    let mut context = InferContext::default();
    for (port, bindings) in &step.inputs {
        let facts = |from: &Source| match from {
            Source::Step(source, output) => known(*source, output),
            _ => Facts::Opaque,
        };
        let inputs =
            bindings.iter().map(|b| InputFacts { facts: facts(&b.from), axes: b.axes.clone() }).collect();
        context.inputs.insert(port.clone(), inputs);
    }
    for binding in step.files.iter().filter(|f| f.found.iter().all(|file| file.producer.is_none())) {
        let paths = binding.found.iter().map(|file| file.path.below(&plan.root)).collect();
        context.files.insert(binding.param.clone(), paths);
    }
    context
}
