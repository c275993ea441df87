//! `Loop`.

use std::collections::HashMap;

use super::value::Value;
use super::{Call, Scope};
use crate::error::{Error, Result};
use crate::model::attribute;
use crate::tensor::DataType;

/// Runs the body while its count and its condition allow; what the body makes beyond the carried values
/// is stacked along a new first axis.
pub(super) fn repeat(call: &Call) -> Result<Vec<Value>> {
    let body = attribute(call.node, "body").and_then(|a| a.g.as_ref());
    let body = body.ok_or_else(|| Error::new("it has no body"))?;
    let name = |value: &crate::proto::ValueInfoProto| value.name.clone().unwrap_or_default();
    let names: Vec<String> = body.input.iter().map(name).collect();
    let results: Vec<String> = body.output.iter().map(name).collect();
    let steps = call.optional(0).map_or(Ok(f64::INFINITY), Value::only)?;
    let mut go_on = call.optional(1).map_or(Ok(1.0), Value::only)?;
    let mut carried: Vec<Value> =
        (2..call.inputs.len()).map(|i| call.x(i).cloned()).collect::<Result<_>>()?;
    let scans = results.len().saturating_sub(1 + carried.len());
    let mut stacks: Vec<Vec<Value>> = vec![Vec::new(); scans];
    let mut step = 0.0;
    while step < steps && go_on != 0.0 {
        let control =
            [Value::new(DataType::Int64, &[], vec![step])?, Value::new(DataType::Bool, &[], vec![go_on])?];
        let given = control.into_iter().chain(std::mem::take(&mut carried));
        let values: HashMap<String, Value> = names.iter().cloned().zip(given).collect();
        let mut scope = Scope { values, outer: Some(call.scope) };
        scope.walk(body)?;
        let mut made = Vec::with_capacity(results.len());
        for name in &results {
            let value = scope.find(name).cloned();
            made.push(value.ok_or_else(|| Error::new(format!("its body does not make `{name}`")))?);
        }
        let mut made = made.into_iter();
        go_on = made.next().ok_or_else(|| Error::new("its body has no condition"))?.only()?;
        carried = made.by_ref().take(call.inputs.len().saturating_sub(2)).collect();
        stacks.iter_mut().zip(made).for_each(|(stack, value)| stack.push(value));
        step += 1.0;
    }
    for stack in stacks {
        let first = stack.first().ok_or_else(|| Error::new("it ran no step"))?;
        let dims = [&[stack.len()], &first.dims[..]].concat();
        let ty = first.ty;
        carried.push(Value::new(ty, &dims, stack.into_iter().flat_map(|v| v.data).collect())?);
    }
    Ok(carried)
}
