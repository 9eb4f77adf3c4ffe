//! Sampling of tokens: as the command line says, otherwise as the model's file recommends.

use super::super::{Usage, output};
use ptxgen_model::{Recommended, Sampling, gguf::Gguf, tokenizer::TemplateSource};

/// Sampling options. For options that are not given, the model's file decides (`general.sampling.*`).
#[derive(clap::Args)]
pub struct SamplingArgs {
    /// Temperature; 0 is greedy [default: the file's, else 0]
    #[arg(long, value_name = "T", value_parser = temperature, allow_negative_numbers = true)]
    temp: Option<f64>,
    /// Sample among the fewest tokens whose total probability reaches P [default: the file's, else 1]
    #[arg(long, value_name = "P", value_parser = share, allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Sample among the K most likely tokens; 0 means all [default: the file's, else 0]
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Sample among tokens whose probability is at least P times the largest [default: the file's, else 0]
    #[arg(long, value_name = "P", value_parser = part, allow_negative_numbers = true)]
    min_p: Option<f64>,
    /// Subtract X from the logit of each of the last 64 tokens [default: 0]
    #[arg(long, value_name = "X", value_parser = penalty, allow_negative_numbers = true)]
    presence_penalty: Option<f64>,
    /// Divide the logit of each of the last 64 tokens by X; multiply if it is negative [default: the file's, else 1]
    #[arg(long, value_name = "X", value_parser = factor, allow_negative_numbers = true)]
    repeat_penalty: Option<f64>,
    /// Seed of the random numbers [default: 0]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

impl SamplingArgs {
    /// The sampling settings; prints a note about those that are not from the command line.
    pub fn sampling(&self, gguf: &Gguf, template: Option<&TemplateSource>) -> anyhow::Result<Sampling> {
        let recommended = Recommended::from_gguf(gguf)?;
        let file = recommended.sampling();
        let sampling = Sampling {
            temperature: self.temp.unwrap_or(file.temperature),
            top_k: self.top_k.unwrap_or(file.top_k),
            top_p: self.top_p.unwrap_or(file.top_p),
            min_p: self.min_p.unwrap_or(file.min_p),
            presence_penalty: self.presence_penalty.unwrap_or(file.presence_penalty),
            repeat_penalty: self.repeat_penalty.unwrap_or(file.repeat_penalty),
            seed: self.seed.unwrap_or(file.seed),
            penalty_last: file.penalty_last,
        };
        let drawing = [
            ("--top-p", self.top_p.is_some()),
            ("--top-k", self.top_k.is_some()),
            ("--min-p", self.min_p.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        let greedy = sampling.temperature == 0.0;
        if let Some((option, _)) = drawing.iter().find(|(_, given)| greedy && *given) {
            return Err(Usage(format!("{option} has no effect at temperature 0, which is greedy: give --temp")).into());
        }
        self.tell(&recommended, &sampling, template);
        Ok(sampling)
    }

    fn tell(&self, file: &Recommended, sampling: &Sampling, template: Option<&TemplateSource>) {
        if !file.unknown.is_empty() {
            output::note(format_args!(
                "these recommendations of the file are not supported: {}",
                file.unknown.join(", ")
            ));
        }
        let thinks = template.is_some_and(|t| t.mentions("<think>"));
        match (sampling.temperature == 0.0, file.temperature.filter(|t| *t > 0.0)) {
            (true, Some(t)) => {
                output::note(format_args!(
                    "greedy, although the model's file recommends --temp {t}: the text may repeat itself"
                ));
            }
            (true, None) if thinks => output::note(
                "greedy: a model that thinks may repeat itself without end; Qwen3's publisher recommends --temp 0.6 \
                 --top-p 0.95 --top-k 20",
            ),
            _ => {}
        }
        let of_file = |given: bool, name: &str, value: Option<f64>| {
            value.filter(|_| !given).map(|value| format!("{name} {value}"))
        };
        let drawn = sampling.temperature > 0.0;
        let used = [
            of_file(self.temp.is_some() || !drawn, "temp", file.temperature),
            of_file(self.top_k.is_some() || !drawn, "top-k", file.top_k.map(|k| k as f64)),
            of_file(self.top_p.is_some() || !drawn, "top-p", file.top_p),
            of_file(self.min_p.is_some() || !drawn, "min-p", file.min_p),
            of_file(self.repeat_penalty.is_some(), "repeat-penalty", file.repeat_penalty.filter(|x| *x != 1.0)),
        ];
        let used: Vec<_> = used.into_iter().flatten().collect();
        if !used.is_empty() {
            output::note(format_args!("as the model's file recommends: {}", used.join(", ")));
        }
    }
}

fn number(text: &str, allowed: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x| allowed(*x)).ok_or_else(|| format!("expected {expected}"))
}

fn temperature(text: &str) -> Result<f64, String> {
    number(text, |t| (0.0..=100.0).contains(&t), "a number from 0 (greedy) to 100")
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |p| p > 0.0 && p <= 1.0, "a share above 0, at most 1")
}

fn part(text: &str) -> Result<f64, String> {
    number(text, |p| (0.0..=1.0).contains(&p), "a share from 0 to 1")
}

fn penalty(text: &str) -> Result<f64, String> {
    number(text, |x| (-100.0..=100.0).contains(&x), "a number from -100 to 100")
}

fn factor(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0 && x <= 100.0, "a number above 0, at most 100")
}
