//! Models with some of their weights in random order: a map that stays what it was does not depend on what
//! the model has learned (Adebayo et al. 2018, arXiv 1810.03292).

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::random::Random;
use crate::tensor::{floats, read_floats};

/// The weights of a model, from its input to its output: float32 constants of two axes or more, in the order
/// in which nodes read them.
///
/// # Errors
/// If the model has no graph.
pub fn weights(model: &Model) -> Result<Vec<String>> {
    let graph = model.graph()?;
    let tensors = graph.initializer.iter().filter(|t| t.data_type == Some(1) && t.dims.len() > 1);
    let mut left: HashSet<&str> = tensors.filter_map(|t| t.name.as_deref()).collect();
    let read = graph.node.iter().flat_map(crate::inner::reads);
    Ok(read.filter(|name| left.remove(name)).map(str::to_owned).collect())
}

/// The model with the values of these weights in random order, each with a stream of its own.
///
/// # Errors
/// If there is no such weight, or its values cannot be read.
pub fn shuffled(model: &Model, names: &[String], seed: u64) -> Result<Model> {
    let mut model = model.clone();
    let graph = model.0.graph.as_mut().ok_or_else(|| Error::new("the model has no graph"))?;
    for name in names {
        let place = graph.initializer.iter().position(|t| t.name.as_deref() == Some(name));
        let place = place.ok_or_else(|| Error::new(format!("the model has no constant `{name}`")))?;
        let tensor = &mut graph.initializer[place];
        let values = read_floats(tensor)?;
        let order = Random::new(seed ^ ((place as u64) << 32)).permutation(values.len());
        let values: Vec<f32> = order.into_iter().map(|from| values[from]).collect();
        *tensor = floats(name, &tensor.dims, &values);
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures::{Spec, build};

    #[test]
    fn only_the_named_weights_change_and_only_their_order() {
        let spec = Spec {
            input: vec![4],
            classes: 3,
            hidden: vec![8],
            activation: "Relu".into(),
            ..Spec::default()
        };
        let model = build("mlp", &spec, 0).unwrap();
        let names = weights(&model).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        let made = shuffled(&model, &names[1..], 3).unwrap();
        assert_eq!(made, shuffled(&model, &names[1..], 3).unwrap());
        let of = |model: &Model, name: &str| {
            let all = &model.graph().unwrap().initializer;
            read_floats(all.iter().find(|t| t.name.as_deref() == Some(name)).unwrap()).unwrap()
        };
        assert_eq!(of(&model, &names[0]), of(&made, &names[0]));
        let (mut before, mut after) = (of(&model, &names[1]), of(&made, &names[1]));
        assert_ne!(before, after);
        before.sort_by(f32::total_cmp);
        after.sort_by(f32::total_cmp);
        assert_eq!(before, after);
        assert!(shuffled(&model, &["other".to_owned()], 3).unwrap_err().to_string().contains("`other`"));
    }
}
