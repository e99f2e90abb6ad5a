//! The region that the published vectors are kept in.
//!
//! A mechanism that adds noise to a vector needs a bound on how far two vectors can lie apart. Input rows are brought into the
//! region after each update, so every vector that is ever read out lies in it. Output rows are not published and stay free:
//! with inputs in the unit ball they alone can make a logit large.

use serde::{Deserialize, Serialize};

use crate::lanes::dot;

/// Where the published vectors are kept; [`dp::mechanism::Region`] has the same two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// The cube [−1, 1]^d; each coordinate is clamped. Two vectors differ by at most 2√d in L2.
    Box,
    /// The L2 unit ball; a longer vector is shortened to norm 1. Two vectors differ by at most 2.
    UnitBall,
}

impl From<Clip> for dp::mechanism::Region {
    fn from(clip: Clip) -> Self {
        match clip {
            Clip::Box => Self::Box,
            Clip::UnitBall => Self::UnitBall,
        }
    }
}

/// Brings a row into the region.
#[inline(always)]
pub(crate) fn apply<const FMA: bool, const W: usize>(clip: Clip, values: &mut [f32; W]) {
    match clip {
        Clip::Box => to_box(values),
        Clip::UnitBall => to_ball::<FMA, W>(values),
    }
}

#[inline(always)]
fn to_box<const W: usize>(values: &mut [f32; W]) {
    for value in values {
        *value = value.clamp(-1.0, 1.0);
    }
}

/// With up to 512 values, a lane sums 32 and the lanes are folded in 4 more additions, so a squared norm in f32 is off by less
/// than 40 · 2⁻²⁴ = 2.4·10⁻⁶ of itself.
const BALL_MARGIN: f32 = 4e-6;

#[inline(always)]
fn to_ball<const FMA: bool, const W: usize>(values: &mut [f32; W]) {
    let square = dot::<FMA>(values, values);
    if square > 1.0 - BALL_MARGIN {
        let scale = (1.0 - BALL_MARGIN) / square.sqrt();
        for value in values {
            *value *= scale;
        }
    }
}

#[cfg(test)]
#[path = "clip_tests.rs"]
mod tests;
