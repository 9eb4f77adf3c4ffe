//! The selection of a forward's values.

use super::{Stage, UnknownStage};
use crate::config::ModelConfig;
use std::{fmt, ops::Range, str::FromStr};

/// An invalid selection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No stage has this name.
    #[error(transparent)]
    Stage(#[from] UnknownStage),
    /// Layers that are not a valid range.
    #[error("`{0}` is no range of layers: write 2..5 for layers 2, 3 and 4, or 2 for one layer")]
    Layers(String),
    /// Positions that are not a valid list.
    #[error("`{0}` are no positions: write last, all, or a list like 0,5,10..20")]
    Positions(String),
    /// A stage that models of this architecture do not have.
    #[error("a {title} has no stage {stage}; its stages are {}", list(stages))]
    NoStage {
        /// The stage.
        stage: Stage,
        /// The name of the architecture.
        title: &'static str,
        /// The stages that it has.
        stages: Vec<Stage>,
    },
    /// Layers that exceed the model.
    #[error("layers {}..{} are asked for, but the model has {blocks}, counted from 0", .layers.start, .layers.end)]
    NoLayer {
        /// The layers.
        layers: Range<usize>,
        /// Number of layers of the model.
        blocks: usize,
    },
    /// A position after the last token.
    #[error("position {position} is asked for, but there are {tokens} tokens, counted from 0")]
    NoPosition {
        /// The position.
        position: usize,
        /// Number of tokens.
        tokens: usize,
    },
}

fn list(stages: &[Stage]) -> String {
    stages.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
}

/// The selected stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stages {
    /// Every one.
    #[default]
    All,
    /// These.
    List(Vec<Stage>),
}

/// The selected positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Positions {
    /// Every one.
    #[default]
    All,
    /// The last token's.
    Last,
    /// These, ascending and without duplicates.
    List(Vec<usize>),
}

impl Positions {
    /// The limit for positions: no context is as long, and a list of this length is harmless.
    pub const MOST: usize = 1 << 24;
}

/// The selected layers: `start..end`, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers(pub Option<Range<usize>>);

/// A selection for any model and any tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The stages.
    pub stages: Stages,
    /// The layers; stages outside the layers are selected regardless.
    pub layers: Layers,
    /// The positions.
    pub positions: Positions,
}

/// A selection for one model's run on some tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Stages and layers, in the forward's order.
    pub stages: Vec<(Stage, Option<usize>)>,
    /// Positions, ascending.
    pub positions: Vec<usize>,
}

impl Selection {
    /// Resolves it for a model and this many tokens.
    ///
    /// # Errors
    /// If it names stages, layers or positions that do not exist.
    pub fn of(&self, config: &ModelConfig, tokens: usize) -> Result<Selected, SelectError> {
        let graph = config.graph();
        if let Stages::List(list) = &self.stages
            && let Some(&stage) = list.iter().find(|s| graph.node(**s).is_none())
        {
            let stages = graph.nodes().map(|n| n.stage).collect();
            return Err(SelectError::NoStage { stage, title: config.architecture.title, stages });
        }
        let selected = self.of_layers(config.blocks, tokens)?;
        let stages = selected.stages.into_iter().filter(|(s, _)| graph.node(*s).is_some()).collect();
        Ok(Selected { stages, ..selected })
    }

    /// The same for a model of which only the number of layers is known.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn of_layers(&self, blocks: usize, tokens: usize) -> Result<Selected, SelectError> {
        let layers = self.layers.0.clone().unwrap_or(0..blocks);
        if layers.end > blocks || layers.start >= layers.end {
            return Err(SelectError::NoLayer { layers, blocks });
        }
        let stage = |stage: Stage| match &self.stages {
            Stages::All => true,
            Stages::List(list) => list.contains(&stage),
        };
        let kept = |(s, layer): &(Stage, Option<usize>)| stage(*s) && layer.is_none_or(|l| layers.contains(&l));
        let positions = match &self.positions {
            Positions::All => (0..tokens).collect(),
            Positions::Last => tokens.checked_sub(1).into_iter().collect(),
            Positions::List(list) => list.clone(),
        };
        match positions.iter().find(|&&p| p >= tokens) {
            Some(&position) => Err(SelectError::NoPosition { position, tokens }),
            None => Ok(Selected { stages: Stage::all_of(blocks).filter(kept).collect(), positions }),
        }
    }
}

impl Selected {
    /// Whether a stage is selected.
    pub fn has(&self, stage: Stage, layer: Option<usize>) -> bool {
        self.stages.contains(&(stage, layer))
    }

    /// The rows of the selected positions among `first..first + tokens`, and the first of them.
    pub fn rows(&self, first: usize, tokens: usize) -> Range<usize> {
        let at = |position| self.positions.partition_point(|&p| p < position);
        at(first)..at(first + tokens)
    }
}

impl FromStr for Stages {
    type Err = SelectError;
    fn from_str(s: &str) -> Result<Self, SelectError> {
        if s == "all" {
            return Ok(Self::All);
        }
        Ok(Self::List(s.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>()?))
    }
}

/// `a..b`, `a..`, `..b` or `a`; a missing number has a default.
fn range(s: &str, end: Option<usize>) -> Option<Range<usize>> {
    let number = |s: &str, none: Option<usize>| if s.is_empty() { none } else { s.parse().ok() };
    match s.trim().split_once("..") {
        Some((a, b)) => Some(number(a, Some(0))?..number(b, end)?),
        None => s.trim().parse::<usize>().ok().and_then(|a| Some(a..a.checked_add(1)?)),
    }
}

impl FromStr for Layers {
    type Err = SelectError;
    fn from_str(s: &str) -> Result<Self, SelectError> {
        match range(s, None) {
            Some(layers) if !layers.is_empty() => Ok(Self(Some(layers))),
            _ => Err(SelectError::Layers(s.to_owned())),
        }
    }
}

impl FromStr for Positions {
    type Err = SelectError;
    fn from_str(s: &str) -> Result<Self, SelectError> {
        let wrong = || SelectError::Positions(s.to_owned());
        match s {
            "all" => return Ok(Self::All),
            "last" => return Ok(Self::Last),
            _ => {}
        }
        let part = |s| range(s, None).filter(|r| !r.is_empty() && r.end <= Self::MOST).ok_or_else(wrong);
        let mut parts = s.split(',').map(part).collect::<Result<Vec<_>, _>>()?;
        parts.sort_unstable_by_key(|r| r.start);
        let mut list: Vec<usize> = Vec::new();
        for part in parts {
            // Overlapping parts are already included.
            let next = list.last().map_or(0, |last| last + 1);
            list.extend(part.start.max(next)..part.end);
        }
        Ok(Self::List(list))
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Last => f.write_str("last"),
            Self::List(list) => {
                let list: Vec<_> = list.iter().map(usize::to_string).collect();
                f.write_str(&list.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::Preset;

    #[test]
    fn selections_are_read_and_checked() {
        let config = Preset::Tiny.config();
        let all = Selection::default().of(&config, 5).unwrap();
        assert_eq!(all.stages.len(), 3 + 22 * config.blocks);
        assert_eq!(all.positions, [0, 1, 2, 3, 4]);
        assert_eq!(all.rows(2, 2), 2..4);

        let some = Selection {
            stages: "q,logits".parse().unwrap(),
            layers: "1..3".parse().unwrap(),
            positions: "4,1..3".parse().unwrap(),
        };
        let found = some.of(&config, 5).unwrap();
        assert_eq!(found.stages, [(Stage::Q, Some(1)), (Stage::Q, Some(2)), (Stage::Logits, None)]);
        assert_eq!(found.positions, [1, 2, 4]);
        assert_eq!((found.rows(0, 2), found.rows(2, 3)), (0..1, 1..3));
        let beyond = some.of(&config, 4).unwrap_err().to_string();
        assert_eq!(beyond, "position 4 is asked for, but there are 4 tokens, counted from 0");
        let layers = Selection { layers: "4..9".parse().unwrap(), ..Selection::default() };
        let beyond = layers.of(&config, 4).unwrap_err().to_string();
        assert_eq!(beyond, "layers 4..9 are asked for, but the model has 6, counted from 0");
        let dense = Preset::TinyDense.config();
        let stages = Selection { stages: "q,expert_out".parse().unwrap(), ..Selection::default() };
        let error = stages.of(&dense, 4).unwrap_err().to_string();
        assert!(error.starts_with("a Qwen3 has no stage expert_out; its stages are embedding, "), "{error}");
        assert_eq!(stages.of(&config, 4).unwrap().stages.len(), 2 * config.blocks);
        assert_eq!("3".parse(), Ok(Layers(Some(3..4))));
        assert_eq!("..2".parse(), Ok(Layers(Some(0..2))));
        assert_eq!("7,3..6,4..5,3,0..2".parse(), Ok(Positions::List(vec![0, 1, 3, 4, 5, 7])));
        // A list of the maximum length, named many times, is stored once.
        let often = ["0..16777216"; 1000].join(",");
        let Ok(Positions::List(list)) = often.parse() else { panic!("it is a list") };
        assert_eq!(list.len(), Positions::MOST);
    }

    #[test]
    fn what_cannot_be_read_is_shown() {
        for text in ["", "a", "3..1", "1..2..3", "-1"] {
            assert_eq!(text.parse::<Layers>(), Err(SelectError::Layers(text.into())));
        }
        for text in ["", "first", "1,,2", "5..2", "0..99999999999"] {
            assert_eq!(text.parse::<Positions>(), Err(SelectError::Positions(text.into())));
        }
        assert!("q,atention".parse::<Stages>().unwrap_err().to_string().contains("did you mean `attention`"));
    }
}
