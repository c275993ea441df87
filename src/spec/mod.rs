//! The workflow file: YAML with places, parameters, matrix. The only module that reads YAML.

mod diagnostic;
mod fields;
mod input;
mod load;
mod matrix;
mod node;
mod options;
mod parsed;
mod reference;
mod scalar;
mod schema;
pub mod suggest;
mod template;
mod tree;
mod workflow;
mod yaml;

pub use diagnostic::{Diagnostic, Source, place, render};
pub use input::{Input, InputSource};
pub use load::{Invalid, load};
pub use matrix::{cell_name, label};
pub use node::{Key, Node, Span, Yaml};
pub use options::StageOptions;
pub use reference::{Cells, Reference, is_name};
pub use schema::skeleton;
pub use template::Scope;
pub use workflow::{Cell, Overrides, StageDecl, Workflow, fragment};
pub use yaml::{MAX_BYTES, parse};
