//! What goes first: the step with the longest time of work behind it, as far as it can be guessed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::history::History;
use crate::plan::{Plan, Step};

/// What a build is taken to last that was never seen, in milliseconds.
const UNKNOWN_BUILD: u64 = 10_000;
/// What every step lasts at the least, so that of two chains of nothing the longer is the longer.
const LEAST: u64 = 1;
/// What it takes to begin a download, in milliseconds, and how many bytes come in one.
const DOWNLOAD: u64 = 50;
const BYTES_A_MILLISECOND: u64 = 10_000;

/// How long builds may take that are still to be done.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// In milliseconds; `None` where nobody knows.
    each: HashMap<Step, Option<u64>>,
    sum: u64,
    unknown: usize,
}

impl Times {
    pub fn insert(&mut self, step: &Step, time: Option<Duration>) {
        self.remove(step);
        // more than a year is as good as for ever, and no sum of them overflows
        let most = Duration::from_secs(365 * 24 * 3600);
        let millis = time.map(|time| u64::try_from(time.min(most).as_millis()).unwrap_or(0));
        match millis {
            Some(millis) => self.sum += millis,
            None => self.unknown += 1,
        }
        self.each.insert(step.clone(), millis);
    }

    pub fn remove(&mut self, step: &Step) {
        match self.each.remove(step) {
            Some(Some(millis)) => self.sum -= millis,
            Some(None) => self.unknown -= 1,
            None => {}
        }
    }

    /// How long one may take, in milliseconds; 0 if nobody knows, or it is done.
    pub fn of(&self, step: &Step) -> u64 {
        self.each.get(step).copied().flatten().unwrap_or(0)
    }

    /// All together, in milliseconds; `None` if one is not known.
    pub fn sum(&self) -> Option<u64> {
        (self.unknown == 0).then_some(self.sum)
    }
}

/// How long a step alone may last, in milliseconds.
pub(super) fn own_rank(plan: &Plan, history: &History, step: &Step) -> u64 {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4);
    let time = match step {
        Step::Build(drv) => {
            let drv = plan.drvs.get(drv);
            drv.and_then(|drv| history.estimate(drv)).map_or(UNKNOWN_BUILD, millis)
        }
        Step::Fetch(path) => {
            let size = plan.will_fetch.get(path).map_or(0, |found| found.download_size);
            DOWNLOAD + size / BYTES_A_MILLISECOND
        }
        Step::Realise(..) | Step::Obtain(_) => 0,
    };
    time.max(LEAST)
}

/// How long the longest chain of steps is that begins with each.
pub(super) fn ranks(
    plan: &Plan,
    history: &History,
    dependents: &BTreeMap<Step, Vec<Step>>,
) -> BTreeMap<Step, u64> {
    let mut ranks: BTreeMap<Step, u64> = BTreeMap::new();
    for start in plan.steps.keys() {
        let mut stack = vec![(start, false)];
        while let Some((step, entered)) = stack.pop() {
            if ranks.contains_key(step) {
                continue;
            }
            let after = dependents.get(step).map_or(&[][..], Vec::as_slice);
            if entered {
                let longest = after.iter().filter_map(|d| ranks.get(d)).max().copied();
                let rank = own_rank(plan, history, step).saturating_add(longest.unwrap_or(0));
                ranks.insert(step.clone(), rank);
            } else {
                stack.push((step, true));
                stack.extend(after.iter().map(|d| (d, false)));
            }
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_sum_of_what_is_known() {
        let step = |name: &str| {
            Step::Build(firn_model::store_path::StorePath::from_parts(&[7; 20], name).unwrap())
        };
        let mut times = Times::default();
        assert_eq!(times.sum(), Some(0));
        times.insert(&step("a"), Some(Duration::from_secs(2)));
        times.insert(&step("b"), None);
        assert_eq!(times.sum(), None);
        times.insert(&step("b"), Some(Duration::MAX));
        times.remove(&step("b"));
        times.remove(&step("b"));
        assert_eq!(times.sum(), Some(2000));
    }
}
