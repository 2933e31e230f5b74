//! Gathering what is wrong, so that nothing has to stop at the first mistake.

use serde::Deserialize;

use crate::problem::{Complaint, Problem, Problems};

use super::tree::Node;

/// What was found in the files read so far.
#[derive(Debug, Default)]
pub struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    /// Notes a problem: the files cannot be used.
    pub fn add(&mut self, problem: Problem) {
        // One value may be looked at twice, by its own rule and by one across values.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Notes problems.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        problems.into_iter().for_each(|problem| self.add(problem));
    }

    /// Notes a warning: the files can be used, but probably not as intended.
    pub fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// The tree as a `T`, if nothing is wrong with it.
    pub fn read<'t, T: Deserialize<'t>>(&mut self, root: &'t Node) -> Option<T> {
        if !self.problems.is_empty() {
            return None;
        }
        let value = T::deserialize(root);
        let remedy = "report this: the schema allows what the reader does not take";
        value
            .map_err(|mismatch| {
                let complaint = Complaint::new(mismatch.to_string(), remedy);
                self.add(root.place.problem(String::new(), complaint));
            })
            .ok()
    }

    /// The value with its warnings, or every problem; both in the order of the files.
    ///
    /// # Errors
    /// All problems noted, if there are any.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        self.warnings.sort_by_key(in_order);
        self.problems.sort_by_key(in_order);
        match value {
            Some(value) if self.problems.is_empty() => Ok((value, self.warnings)),
            _ => Err(Problems(self.problems)),
        }
    }
}

fn in_order(problem: &Problem) -> impl Ord + use<> {
    (problem.file.clone(), problem.at)
}
