//! What an image promises the agent and the agent promises the image.
//!
//! Types and constants only: no file is read here and nothing is run.

pub mod document;
pub mod gateway;
pub mod image;
pub mod partitions;
pub mod paths;
pub mod problem;
pub mod seed;
pub mod size;
