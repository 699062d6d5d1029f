//! Micro-ops straight from and to memory: what is loaded or stored as it stands needs no copy in a slot.
//!
//! A group has its steps twice: as they are written, and *direct*, without the loads and stores that elementwise steps
//! can do by themselves. The direct steps run on tiles whose packets are whole, so that no lane beyond a row's end is
//! touched; where a store would overtake a load of the same memory, the written steps run.

use std::collections::HashMap;

use super::adam::Adam;
use super::geometry::{Place, Step};
use super::{Class, Code, Group};

/// Views that steps may use directly: an array of as many addresses is filled in for each tile.
pub(super) const DIRECT_VIEWS: usize = 15;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direct {
    /// The steps that remain, their operands and results re-pointed.
    pub steps: Box<[Step]>,
    /// The views used directly: [`Place::base`] counts them from 1.
    pub views: Box<[u32]>,
    /// Pairs of views, one loaded and one stored, that must not overlap.
    pub apart: Box<[(Reach, Reach)]>,
    /// Those of the steps that run as one loop.
    pub adam: Option<Adam>,
}

/// The bytes that a view takes, counted from its first element. Known when a group is cut: in a loop over short rows the
/// check of what overlaps is a good part of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reach {
    pub view: u32,
    pub low: isize,
    pub high: isize,
}

/// The positions at which a value in a slot is written and read.
struct Definition {
    slot: u32,
    class: Class,
    written: usize,
    read: Vec<usize>,
}

/// The definitions of all slots, in order.
fn definitions(steps: &[Step]) -> Vec<Definition> {
    let mut all: Vec<Definition> = Vec::new();
    let mut latest: HashMap<(u32, Class), usize> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        for place in step.reads() {
            if let Some(&number) = latest.get(&(place.at, place.class)) {
                let read = &mut all[number].read;
                if read.last() != Some(&at) {
                    read.push(at);
                }
            }
        }
        if let Some(place) = step.writes() {
            latest.insert((place.at, place.class), all.len());
            all.push(Definition {
                slot: place.at,
                class: place.class,
                written: at,
                read: Vec::new(),
            });
        }
    }
    all
}

impl Group {
    /// The direct form of a tile's steps, if there is anything to gain.
    pub(super) fn direct(&self, steps: &[Step], uniforms: &[[u32; 3]]) -> Option<Direct> {
        let flat = |at: usize| steps[at].is_elementwise() && steps[at].dst.class == Class::Full;
        // Among many views the lines of one evict those of another before they are read a second time: such are copied.
        let is_load = |s: &&Step| s.code == Code::Load && s.dst.class == Class::Full;
        let few = steps.iter().filter(is_load).count() <= DIRECT_VIEWS;
        let mut views: Vec<u32> = Vec::new();
        // By step: its place in the direct form; `None` for those that fall away.
        let mut result: Vec<Option<Step>> = steps.iter().copied().map(Some).collect();
        // By view: when its memory is read, as written and directly.
        let mut loads: Vec<(u32, usize, Vec<usize>)> = Vec::new();
        let mut stores: Vec<(u32, usize, usize)> = Vec::new();
        for d in definitions(steps).iter().filter(|d| d.class == Class::Full) {
            let by_load = steps[d.written].code == Code::Load;
            let (stored, others): (Vec<usize>, Vec<usize>) = d
                .read
                .iter()
                .copied()
                .partition(|&at| steps[at].code == Code::Store);
            let view = match (by_load, stored.as_slice()) {
                (true, []) if few => Some(steps[d.written].imm),
                (false, [at]) if flat(d.written) => Some(steps[*at].imm),
                _ => None,
            };
            let view = view.filter(|&v| {
                self.is_contiguous(v)
                    && views.len() < DIRECT_VIEWS
                    && others.iter().all(|&at| flat(at))
            });
            let Some(view) = view else {
                if by_load {
                    loads.push((steps[d.written].imm, d.written, vec![d.written]));
                }
                continue;
            };
            views.push(view);
            let place = Place {
                at: 0,
                base: views.len() as u8,
                ..steps[d.written].dst
            };
            for &at in &others {
                if let Some(step) = &mut result[at] {
                    step.repoint(d.slot, place);
                }
            }
            if by_load {
                result[d.written] = None;
                loads.push((view, d.written, others));
            } else {
                if let Some(step) = &mut result[d.written] {
                    step.dst = place;
                }
                result[stored[0]] = None;
                stores.push((view, d.written, stored[0]));
            }
        }
        for (at, step) in steps.iter().enumerate() {
            if step.code == Code::Store && result[at].is_some() {
                stores.push((step.imm, at, at));
            }
            if step.code == Code::Load && step.dst.class != Class::Full {
                loads.push((step.imm, at, vec![at]));
            }
        }
        // A load sees the old value if it is before the store. It must see the same one directly; the step that stores
        // may itself read, because it reads each packet before it writes it.
        let mut apart = Vec::new();
        for (load, loaded, read) in &loads {
            for &(store, writes, stored) in &stores {
                if read.iter().any(|&at| (*loaded < stored) != (at <= writes)) {
                    apart.push((self.reach(*load), self.reach(store)));
                }
            }
        }
        let steps: Box<[Step]> = result.into_iter().flatten().collect();
        let adam = Adam::find(&steps, uniforms);
        if let Some(adam) = &adam {
            // It reads all of a packet before it writes any: memory written early must not be memory read late.
            let view = |place: Place| Some(views[usize::from(place.base).checked_sub(1)?]);
            for read in adam.from.iter().filter_map(|&place| view(place)) {
                for (at, &write) in adam.to.iter().enumerate() {
                    let own = adam.from[at + 1];
                    if let Some(write) = view(write)
                        && view(own) != Some(read)
                    {
                        apart.push((self.reach(read), self.reach(write)));
                    }
                }
            }
        }
        (!views.is_empty()).then(|| Direct {
            steps,
            views: views.into(),
            apart: apart.into(),
            adam,
        })
    }

    fn reach(&self, view: u32) -> Reach {
        let spec = self.views[view as usize];
        let size = spec.dtype.size() as isize;
        let ends = spec.strides.iter().zip(self.space);
        let ends = ends.map(|(&stride, n)| stride * size * (n.max(1) as isize - 1));
        let (low, high) = ends.fold((0, 0), |(l, h), end| (l + end.min(0), h + end.max(0)));
        Reach {
            view,
            low,
            high: high + size,
        }
    }
}
