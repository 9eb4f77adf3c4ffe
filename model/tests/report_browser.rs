//! The report in a real browser: headless Chromium, which `.ci/install-tools` installs.
//!
//! Where there is none the tests say so and check nothing; in CI that is a failure.

mod common;

use common::comparison::comparison;
use ptxgen_model::report;
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Names of a browser that runs headless.
const BROWSERS: [&str; 5] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome"];

/// What is asked of a page, by a script at its end.
const PROBE: &str = r#"<pre id="probe"></pre><script>
const box = (e) => { const b = e.getBoundingClientRect(); return [b.width, b.height, b.left, b.right]; };
document.getElementById("probe").textContent = JSON.stringify({
  width: innerWidth,
  scrolls: document.documentElement.scrollWidth,
  ink: getComputedStyle(document.body).color,
  paper: getComputedStyle(document.body).backgroundColor,
  label: getComputedStyle(document.querySelector("figure svg text")).fill,
  viewport: document.querySelector("meta[name=viewport]").content,
  charts: [...document.querySelectorAll("figure")].map((f) => ({
    title: f.querySelector("b").textContent,
    svg: box(f.querySelector("svg")),
    marks: [...f.querySelectorAll("svg rect, svg circle, svg polyline")]
      .filter((e) => { const [w, h] = box(e); return w > 0 || h > 0; }).length,
    text: Math.min(...[...f.querySelectorAll("svg text")].map((e) => box(e)[1])),
    outside: [...f.querySelectorAll("svg *")].filter((e) => {
      const s = f.querySelector("svg").getBoundingClientRect(), b = e.getBoundingClientRect();
      return b.left < s.left - 1 || b.right > s.right + 1 || b.top < s.top - 1 || b.bottom > s.bottom + 1;
    }).length,
  })),
});
</script></body>"#;

fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let paths = BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = paths.into_iter().find(|path| path.is_file());
    if found.is_none() {
        assert!(env::var_os("CI").is_none(), "no browser: .ci/install-tools installs one");
        println!("skipped: no headless browser on PATH (one of {})", BROWSERS.join(", "));
    }
    found
}

/// Opens a file; gives the browser's output.
fn open(browser: &Path, page: &Path, options: &[&str]) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The answers to [`PROBE`]. The page forbids all scripts, so the copy that is asked does not.
fn probed(browser: &Path, html: &str, options: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("probe.html");
    let (before, rest) = html.split_once("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
    let (_, after) = rest.split_once('>').unwrap();
    fs::write(&file, format!("{before}{after}").replace("</body>", PROBE)).unwrap();
    let dom = open(browser, &file, &[&["--dump-dom"], options].concat()).stdout;
    let dom = String::from_utf8(dom).unwrap();
    let (_, answer) = dom.split_once("<pre id=\"probe\">").expect("the probe's place");
    serde_json::from_str(answer.split_once("</pre>").unwrap().0).unwrap_or_else(|e| panic!("{e}: {answer:.200}"))
}

/// The relative luminance of `rgb(r, g, b)`, as WCAG defines it.
fn luminance(colour: &Value) -> f64 {
    let text = colour.as_str().unwrap();
    let parts: Vec<f64> =
        text.trim_matches(|c: char| !c.is_ascii_digit()).split(", ").map(|p| p.parse().unwrap()).collect();
    let linear = |v: f64| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) };
    [0.2126, 0.7152, 0.0722].iter().zip(&parts).map(|(weight, part)| weight * linear(part / 255.0)).sum()
}

fn contrast(a: &Value, b: &Value) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_chart_is_drawn_and_fits_a_phone_and_a_desk() {
    let Some(browser) = browser() else { return };
    let html = report::html(&comparison()).unwrap();
    for (size, width) in [("--window-size=390,844", 390.0), ("--window-size=1280,900", 1280.0)] {
        let page = probed(&browser, &html, &[size]);
        assert_eq!(page["width"], width, "this browser has no such window");
        assert!(page["scrolls"].as_f64().unwrap() <= width, "{width} wide: scrolls to {}", page["scrolls"]);
        let charts = page["charts"].as_array().unwrap();
        assert_eq!(charts.len(), 5);
        for chart in charts {
            let number = |v: &Value| v.as_f64().unwrap();
            let [w, h, left, right] = [0, 1, 2, 3].map(|i| number(&chart["svg"][i]));
            assert!(w > 300.0 && h > 60.0 && left >= 0.0 && right <= width, "{width} wide: {chart}");
            assert!(number(&chart["marks"]) >= 6.0, "{chart}");
            // Smaller than this is not to be read on a phone.
            assert!(number(&chart["text"]) >= 9.0, "{width} wide: {chart}");
            assert_eq!(chart["outside"], 0, "{width} wide: cut off: {chart}");
        }
    }
}

#[test]
fn light_and_dark_can_be_read() {
    let Some(browser) = browser() else { return };
    let html = report::html(&comparison()).unwrap();
    let seen = [("0", true), ("1", false)].map(|(scheme, dark)| {
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let page = probed(&browser, &html, &[&scheme]);
        assert_eq!(luminance(&page["paper"]) < 0.1, dark, "{page}");
        for text in ["ink", "label"] {
            assert!(contrast(&page["paper"], &page[text]) >= 7.0, "dark: {dark}, {text}: {page}");
        }
    });
    assert_eq!(seen.len(), 2);
}

#[test]
fn the_console_stays_empty_and_the_page_prints() {
    let Some(browser) = browser() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, pdf) = (dir.path().join("report.html"), dir.path().join("report.pdf"));
    let console = |html: &str| {
        fs::write(&file, html).unwrap();
        let output = open(&browser, &file, &["--dump-dom"]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut evil = comparison();
    evil.left.name = "<script>console.error('evil')</script><img src=/x onerror=console.error('evil')>".into();
    let html = report::html(&evil).unwrap();
    assert!(console(&html).is_empty(), "{:?}", console(&html));
    // A console that is never heard would be empty, too: the page's own rule against scripts is.
    let broken = html.replace("</body>", "<script>console.error('heard')</script></body>");
    assert_eq!(console(&broken).len(), 1);

    fs::write(&file, &html).unwrap();
    open(&browser, &file, &[&format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer"]);
    assert!(fs::read(&pdf).unwrap().starts_with(b"%PDF"));
}
