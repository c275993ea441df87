//! The stage kinds, one file each, grouped by family. A new kind is its file and a line in `KINDS`.

#[cfg(feature = "tables")]
mod artefacts;
#[cfg(feature = "tables")]
mod brain;
#[cfg(feature = "tables")]
mod chunks;
#[cfg(feature = "tables")]
mod columns;
mod command;
#[cfg(feature = "tables")]
mod design;
#[cfg(feature = "tables")]
mod dynamics;
#[cfg(feature = "tables")]
mod figure;
#[cfg(feature = "tables")]
mod ingest;
#[cfg(feature = "tables")]
mod interval;
#[cfg(feature = "models")]
mod lrp;
#[cfg(feature = "tables")]
pub mod model;
mod orphans;
mod own;
mod printed;
#[cfg(feature = "tables")]
mod table;
#[cfg(all(test, feature = "tables"))]
mod testing;
#[cfg(feature = "tables")]
mod words;

use crate::stage::Stage;

pub use own::{defined, with_own};

/// An analysis that cannot be done, as a failure.
#[cfg(feature = "tables")]
fn wrong(error: science::error::Error) -> crate::stage::Failure {
    crate::stage::Failure::new(error.0)
}

#[cfg(feature = "tables")]
impl From<science::error::Error> for crate::stage::Failure {
    fn from(error: science::error::Error) -> Self {
        wrong(error)
    }
}

/// Every built-in kind.
pub static KINDS: &[&dyn Stage] = &[
    #[cfg(feature = "tables")]
    &brain::ceiling::Ceiling,
    #[cfg(feature = "tables")]
    &brain::cka::Cka,
    #[cfg(feature = "tables")]
    &brain::curve::Curve,
    #[cfg(feature = "tables")]
    &brain::effect::Effect,
    #[cfg(feature = "tables")]
    &brain::encode::Encode,
    #[cfg(feature = "tables")]
    &brain::leaderboard::Leaderboard,
    #[cfg(feature = "tables")]
    &brain::rdm::Rdm,
    #[cfg(feature = "tables")]
    &brain::regress::Regress,
    #[cfg(feature = "tables")]
    &brain::rsa::Rsa,
    #[cfg(feature = "tables")]
    &brain::triplets::Triplets,
    &command::CommandKind,
    #[cfg(feature = "tables")]
    &design::r#loop::Loop,
    #[cfg(feature = "tables")]
    &design::recover::Recover,
    #[cfg(feature = "tables")]
    &design::select::Select,
    #[cfg(feature = "models")]
    &design::synthesize::Synthesize,
    #[cfg(feature = "tables")]
    &dynamics::fit::Fit,
    #[cfg(feature = "models")]
    &dynamics::hessian::Hessian,
    #[cfg(feature = "tables")]
    &dynamics::phase::Phase,
    #[cfg(feature = "models")]
    &dynamics::plane::Plane,
    #[cfg(feature = "tables")]
    &dynamics::regression::Regression,
    #[cfg(feature = "tables")]
    &dynamics::stationary::Stationary,
    #[cfg(feature = "tables")]
    &figure::Figure,
    #[cfg(feature = "tables")]
    &ingest::arrays::Arrays,
    #[cfg(feature = "tables")]
    &ingest::hdf5::IngestHdf5,
    #[cfg(feature = "tables")]
    &ingest::images::Images,
    #[cfg(feature = "models")]
    &ingest::model_file::IngestModel,
    #[cfg(feature = "tables")]
    &ingest::table::Table,
    #[cfg(feature = "models")]
    &lrp::attribute::Attribute,
    #[cfg(feature = "models")]
    &lrp::compare::Compare,
    #[cfg(feature = "models")]
    &lrp::mask::Mask,
    #[cfg(feature = "models")]
    &lrp::randomise::Randomise,
    #[cfg(feature = "models")]
    &lrp::regions::Regions,
    #[cfg(feature = "models")]
    &lrp::render::Render,
    #[cfg(feature = "models")]
    &lrp::transfer::Transfer,
    #[cfg(feature = "models")]
    &model::build::Build,
    #[cfg(feature = "tables")]
    &model::evaluate::Evaluate,
    #[cfg(feature = "models")]
    &model::head::Head,
    #[cfg(feature = "models")]
    &model::infer::Infer,
    #[cfg(feature = "models")]
    &model::train::Train,
    #[cfg(feature = "tables")]
    &table::sample::Sample,
    #[cfg(feature = "tables")]
    &table::split::Split,
    #[cfg(feature = "tables")]
    &table::sql::Sql,
];
