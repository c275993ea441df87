//! Declared research pipelines.
