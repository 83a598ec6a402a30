//! The files of the page, as they are in the binary.

use bytes::Bytes;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal: $kind:ident = $path:literal,)*) => {
        /// Name, content type, content. Not ours is `vendor/`: uPlot 1.6.32 (MIT, see its licence there), which
        /// draws the charts.
        pub(super) const FILES: &[(&str, &str, &[u8])] = &[$(($name, $kind, include_bytes!($path)),)*];
    };
}

files! {
    "index.html": HTML = "files/index.html",
    "style.css": STYLE = "files/style.css",
    "icon.svg": PICTURE = "files/icon.svg",
    "main.js": SCRIPT = "files/main.js",
    "dom.js": SCRIPT = "files/dom.js",
    "format.js": SCRIPT = "files/format.js",
    "stream.js": SCRIPT = "files/stream.js",
    "verdict.js": SCRIPT = "files/verdict.js",
    "ring.js": SCRIPT = "files/ring.js",
    "locate.js": SCRIPT = "files/locate.js",
    "nodes.js": SCRIPT = "files/nodes.js",
    "history.js": SCRIPT = "files/history.js",
    "charts.js": SCRIPT = "files/charts.js",
    "timeline.js": SCRIPT = "files/timeline.js",
    "logs.js": SCRIPT = "files/logs.js",
    "demo.js": SCRIPT = "files/demo.js",
    "chaos.js": SCRIPT = "files/chaos.js",
    "freshness.js": SCRIPT = "files/freshness.js",
    "vendor/uPlot.js": SCRIPT = "vendor/uPlot.iife.min.js",
    "vendor/uPlot.css": STYLE = "vendor/uPlot.min.css",
}

/// A file's content type and content.
pub(super) fn find(name: &str) -> Option<(&'static str, Bytes)> {
    let (_, kind, bytes) = FILES.iter().find(|(file, ..)| *file == name)?;
    Some((kind, Bytes::from_static(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where an asset may name an origin: not to fetch anything from it.
    const NAMES: [&str; 2] = ["http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"];

    #[test]
    fn no_file_makes_markup_of_data_runs_text_or_reaches_elsewhere() {
        for (name, _, bytes) in FILES {
            let mut text = std::str::from_utf8(bytes).expect("text").to_owned();
            for allowed in NAMES {
                text = text.replace(allowed, "");
            }
            for never in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "http://",
                "https://",
                "style=",
                "onclick=",
                "javascript:",
            ] {
                assert!(!text.contains(never), "{name} contains {never}");
            }
        }
    }

    #[test]
    fn the_page_names_only_files_that_there_are() {
        let referenced = |text: &str| -> Vec<String> {
            let quoted = text.split(['"', '\'']).map(str::to_owned);
            quoted.filter(|word| word.starts_with("/page/") || word.starts_with("./")).collect()
        };
        for (name, _, bytes) in FILES.iter().filter(|(name, ..)| !name.starts_with("vendor/")) {
            for path in referenced(std::str::from_utf8(bytes).expect("text")) {
                let file = path.trim_start_matches("/page/").trim_start_matches("./");
                assert!(find(file).is_some(), "{name} names {path}");
            }
        }
    }
}
