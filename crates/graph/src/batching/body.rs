//! Batching of scans: the body is batched, and with it the carries that it makes differ from sample to sample.

use std::sync::Arc;

use retrograde_storage::{Id, PACKET_BYTES};

use super::{Batch, Lane, varying};
use crate::body::{Body, ScanSpec};
use crate::error::Result;
use crate::infer::Few;
use crate::list::{List, Value};
use crate::op::Op;

impl Body {
    /// Which inputs differ from sample to sample, given those that do at the start: a carry does if the first one or
    /// one that a step computes does.
    fn batched(&self, operands: &[bool]) -> Vec<bool> {
        let mut inputs = operands.to_vec();
        loop {
            let rows = varying(&self.list, &inputs);
            let more = (0..self.carries).filter(|&i| !inputs[i] && rows[self.outputs[i].index()]);
            let more: Vec<usize> = more.collect();
            if more.is_empty() {
                return inputs;
            }
            more.into_iter().for_each(|i| inputs[i] = true);
        }
    }
}

impl Batch<'_> {
    /// The pieces of a scan, each a lane.
    pub(super) fn scan(&mut self, v: Value) -> Result<Vec<Lane>> {
        let spec = self.from.scan_spec(v).clone();
        let lanes = self.args(v)?;
        let flags: Vec<bool> = lanes.iter().map(|l| l.batched).collect();
        let inputs = spec.body.batched(&flags);
        if self.samples == 0 {
            return self.scan_of_nobody(v, &spec, &lanes, &inputs);
        }
        let body = &*spec.body;
        let counts = [body.carries, body.steps, body.constants];
        let mut list = List::default();
        for (i, &batched) in inputs.iter().enumerate() {
            let input = Value::from_index(i);
            let shape = body.list.shape(input);
            let shape = if batched {
                self.with_axis(v, shape)?
            } else {
                shape
            };
            list.body_input(shape, body.list.dtype(input));
        }
        let mut inner = Batch::new(&body.list, &mut list, self.samples);
        for (i, &batched) in inputs.iter().enumerate() {
            let input = Value::from_index(i);
            inner.give(input, Lane { v: input, batched });
        }
        inner.run(|_| true, |_, _| Ok(None))?;
        let (mut outputs, mut varies) = (Vec::new(), Vec::new());
        for (i, &output) in body.outputs.iter().enumerate() {
            let mut lane = inner.lane(output)?;
            if inputs[..body.carries].get(i) == Some(&true) {
                lane = Lane::batched(inner.wide(output, lane)?);
            }
            outputs.push(lane.v);
            varies.push(lane.batched);
        }
        let (batched, kept) = Body::new(&list, counts, &outputs);
        let batched = ScanSpec {
            body: Arc::new(batched),
            ..spec
        };
        self.fits(v, &batched)?;

        let steps = body.carries..body.carries + body.steps;
        let mut operands = Vec::with_capacity(kept.len());
        for i in kept {
            let lane = lanes[i];
            operands.push(if steps.contains(&i) && lane.batched {
                self.move_batch(lane.v, 1)
            } else if inputs[i] {
                self.wide(v, lane)?
            } else {
                lane.v
            });
        }
        let pieces = batched.pieces();
        let whole = self.to.scan_of(batched, &operands);
        let pieces = pieces.into_iter().zip(varies).enumerate();
        Ok(pieces
            .map(|(i, (piece, batched))| {
                let part = self.to.piece(whole, piece);
                let stacked = i >= counts[0];
                let part = if stacked && batched {
                    self.batch_first(part, 1)
                } else {
                    part
                };
                Lane { v: part, batched }
            })
            .collect())
    }

    /// That carries and outputs can be stacked, as recording checked of those of one sample.
    fn fits(&self, v: Value, spec: &ScanSpec) -> Result<()> {
        let body = &*spec.body;
        let packet = PACKET_BYTES / spec.dtype().size();
        let mut total = 0usize;
        for &output in &body.outputs {
            let mut dims = Few::from_slice(&[spec.length]);
            dims.extend_from_slice(body.list.dims(output));
            let len = self.checked(v, &dims)?.len();
            total = total.saturating_add(len).saturating_add(packet);
        }
        self.checked(v, &[total])?;
        Ok(())
    }

    /// Without samples, what is the same for all of them is all there is.
    fn scan_of_nobody(
        &mut self,
        v: Value,
        spec: &ScanSpec,
        lanes: &[Lane],
        inputs: &[bool],
    ) -> Result<Vec<Lane>> {
        let operands: Vec<Value> = lanes
            .iter()
            .zip(self.from.args(v))
            .map(|(lane, &x)| {
                if lane.batched {
                    self.zeros(self.from.shape(x), self.from.dtype(x))
                } else {
                    lane.v
                }
            })
            .collect();
        let whole = self.to.copy_row(self.from, v, &operands);
        let rows = varying(&spec.body.list, inputs);
        let mut pieces = Vec::new();
        for (i, piece) in spec.pieces().into_iter().enumerate() {
            let carried = inputs[..spec.body.carries].get(i) == Some(&true);
            pieces.push(if carried || rows[spec.body.outputs[i].index()] {
                let shape = self.with_axis(v, piece.shape)?;
                Lane::batched(self.zeros(shape, spec.dtype()))
            } else {
                Lane::shared(self.to.piece(whole, piece))
            });
        }
        Ok(pieces)
    }

    /// The vector of a batched scan, for each sample, of its pieces.
    pub(super) fn whole(&mut self, v: Value) -> Result<Lane> {
        let (spec, pieces) = match self.scans.get(&v) {
            Some(pieces) => (self.from.scan_spec(v).clone(), pieces.clone()),
            None => {
                return Err(crate::error::Error::internal(
                    "a row is read that was not batched",
                ));
            }
        };
        let (shape, dtype) = (self.shape(v)?, self.from.dtype(v));
        let total = self.from.shape(v).len();
        let places = spec.pieces();
        let (mut parts, mut end) = (Vec::new(), 0);
        for (i, (lane, place)) in pieces.into_iter().zip(&places).enumerate() {
            let piece = self.wide(v, lane)?;
            let len = place.shape.len();
            parts.push(self.reshaped(piece, &[self.samples, len]));
            end += len;
            let next = places.get(i + 1).map_or(total, |p| p.start);
            if next > end {
                let gap = self.checked(v, &[self.samples, next - end])?;
                parts.push(self.zeros(gap, dtype));
                end = next;
            }
        }
        let all = self
            .to
            .push(Op::Concat, &parts, Self::axis(1), shape, dtype);
        Ok(Lane::batched(all))
    }
}
