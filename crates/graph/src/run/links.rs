//! Chains while they are made: which steps go on with the one before, and how that changes the phases.

use retrograde_storage::Id;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::build::Build;
use super::chain::{Chain, Known, Links, beside, chain};
use super::kernel::Kernel;
use super::plan::Phase;
use crate::list::{List, Value};
use crate::passes::fuse::StepId;
use crate::passes::places::Places;

impl Build {
    /// Tries to make the step just added, a group or the kernel of a product, and the one before it links of a longer chain.
    pub(super) fn lengthen(&mut self, list: &List, step_of: &[StepId]) {
        if self.options.memory_budget.is_some() {
            // What a chain hands on and others read lives longer.
            return;
        }
        let mut own = self
            .phases
            .iter()
            .rev()
            .filter_map(|(phase, _)| match *phase {
                Phase::Group(g) => Some((false, g)),
                Phase::Kernel(k, _) => Some((true, k)),
                _ => None,
            });
        let Some(latest) = own.next() else { return };
        let Some(previous) = own.find(|link| *link != latest) else {
            return;
        };
        // Other steps may stand between, or the step before be one of those.
        let before = match previous {
            (true, k) => Some(self.kernels[k].value),
            (false, g) => self.groups[g].step.values.first().copied(),
        };
        if before.is_none_or(|v| step_of[v.index()] + 1 != self.step) {
            return;
        }
        let open = match self.chains.last() {
            // The chain that the step before ends.
            Some((links, _)) if self.chained.last() == Some(&(self.step.saturating_sub(2))) => {
                let last = links.stages.last();
                let ends = last.is_some_and(|&(_, group, after)| match previous {
                    (true, k) => after == Some(k),
                    (false, g) => after.is_none() && group == g,
                });
                ends.then(|| links.clone())
            }
            _ => None,
        };
        let reopened = open.is_some();
        let links = match (previous, latest, open) {
            ((true, _), (false, group), Some(mut links)) => {
                links.stages.push((None, group, None));
                links
            }
            ((false, _), (true, k), Some(mut links)) => {
                links.stages.last_mut().expect("a chain has links").2 = Some(k);
                links
            }
            ((true, k), (false, group), None) if !self.kernels[k].in_chain => Links {
                first: self.step - 1,
                stages: vec![(Some(k), group, None)],
            },
            ((false, group), (true, k), None) => {
                // The group may already run with the blocks of a product.
                let before = self.kernels.iter().position(|kernel| {
                    let then = kernel.then.as_ref();
                    then.is_some_and(|then| then.group == group)
                });
                Links {
                    first: self.step - 1 - StepId::from(before.is_some()),
                    stages: vec![(before, group, Some(k))],
                }
            }
            _ => return,
        };
        let chain = {
            let known = Known {
                list,
                step_of,
                kernels: &self.kernels,
                groups: &self.groups,
                threads: self.options.threads(),
            };
            Chain::new(&known, &links)
        };
        let Some(chain) = chain else { return };
        if chain.products().any(|k| self.kernels[k].beside.is_some()) {
            return;
        }
        self.link(links, chain, reopened);
    }

    /// Puts a chain in the place of the phases of its links: what products share first, then the chain, then the rest.
    fn link(&mut self, links: Links, chain: Chain, reopened: bool) {
        if reopened {
            self.chains.pop();
        }
        let number = self.chains.len();
        let products: Vec<usize> = chain.products().collect();
        let mut shared = Vec::new();
        for &k in &products {
            self.kernels[k].cut_by_rows(chain.unit(), chain.blocks());
            self.kernels[k].in_chain = true;
            self.kernels[k].then = None;
            self.scratch = self.scratch.max(self.kernels[k].scratch_packets());
            // Cut by rows it may share other things than before.
            match (self.kernels[k].shared_packets(), self.kernels[k].shared) {
                (0, _) => {}
                (packets, Some(request)) => self.requests[request].1 = packets,
                (packets, None) => self.kernels[k].shared = Some(self.request(packets)),
            }
            if let [parts, _] = self.kernels[k].phases()[..] {
                shared.push((Phase::Kernel(k, 0), parts));
            }
        }
        let is_link = |phase: &Phase| match phase {
            Phase::Kernel(k, _) => products.contains(k),
            Phase::Group(g) => chain.stages.iter().any(|stage| stage.group == *g),
            Phase::Chain(c) => *c == number,
            _ => false,
        };
        let first = self.phases.iter().position(|(phase, _)| is_link(phase));
        let rest = self.phases.split_off(first.unwrap_or(self.phases.len()));
        self.phases.extend(shared);
        self.phases.push((Phase::Chain(number), chain.blocks()));
        let of = |phase: &Phase| match *phase {
            Phase::Kernel(k, _) if products.contains(&k) => Some(k),
            _ => None,
        };
        let mut last_of: FxHashMap<usize, usize> = FxHashMap::default();
        for (at, (phase, _)) in rest.iter().enumerate() {
            of(phase).and_then(|k| last_of.insert(k, at));
        }
        for (at, (phase, blocks)) in rest.into_iter().enumerate() {
            match phase {
                Phase::Chain(c) if c == number => {}
                Phase::Kernel(k, _) if products.contains(&k) => {
                    if last_of.get(&k) == Some(&at) {
                        let last = self.kernels[k].phases().len() - 1;
                        self.phases.push((Phase::Kernel(k, last), 0));
                    }
                }
                phase if is_link(&phase) => self.phases.push((phase, 0)),
                phase => self.phases.push((phase, blocks)),
            }
        }
        // What dies within a chain lives to its end: only what was complete before it counts.
        let complete = self.phases.len();
        let inside = self.ends.iter_mut().filter(|end| end.0 >= links.first);
        inside.for_each(|end| end.1 = complete);
        let steps = links.first..self.step;
        self.chained.extend(
            steps
                .filter(|s| !self.chained.contains(s))
                .collect::<Vec<_>>(),
        );
        self.chains.push((links, chain));
    }

    /// Chains the group just added to the kernel of the step before, if it can be; whether it is.
    pub(super) fn chain(&mut self, list: &List, places: &Places, overwritten: &[Value]) -> bool {
        let at = self
            .phases
            .iter()
            .rposition(|(phase, _)| matches!(phase, Phase::Group(_)));
        let Some((at, &(Phase::Kernel(k, _), blocks))) =
            at.and_then(|at| Some((at, self.phases.get(at.checked_sub(1)?)?)))
        else {
            return false;
        };
        let number = self.groups.len() - 1;
        let chained = {
            let beside = self.kernels[k].beside.map(|first| &self.kernels[first]);
            let kernels = beside.into_iter().chain([&self.kernels[k]]);
            let kernels: SmallVec<[&Kernel; 2]> = kernels.collect();
            chain(
                (list, places),
                &kernels,
                blocks,
                (number, &self.groups[number]),
                overwritten,
                self.options.threads(),
            )
        };
        let is_chained = chained.is_some();
        if is_chained {
            self.phases[at].1 = 0;
            self.kernels[k].then = chained;
            self.chained.push(self.step - 1);
        }
        is_chained
    }

    /// Runs the blocks of the kernel just added with those of the kernel of the step before, if they can be.
    pub(super) fn beside(
        &mut self,
        list: &List,
        places: &Places,
        direct: &FxHashMap<Value, Value>,
    ) {
        let Some(&[(Phase::Kernel(first, 0), _), (Phase::Kernel(second, 0), _)]) =
            self.phases.last_chunk()
        else {
            return;
        };
        let pair = [&self.kernels[first], &self.kernels[second]];
        let updates = pair.iter().any(|kernel| direct.contains_key(&kernel.value));
        if pair[0].beside.is_none() && !updates && beside(list, places, pair[0], pair[1]) {
            let at = self.phases.len() - 2;
            self.phases[at].1 = 0;
            self.kernels[second].beside = Some(first);
            self.chained.push(self.step - 1);
        }
    }
}
