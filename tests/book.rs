//! The book: every block of code in it is run, and every page is in its table of contents.

#[path = "support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A fenced block of a Markdown page.
struct Fence {
    line: usize,
    /// The text after the opening fence.
    info: String,
    /// The comment above it: why it is not run, or which file it is a part of.
    note: Option<String>,
    text: String,
}

fn fences(page: &str) -> Vec<Fence> {
    let (mut all, mut open): (Vec<Fence>, Option<String>) = (Vec::new(), None);
    let mut note = None;
    for (line, text) in page.lines().enumerate() {
        let trimmed = text.trim_start();
        match &open {
            Some(mark) if trimmed.trim_end() == mark => open = None,
            Some(_) => {
                let fence = all.last_mut().expect("a block is open");
                fence.text += text;
                fence.text.push('\n');
            }
            None if trimmed.starts_with("```") => {
                let mark: String = trimmed.chars().take_while(|&c| c == '`').collect();
                let info = trimmed[mark.len()..].trim().to_owned();
                all.push(Fence { line: line + 1, info, note: note.take(), text: String::new() });
                open = Some(mark);
            }
            None => {
                if let Some(comment) = trimmed.strip_prefix("<!--").and_then(|t| t.trim_end().strip_suffix("-->")) {
                    note = Some(comment.trim().to_owned());
                } else if !trimmed.is_empty() {
                    note = None;
                }
            }
        }
    }
    all
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown files of the repository's root and of docs/, by path from the root.
fn pages() -> BTreeMap<String, String> {
    fn collect(folder: &Path, deep: bool, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() && deep {
                collect(&path, deep, found);
            } else if path.extension().is_some_and(|e| e == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(root(), false, &mut found);
    collect(&root().join("docs"), true, &mut found);
    found
}

/// Why nobody runs a block of a page; none where somebody does, or where its note says why not.
fn fault(page: &str, fence: &Fence) -> Option<String> {
    let (language, _) = fence.info.split_once([',', ' ']).unwrap_or((&fence.info, ""));
    let listed_in = |list: &str| list.contains(&format!("\"{page}\"")) || list.contains(&format!("\"../{page}\""));
    if let Some(file) = fence.note.as_deref().and_then(|n| n.strip_prefix("part of ")) {
        let whole = fs::read_to_string(root().join(file)).unwrap_or_default();
        return (!whole.contains(&fence.text)).then(|| format!("{file} has no such lines"));
    }
    if let Some(reason) = fence.note.as_deref().and_then(|n| n.strip_prefix("not run: ")) {
        return match language {
            "rust" => Some("Rust is always run".to_owned()),
            _ if reason.len() < 10 => Some("the reason is too short".to_owned()),
            "sh" => unknown_option(&fence.text),
            _ => None,
        };
    }
    match language {
        "rust" if !listed_in(include_str!("../src/book.rs")) => Some("the page is not in src/book.rs".to_owned()),
        "rust" if ["ignore", "no_run"].iter().any(|word| fence.info.contains(word)) => Some("it is not run".to_owned()),
        "rust" => None,
        "console" if !listed_in(include_str!("transcripts.rs")) => {
            Some("the page is not in tests/transcripts.rs".to_owned())
        }
        "console" if fence.info.contains("ignore") => Some("it is not run".to_owned()),
        "console" => None,
        "" => Some("its language is not named".to_owned()),
        _ => Some("nothing runs it: write `<!-- not run: REASON -->` or `<!-- part of FILE -->` above it".to_owned()),
    }
}

/// The first command or option of `ptxgen` in a shell block that the program does not have.
fn unknown_option(shell: &str) -> Option<String> {
    let lines = shell.replace("\\\n", " ");
    lines.lines().find_map(|line| {
        let words: Vec<&str> = line.split(" #").next().unwrap_or("").split_whitespace().collect();
        let args = match words.as_slice() {
            ["ptxgen", args @ ..] => args,
            ["cargo", "run", rest @ ..] => {
                let at = rest.iter().position(|&w| w == "--")?;
                if rest[..at].contains(&"--example") {
                    return None;
                }
                &rest[at + 1..]
            }
            _ => return None,
        };
        let commands = args.iter().take_while(|w| w.starts_with(|c: char| c.is_ascii_lowercase()) && !w.contains('.'));
        let mut command: Vec<&str> = Vec::new();
        let mut help = support::text(&support::ptxgen(&["--help"]).stdout);
        for word in commands {
            if !help.lines().any(|l| l.starts_with("  ") && l.split_whitespace().next() == Some(word)) {
                if command.is_empty() {
                    return Some(format!("there is no command `{word}`"));
                }
                break;
            }
            command.push(word);
            help = support::text(&support::ptxgen(&[&command[..], &["--help"]].concat()).stdout);
        }
        let known: Vec<&str> = help.split(|c: char| c.is_whitespace() || ",[]=".contains(c)).collect();
        let option = args.iter().find(|w| w.starts_with('-') && w.len() > 1 && !known.contains(w))?;
        Some(format!("`ptxgen {}` has no option {option}", command.join(" ")))
    })
}

#[test]
fn every_block_of_code_is_run() {
    let mut faults = Vec::new();
    for (page, text) in pages() {
        for fence in fences(&text) {
            faults.extend(fault(&page, &fence).map(|why| format!("{page}:{}: ```{}: {why}", fence.line, fence.info)));
        }
    }
    assert!(faults.is_empty(), "{} blocks:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_block_that_nobody_runs_is_found() {
    let found = |text: &str| fences(text).iter().filter_map(|f| fault("docs/other.md", f)).collect::<Vec<_>>();
    let not_run = "<!-- not run: needs a GPU and a large file -->\n";
    assert_eq!(found("```rust\nlet x = 1;\n```\n"), ["the page is not in src/book.rs"]);
    assert_eq!(found("```console\n$ ptxgen list\n```\n"), ["the page is not in tests/transcripts.rs"]);
    assert!(found("```text\nabc\n```\n")[0].starts_with("nothing runs it"));
    assert_eq!(found(&format!("{not_run}\n```text\nabc\n```\n")), <[String; 0]>::default());
    assert_eq!(found(&format!("{not_run}words\n```text\nabc\n```\n")).len(), 1, "the note is not above it");
    assert_eq!(found(&format!("{not_run}```rust\n```\n")), ["Rust is always run"]);
    assert_eq!(found(&format!("{not_run}```sh\nptxgen bench decode m.gguf --stages\n```\n")), <[String; 0]>::default());
    assert_eq!(
        found(&format!("{not_run}```sh\nptxgen bench decode m.gguf --no-such\n```\n")),
        ["`ptxgen bench decode` has no option --no-such"]
    );
    assert_eq!(found(&format!("{not_run}```sh\nptxgen lisst\n```\n")), ["there is no command `lisst`"]);
    assert_eq!(found("<!-- part of Cargo.toml -->\n```toml\nno such line\n```\n"), ["Cargo.toml has no such lines"]);
    assert_eq!(found("```\nabc\n```\n"), ["its language is not named"]);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: Vec<&str> = summary.lines().filter_map(|l| l.split_once("](")?.1.strip_suffix(')')).collect();
    let pages = pages();
    let expected = pages.keys().filter_map(|p| p.strip_prefix("docs/")).filter(|p| *p != "SUMMARY.md");
    let missing: Vec<&str> = expected.filter(|page| !listed.contains(page)).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
    for page in listed {
        assert!(pages.contains_key(&format!("docs/{page}")), "docs/SUMMARY.md lists {page}, which is not there");
    }
}

/// The README's table has the numbers of the record, which are kept in one place.
#[test]
fn the_readmes_measurements_are_those_of_the_record() {
    let (readme, results) = (include_str!("../README.md"), include_str!("../docs/results.md"));
    let section = readme.split_once("\n## Measured\n").and_then(|(_, rest)| rest.split_once("\n## ")).unwrap().0;
    let rows = section.lines().filter(|l| l.starts_with('|') && l.contains(|c: char| c.is_ascii_digit()));
    let measured: Vec<&str> =
        rows.flat_map(|row| row.split('|').map(str::trim).skip(2)).filter(|c| !c.is_empty()).collect();
    assert!(measured.len() >= 8, "{measured:?}");
    for number in measured {
        let there = results.match_indices(number).any(|(at, _)| {
            let edge = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_digit());
            edge(results[..at].chars().next_back()) && edge(results[at + number.len()..].chars().next())
        });
        assert!(there, "README.md has {number}, which docs/results.md has not");
    }
}

/// The README counts the instruction table as its listing does.
#[test]
fn the_readmes_count_of_instructions_is_the_listings() {
    let (readme, listing) = (include_str!("../README.md"), include_str!("../docs/instructions.md"));
    let rows = listing.lines().find_map(|l| l.split_once(" rows, ")).expect("docs/instructions.md counts its rows").0;
    assert!(
        readme.contains(&format!("has {rows} rows")),
        "docs/instructions.md has {rows} rows; README.md has another count"
    );
}

#[test]
fn every_command_is_listed() {
    let help = support::text(&support::ptxgen(&["--help"]).stdout);
    let commands = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let page = include_str!("../docs/commands.md");
    for line in commands.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   ")) {
        let command = line.split_whitespace().next().unwrap();
        assert!(command == "help" || page.contains(&format!("`{command}`")), "docs/commands.md lacks `{command}`");
    }
}
