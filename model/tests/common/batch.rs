//! Batches of sequences compared with each sequence alone.

use super::bits;
use ptxgen_model::{
    Engine, LogitRows, Sampler, Sampling,
    batch::{BatchRoom, BatchSession, Part, Queue, Request, SequenceId, Wants},
    cpu::{CpuModel, CpuOptions},
    gguf::Gguf,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A number below `n`.
pub fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    (rng.next_u64() % n as u64) as usize
}

/// A sequence on its way, and the logits of all of its tokens alone.
struct Way {
    id: SequenceId,
    tokens: Vec<u32>,
    expected: Vec<u32>,
    done: usize,
}

/// What a test of a batch goes through.
pub struct Walk<'g> {
    pub gguf: &'g Gguf,
    pub options: CpuOptions,
    /// Lengths of sequences: 1 to this many.
    pub longest: usize,
    /// Tokens of a sequence in a step at most.
    pub piece: usize,
    pub steps: usize,
    pub seed: u64,
}

impl Walk<'_> {
    /// Sequences join, take pieces of any length with any wish, are taken back, and leave, at random. Whatever they get is
    /// what they get alone on the CPU. Gives how many answers were looked at.
    pub fn go(&self, batch: &mut BatchSession<'_>) -> usize {
        let Self { gguf, options, .. } = *self;
        let model = CpuModel::load(gguf, options).unwrap();
        let (room, vocab) = (batch.room(), batch.vocab());
        let rng = &mut ChaCha8Rng::seed_from_u64(self.seed);
        let (mut ways, mut looked) = (Vec::<Way>::new(), 0);
        for _ in 0..self.steps {
            while ways.len() < room.sequences && below(rng, 3) > 0 {
                let tokens: Vec<u32> = (0..1 + below(rng, self.longest)).map(|_| below(rng, vocab) as u32).collect();
                let Ok(id) = batch.join(tokens.len()) else { break };
                let mut alone = model.new_session(tokens.len()).unwrap();
                let expected = bits(alone.forward(&tokens, LogitRows::All).unwrap());
                ways.push(Way { id, tokens, expected, done: 0 });
            }
            let mut parts = Vec::new();
            for (i, way) in ways.iter().enumerate() {
                let left = way.tokens.len() - way.done;
                if left > 0 && below(rng, 4) > 0 {
                    let n = 1 + below(rng, left.min(self.piece));
                    let wants = [
                        Wants::Nothing,
                        Wants::Token,
                        Wants::Token,
                        Wants::Logits(LogitRows::Last),
                        Wants::Logits(LogitRows::All),
                    ][below(rng, 5)];
                    let tokens = &way.tokens[way.done..way.done + n];
                    parts.push((i, Part { sequence: way.id, tokens, wants }));
                }
            }
            let rotated = below(rng, parts.len().max(1));
            parts.rotate_left(rotated);
            let (which, parts): (Vec<usize>, Vec<Part<'_>>) = parts.into_iter().unzip();
            if parts.is_empty() {
                continue;
            }
            let step = batch.step(&parts).unwrap();
            let taken: Vec<usize> = parts.iter().map(|p| p.tokens.len()).collect();
            for (i, (&way, part)) in which.iter().zip(&parts).enumerate() {
                let (way, answer) = (&ways[way], step.answer(i).unwrap());
                let end = way.done + part.tokens.len();
                let rows = |rows: std::ops::Range<usize>| &way.expected[rows.start * vocab..rows.end * vocab];
                let last = rows(end - 1..end);
                let expected = match part.wants {
                    Wants::Logits(LogitRows::All) => rows(way.done..end),
                    Wants::Logits(LogitRows::Last) => last,
                    _ => &[],
                };
                assert!(bits(answer.logits) == expected, "{:?} at {}: other bits", part.wants, way.done);
                let token = (part.wants == Wants::Token).then(|| {
                    let row: Vec<f32> = last.iter().map(|b| f32::from_bits(*b)).collect();
                    Sampler::new(Sampling::default()).next(&row)
                });
                assert_eq!(answer.token, token, "at {}", way.done);
                looked += usize::from(part.wants != Wants::Nothing);
            }
            for (&way, taken) in which.iter().zip(taken) {
                ways[way].done += taken;
                assert_eq!(batch.position(ways[way].id).unwrap(), ways[way].done);
            }
            ways.retain_mut(|way| {
                if below(rng, 6) == 0 {
                    way.done = below(rng, way.done + 1);
                    batch.rewind(way.id, way.done).unwrap();
                }
                let goes = way.done == way.tokens.len() || below(rng, 12) == 0;
                assert!(!goes || batch.leave(way.id));
                !goes
            });
        }
        ways.iter().for_each(|way| assert!(batch.leave(way.id)));
        assert_eq!((batch.sequences(), batch.free_pages()), (0, room.pages));
        looked
    }
}

/// Room for three sequences, with fewer pages than they may want together.
pub fn tight(longest: usize) -> BatchRoom {
    let pages = longest.div_ceil(BatchRoom::PAGE);
    BatchRoom { sequences: 3, positions: longest, pages: pages * 2 }
}

/// Texts that are continued in a batch are those that are continued alone, on the CPU.
pub fn queue_gives_what_each_gets_alone(gguf: &Gguf, options: CpuOptions, batch: &mut BatchSession<'_>, most: usize) {
    let vocab = batch.vocab();
    let context = batch.room().positions;
    let requests: Vec<Request> = (0..7)
        .map(|i| {
            let tokens = (0..1 + i * 5 % 13).map(|t| ((t * 31 + i * 17) % vocab) as u32).collect();
            let drawn = Sampling { temperature: 1.5, top_k: 40, seed: i as u64, ..Sampling::default() };
            let penal = Sampling { presence_penalty: 1.0, repeat_penalty: 1.3, ..Sampling::default() };
            let sampling = [Sampling::default(), drawn, penal][i % 3];
            Request { tokens, most: if i == 4 { 0 } else { most + i % 2 }, sampler: Sampler::new(sampling) }
        })
        .collect();
    let model = CpuModel::load(gguf, options).unwrap();
    let expected: Vec<Vec<u32>> = requests
        .iter()
        .map(|request| {
            let Request { tokens, most, mut sampler } = request.clone();
            let mut alone = model.new_session(context).unwrap();
            sampler.take(&tokens);
            let mut written = Vec::new();
            let mut next = tokens;
            while written.len() < most && alone.position() + next.len() <= context {
                let token = sampler.next(alone.forward(&next, LogitRows::Last).unwrap());
                written.push(token);
                next = vec![token];
            }
            written
        })
        .collect();
    let mut queue = Queue::new(batch, |_| false);
    for (i, request) in requests.iter().enumerate() {
        assert_eq!(queue.push(request.clone()), i);
    }
    let mut found = vec![None; requests.len()];
    while queue.step(&mut |ended| found[ended.index] = Some((ended.tokens, ended.stop))).unwrap() {}
    for (i, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        let (tokens, stop) = found.expect("every request ends");
        assert_eq!(tokens, expected, "request {i}");
        assert!(stop.is_ok(), "{stop:?}");
    }
}
