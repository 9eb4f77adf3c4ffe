//! The conclusion of a bisection as a sentence.

use super::{
    Attribution, Cause, DeviceShare, Divergence, Factor, Followed, Follows, Run, Verdict,
    device::kind,
    factor::{self, Site},
    followed::Sides,
};
use crate::{
    plain::{Choice, PlainModel},
    trace::Fault,
};

/// The smallest share that is mentioned.
const NOTABLE: f64 = 0.005;

/// A run, by its side and name.
#[derive(Clone, Copy)]
struct Side<'a> {
    place: &'static str,
    name: &'a str,
    followed: &'a Followed,
    declared: Choice,
    /// Whether the run states its choices.
    says: bool,
    /// Where the run's device violates the contract in the recorded values.
    faults: &'a [Fault],
}

impl<'a> Side<'a> {
    fn new(place: &'static str, run: Run<'a>, followed: &'a Followed, declared: Choice) -> Self {
        let meta = &run.trace.meta;
        Self { place, name: run.name, followed, declared, says: meta.policy.is_some(), faults: &meta.faults }
    }
}

pub(super) fn of(
    model: &PlainModel<'_>,
    divergence: &Divergence,
    sides: &Sides,
    declared: [Choice; 2],
    attributions: &[Attribution],
    device: Option<&DeviceShare>,
    runs: [Run<'_>; 2],
) -> Verdict {
    let both =
        [Side::new("right", runs[1], &sides.right, declared[1]), Side::new("left", runs[0], &sides.left, declared[0])];
    let first_of = |of: &dyn Fn(Side<'_>) -> Option<Verdict>| both.into_iter().find_map(of);
    first_of(&|side| unknown(model, side))
        .or_else(|| first_of(&|side| mistake(model, side, attributions)))
        .or_else(|| first_of(&|side| undeclared(model, side, attributions)))
        .or_else(|| first_of(&|side| contradicted(model, side)))
        .or_else(|| first_of(&|side| inexact(model, side)))
        .unwrap_or_else(|| choices(divergence, attributions, device))
}

/// A stage that does not follow from its own inputs.
fn unknown(model: &PlainModel<'_>, side: Side<'_>) -> Option<Verdict> {
    let (site, how) = side.followed.findings().find_map(|(site, _, how)| match how {
        Follows::Not { .. } => Some((site, how)),
        _ => None,
    })?;
    let Follows::Not { differing, values, position, index, relative } = how else { return None };
    let Side { place, name, .. } = side;
    let (stage, layer) = site;
    Some(Verdict {
        cause: Cause::Unknown { side: place.into(), stage, layer },
        sentence: format!(
            "the {place} run ({name}) computes {} wrongly: {differing} of {values} values do not follow from its own \
             inputs under any known choice or mistake (first at position {position}, value {index}; relative error \
             {relative:.1e} at best)",
            place_of(model, &[site])
        ),
        advice: format!(
            "look at the code of {place} that computes {stage}: run it alone on the recorded inputs against the \
             reference, from that position and value on"
        ),
    })
}

/// A known mistake.
fn mistake(model: &PlainModel<'_>, side: Side<'_>, attributions: &[Attribution]) -> Option<Verdict> {
    let (_, mistake) = side.followed.findings().find_map(|(site, choice, _)| Some((site, choice.mistake?)))?;
    let found = side.followed.findings().filter(|(_, choice, _)| choice.mistake == Some(mistake));
    let sites: Vec<Site> = found.map(|(site, ..)| site).collect();
    let Side { place, name, .. } = side;
    let explained = explained(Factor::Mistake(mistake), attributions);
    Some(Verdict {
        cause: Cause::Mistake { side: place.into(), mistake: mistake.to_string(), sites: tensor_names(&sites) },
        sentence: format!(
            "the {place} run ({name}) makes a mistake in {}: {mistake}{explained}",
            place_of(model, &sites)
        ),
        advice: format!("correct the code of {place} that computes {}, and run this again", stage_names(&sites)),
    })
}

/// A choice other than the declared one.
fn undeclared(model: &PlainModel<'_>, side: Side<'_>, attributions: &[Attribution]) -> Option<Verdict> {
    if !side.says {
        return None;
    }
    let otherwise = |how: &Follows| !matches!(how, Follows::Declared | Follows::Not { .. });
    let differs = |factor: Factor, choice: &Choice| factor.value(choice) != factor.value(&side.declared);
    let (factor, choice) =
        side.followed.findings().filter(|(_, _, how)| otherwise(how)).find_map(|(_, choice, _)| {
            Factor::CHOICES.into_iter().find(|f| differs(*f, choice)).map(|f| (f, *choice))
        })?;
    let found = side.followed.findings().filter(|(_, choice, how)| otherwise(how) && differs(factor, choice));
    let sites: Vec<Site> = found.map(|(site, ..)| site).collect();
    let Side { place, name, declared, .. } = side;
    let (is, said) = (factor.value(&choice), factor.value(&declared));
    Some(Verdict {
        cause: Cause::Undeclared { side: place.into(), factor: factor.to_string(), sites: tensor_names(&sites) },
        sentence: format!(
            "the {place} run ({name}) computes {} with a different {factor} from what it says: {is} instead of {said}{}",
            place_of(model, &sites),
            explained(factor, attributions)
        ),
        advice: format!(
            "find what chooses the {factor} of {} on {place}, and make it {said}; or declare {is} if it is intended",
            stage_names(&sites)
        ),
    })
}

/// A value that a device wrote, against the value that follows from what it wrote before, where it does not write the
/// stages between.
fn contradicted(model: &PlainModel<'_>, side: Side<'_>) -> Option<Verdict> {
    let Side { place, name, faults, .. } = side;
    let fault = faults.first()?;
    let (stage, layer) = (fault.stage, fault.layer);
    Some(Verdict {
        cause: Cause::Unknown { side: place.into(), stage, layer },
        sentence: format!(
            "the {place} run ({name}) violates the contract in {}: {fault}",
            place_of(model, &[(stage, layer)])
        ),
        advice: format!("look at the kernel of {place} that ends in {stage}, and at what is fused into it"),
    })
}

/// Near to the declared result, where equal bits are required.
fn inexact(model: &PlainModel<'_>, side: Side<'_>) -> Option<Verdict> {
    let Side { place, name, followed, declared, .. } = side;
    let (site, relative) = followed.inexact().next().filter(|_| followed.promises_bits())?;
    Some(Verdict {
        cause: Cause::Unknown { side: place.into(), stage: site.0, layer: site.1 },
        sentence: format!(
            "the {place} run ({name}) does not keep the contract's order of operations in {}: its values are within \
             {relative:.1e} of {}, but not its bits",
            place_of(model, &[site]),
            super::result::describe(&declared)
        ),
        advice: format!("compare the code of {place} that computes {} with docs/numerics.md", site.0),
    })
}

/// Only the requested differences.
fn choices(divergence: &Divergence, attributions: &[Attribution], device: Option<&DeviceShare>) -> Verdict {
    let notable: Vec<&Attribution> = attributions.iter().filter(|a| a.explains.abs() >= NOTABLE).collect();
    let named = if notable.is_empty() { attributions.iter().take(1).collect() } else { notable };
    let part = |factor: &str, left: &str, right: &str, explains: f64| {
        format!("the {factor} ({left} on the left, {right} on the right) {:.0}%", 100.0 * explains)
    };
    let mut parts: Vec<String> = named.iter().map(|a| part(&a.factor, &a.left, &a.right, a.explains)).collect();
    // Differences between devices within a tolerance, which only approximate functions have.
    let device_differs = device.filter(|d| !d.same_bits() && d.explains.abs() >= NOTABLE);
    parts.extend(device_differs.map(|d| part("device", kind(&d.left), kind(&d.right), d.explains)));
    let same_device = match device {
        Some(d) if d.same_bits() => {
            "; the device explains nothing, since with the same choices both give the same bits"
        }
        _ => "",
    };
    let where_most = named.first().and_then(|a| {
        let stage = a.stages.iter().max_by(|x, y| x.alone.total_cmp(&y.alone))?;
        Some(format!(", most by itself in {}", stage.name))
    });
    let sentence = match parts.as_slice() {
        [] => format!("the runs differ from {} on, and not in a known choice", divergence.first_stage),
        _ => format!(
            "{} of the divergence{}; every stage of both runs follows from its own inputs, so neither computes \
             wrongly{same_device}",
            explains(&parts),
            where_most.unwrap_or_default()
        ),
    };
    let mut factors: Vec<String> = named.iter().map(|a| a.factor.clone()).collect();
    factors.extend(device_differs.map(|_| "device".to_owned()));
    // Even a factor without a measurable effect changes bits.
    let all: Vec<&str> = attributions.iter().map(|a| a.factor.as_str()).collect();
    let advice = match all.as_slice() {
        [] => String::new(),
        all => format!("choose the same {} on both sides, and they have the same bits", all.join(" and ")),
    };
    Verdict { cause: Cause::Choices { factors }, sentence, advice }
}

/// `the a explains x%`, `the a explains x%, the b y%`
fn explains(parts: &[String]) -> String {
    let with = |part: &String| part.replacen(") ", ") explains ", 1);
    let rest = parts[1..].iter().map(|p| format!(", {p}"));
    std::iter::once(with(&parts[0])).chain(rest).collect()
}

fn explained(factor: Factor, attributions: &[Attribution]) -> String {
    let name = factor.to_string();
    match attributions.iter().find(|a| a.factor == name) {
        Some(a) => format!("; this explains {:.0}% of the divergence", 100.0 * a.explains),
        None => String::new(),
    }
}

fn tensor_names(sites: &[Site]) -> Vec<String> {
    sites.iter().map(|(stage, layer)| stage.tensor_name(*layer)).collect()
}

fn stage_names(sites: &[Site]) -> String {
    let names: Vec<String> = factor::stages(sites).into_iter().map(|s| s.to_string()).collect();
    names.join(" and ")
}

/// `expert_out (ffn_down_exps.weight, Q6_K) of layer 3`
fn place_of(model: &PlainModel<'_>, sites: &[Site]) -> String {
    let stages: Vec<String> = factor::stages(sites)
        .into_iter()
        .map(|stage| {
            let Some(role) = model.matrix(stage) else { return stage.to_string() };
            let own = sites.iter().filter(|(s, _)| *s == stage);
            let mut types: Vec<String> =
                own.filter_map(|(_, l)| model.tensor(role, *l).ok()).map(|w| w.ty.to_string()).collect();
            types.sort();
            types.dedup();
            format!("{stage} ({}, {})", role.name(None), types.join(" and "))
        })
        .collect();
    let layers = factor::layers(sites);
    let layers = match layers.as_slice() {
        [] => String::new(),
        [one] => format!(" of layer {one}"),
        all if all.len() == model.config().blocks => " of all layers".to_owned(),
        some => format!(" of layers {}", some.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    format!("{}{layers}", stages.join(" and "))
}
