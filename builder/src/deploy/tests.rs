//! Deployments on the simulated region.
